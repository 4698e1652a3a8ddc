"""Teacher-forced prediction: each frame of a real trace predicted from the true frames before it.

    true tokens --one scoring pass--> argmax at every position
        agrees over a whole frame --> the true frame
        else: true prefix + the differing token --greedy--> the frame that the model writes instead

Decoding only the frames in which the argmax disagrees gives the same as decoding all of them: where every argmax
agrees, greedy decoding writes the true tokens. A frame that was decoded may still be right, since states are compared
resolved (`".."` or the value itself); `trace.compare.compare_frames` judges. With a grammar, the differing token is
decoded too: it may be one that the grammar forbids.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opencwm.errors import DataError
from opencwm.protocols import Grammar, Request, ScoringModel
from opencwm.tokenizer import Tokenizer
from opencwm.trace.recording.frame import Trace
from opencwm.trace.stream import ParseError, Special, Stack
from opencwm.trace.tokens import RenderedTrace, parse_frames, render_frames
from opencwm.trace.view import FrameView, view, view_frame

Predicted = list[FrameView | ParseError]
"""One entry per true frame; the entry point's `call` is given and stands for itself."""
MakeGrammar = Callable[[str, Sequence[int]], Grammar]
"""From a context and the frame tokens already in the prompt; `opencwm.infer.grammar` has one."""
SLACK = 64
"""A decoded frame may have twice the true one's tokens and this many more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A frame whose argmax leaves the truth."""

    trace: int
    frame: int
    place: int
    """Index of the first token that differs."""
    token: int
    """The model's."""


def predict_forced(
    model: ScoringModel, traces: Sequence[Trace], *, grammar: MakeGrammar | None = None
) -> list[Predicted]:
    """What the model writes for each frame after the first, given the true ones before it."""
    return [each.frames for each in predict_with_confidence(model, traces, grammar=grammar)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Forced:
    """The predictions of one trace."""

    frames: Predicted
    confidences: tuple[float, ...]
    """Per frame, the probability that the model gave to the tokens it wrote, whatever a grammar forbade; 1 for the
    given one."""


def predict_with_confidence(
    model: ScoringModel, traces: Sequence[Trace], *, grammar: MakeGrammar | None = None
) -> list[Forced]:
    """What the model writes for each frame, and how sure of it it is."""
    assert model.tokenizer is not None, "a scoring model reads tokens"
    rendered = [render_frames(trace, model.tokenizer) for trace in traces]
    scores = model.score([item.ids for item in rendered])
    tasks = [
        task
        for number, (item, score) in enumerate(zip(rendered, scores, strict=True))
        # the longest prefix first: the engine shares what the next prompt has in common with the last one
        for task in reversed(list(disagreements(number, item, score.argmax)))
    ]
    requests = [request_of(task, rendered[task.trace], traces[task.trace], model.tokenizer, grammar) for task in tasks]
    completions = iter(model.generate([request for request in requests if not is_over(request)]))
    written: list[dict[int, list[int]]] = [{} for _ in traces]
    logprobs = [
        [sum(score.logprobs[start - 1 : end - 1]) for start, end in map(item.span, range(len(item.frame_starts)))]
        for item, score in zip(rendered, scores, strict=True)
    ]
    for task, request in zip(tasks, requests, strict=True):
        start, score = rendered[task.trace].frame_starts[task.frame], scores[task.trace]
        rest = None if is_over(request) else next(completions)
        written[task.trace][task.frame] = [*request.prompt[start:], *(rest.tokens if rest else ())]
        forced = score.argmax_logprobs[task.place - 1] if len(request.prompt) > task.place else 0.0
        made = sum(rest.logprobs or ()) if rest else 0.0
        logprobs[task.trace][task.frame] = sum(score.logprobs[start - 1 : task.place - 1]) + forced + made
    return [
        Forced(
            frames=read(trace, frames, model.tokenizer),
            confidences=(1.0, *(min(1.0, math.exp(value)) for value in values[1:])),
        )
        for trace, frames, values in zip(traces, written, logprobs, strict=True)
    ]


def disagreements(number: int, item: RenderedTrace, argmax: Sequence[int]) -> Iterator[Task]:
    """Each frame after the first in which the argmax leaves the truth."""
    for frame in range(1, len(item.frame_starts)):
        start, end = item.span(frame)
        for place in range(start, end):
            if argmax[place - 1] != item.ids[place]:
                yield Task(trace=number, frame=frame, place=place, token=argmax[place - 1])
                break


def request_of(
    task: Task, item: RenderedTrace, trace: Trace, tokenizer: Tokenizer, make_grammar: MakeGrammar | None
) -> Request:
    """For the rest of a differing frame; the prompt ends with the differing token, or before it under a grammar."""
    start, end = item.span(task.frame)
    grammar = grammar_of(make_grammar, trace, item.ids[item.context_end : task.place])
    prompt = (*item.ids[: task.place], *(() if grammar else (task.token,)))
    return Request(
        prompt=prompt,
        max_tokens=start + 2 * (end - start) + SLACK - len(prompt),
        stop_ids=frozenset(tokenizer.special[special.key] for special in (Special.FRAME_SEP, Special.END_OF_TEXT)),
        grammar=grammar,
        logprobs=True,
    )


def is_over(request: Request) -> bool:
    """The differing token, already in the prompt, ends the frame."""
    return request.grammar is None and request.prompt[-1] in request.stop_ids


def grammar_of(make: MakeGrammar | None, trace: Trace, prefix: Sequence[int]) -> Grammar | None:
    """None also where the truth itself is outside the language: it names a line that its context does not have."""
    try:
        return make(trace.context, prefix) if make is not None else None
    except DataError:
        return None


def read(trace: Trace, written: Mapping[int, Sequence[int]], tokenizer: Tokenizer) -> Predicted:
    """The true frames, those in `written` replaced by what the model wrote."""
    predicted: Predicted = list(view(trace).frames)
    stack = Stack()
    for index, frame in enumerate(trace.frames):
        if index in written:
            predicted[index] = read_frame(written[index], tokenizer, stack.copy())
        stack.apply(frame)
    return predicted


def read_frame(ids: Sequence[int], tokenizer: Tokenizer, stack: Stack) -> FrameView | ParseError:
    """The one frame that `ids` should be, after the ones that `stack` has seen."""
    parsed = parse_frames(ids, tokenizer, stack.copy())
    if len(parsed.frames) == 1 and parsed.error is None:
        return view_frame(parsed.frames[0], stack)
    return parsed.error or ParseError(index=0, reason="the text ends where a frame should be", frame=0)
