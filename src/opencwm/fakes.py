"""Stand-ins for the seams of `opencwm.protocols`, shipped so that everybody's tests use the same ones."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opencwm.protocols import Completion, Message, Request

if TYPE_CHECKING:
    from opencwm.tokenizer import Tokenizer

Answer = str | tuple[int, ...] | Completion


class ScriptedModel:
    """A model that answers from a script: a list used up in order, or a function of the request.

    A text answer is encoded where there is a tokenizer; an answer longer than `max_tokens` is cut there with finish
    `length`, and one containing a stop id ends with it, as a real model's would.
    """

    def __init__(
        self,
        answers: Sequence[Answer] | Callable[[Request], Answer],
        *,
        tokenizer: "Tokenizer | None" = None,
        name: str = "scripted",
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.requests: list[Request] = []
        """Everything asked so far."""
        self._answers = answers
        self._used = 0

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Completion:
        self.requests.append(request)
        if callable(self._answers):
            answer = self._answers(request)
        else:
            assert self._used < len(self._answers), f"script of {len(self._answers)} answers is used up"
            answer = self._answers[self._used]
            self._used += 1
        if isinstance(answer, Completion):
            return answer
        if isinstance(answer, str):
            if self.tokenizer is None:
                return Completion(tokens=(), text=answer, finish="stop")
            answer = tuple(self.tokenizer.encode(answer))
        return self._cut(answer, request)

    def _cut(self, tokens: tuple[int, ...], request: Request) -> Completion:
        stops = [index for index, token in enumerate(tokens) if token in request.stop_ids]
        end = min(stops[0] + 1 if stops else len(tokens), request.max_tokens)
        stopped = bool(stops) and end == stops[0] + 1
        text = "" if self.tokenizer is None else self.tokenizer.decode(tokens[:end])
        return Completion(
            tokens=tokens[:end],
            text=text,
            finish="length" if end == request.max_tokens and not stopped else "stop",
            logprobs=(0.0,) * end if request.logprobs else None,
        )


def last_message(request: Request) -> str:
    """Text of the prompt's last message, or the prompt itself where it is text."""
    if isinstance(request.prompt, str):
        return request.prompt
    last = request.prompt[-1]
    assert isinstance(last, Message), "the prompt is token ids"
    return last.content
