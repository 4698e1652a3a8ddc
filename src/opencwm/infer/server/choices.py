"""One choice of an answer: from tokens to what the client reads, in pieces or as a whole.

A whole answer is the sum of its pieces, so that streaming changes nothing but when things come.
"""

import json
import uuid
from collections.abc import Sequence
from typing import Any, Protocol

from opencwm.chat import Delta, Reply
from opencwm.infer.scheduler import Made
from opencwm.infer.text import TextStream
from opencwm.tokenizer import Tokenizer

Json = dict[str, Any]


class Choice(Protocol):
    is_done: bool
    """Nothing that is still made counts."""
    num_tokens: int
    """Made so far, as far as they count."""

    def push(self, part: Made) -> Json | None:
        """What the part adds, as a choice of a streamed event; None where it adds nothing yet."""
        ...

    def whole(self) -> Json:
        """Everything so far, as a choice of an answer that is not streamed."""
        ...


class TextChoice:
    """Of `/v1/completions`."""

    def __init__(
        self, index: int, tokenizer: Tokenizer, text: TextStream, *, num_logprobs: int | None, has_ids: bool
    ) -> None:
        self.is_done = False
        self.num_tokens = 0
        self._index = index
        self._tokenizer = tokenizer
        self._stream = text
        self._num_logprobs = num_logprobs
        self._has_ids = has_ids
        self._parts: list[Json] = []

    def push(self, part: Made) -> Json | None:
        kept, offsets, text = 0, [], ""
        for token in part.tokens:
            offsets.append(self._stream.num_chars)
            text += self._stream.push(token)
            kept += 1
            if self._stream.is_stopped:
                break
        self.num_tokens += kept
        finish = "stop" if self._stream.is_stopped else part.finish
        if finish is not None:
            text += self._stream.end()
            finish = "stop" if self._stream.is_stopped else finish
            self.is_done = True
        piece: Json = {"index": self._index, "text": text, "logprobs": None, "finish_reason": finish}
        if self._num_logprobs is not None:
            piece["logprobs"] = self._logprobs(part, kept, offsets)
        if self._has_ids:
            piece["token_ids"] = part.tokens[:kept]
        if not text and finish is None and self._num_logprobs is None and not self._has_ids:
            return None
        self._parts.append(piece)
        return piece

    def _logprobs(self, part: Made, kept: int, offsets: list[int]) -> Json:
        tops = [
            {spelt(token, self._tokenizer): logprob for token, logprob in best} for best in part.top_logprobs[:kept]
        ]
        return {
            "tokens": [spelt(token, self._tokenizer) for token in part.tokens[:kept]],
            "token_logprobs": part.logprobs[:kept],
            "top_logprobs": tops if self._num_logprobs else None,
            "text_offset": offsets,
        }

    def whole(self) -> Json:
        parts = self._parts
        whole: Json = {
            "index": self._index,
            "text": "".join(part["text"] for part in parts),
            "logprobs": None,
            "finish_reason": parts[-1]["finish_reason"],
        }
        if self._num_logprobs is not None:
            whole["logprobs"] = {
                name: None if parts[0]["logprobs"][name] is None else joined(part["logprobs"][name] for part in parts)
                for name in parts[0]["logprobs"]
            }
        if self._has_ids:
            whole["token_ids"] = joined(part["token_ids"] for part in parts)
        return whole


class ChatChoice:
    """Of `/v1/chat/completions`."""

    def __init__(
        self,
        index: int,
        tokenizer: Tokenizer,
        text: TextStream,
        reply: Reply,
        *,
        has_logprobs: bool,
        has_ids: bool,
        one_call: bool,
    ) -> None:
        """With `one_call` the answer ends with the first tool call."""
        self.is_done = False
        self.num_tokens = 0
        self._index = index
        self._tokenizer = tokenizer
        self._stream = text
        self._reply = reply
        self._has_logprobs = has_logprobs
        self._has_ids = has_ids
        self._one_call = one_call
        self._num_calls = 0
        self._parts: list[Json] = []

    def push(self, part: Made) -> Json | None:
        kept, delta = 0, Delta()
        for token in part.tokens:
            kept += 1
            add(delta, self._reply.push(self._stream.push(token)))
            if self._stream.is_stopped or (self._one_call and delta.calls):
                break
        self.num_tokens += kept
        has_calls = bool(self._num_calls or delta.calls)
        is_cut = self._stream.is_stopped or (self._one_call and has_calls)
        finish: str | None = "stop" if is_cut else part.finish
        if finish is not None:
            if not (self._one_call and has_calls):
                add(delta, self._reply.push(self._stream.end()))
                add(delta, self._reply.end())
            finish = "stop" if self._stream.is_stopped else finish
            has_calls = bool(self._num_calls or delta.calls)
            self.is_done = True
        if finish == "stop" and has_calls:
            finish = "tool_calls"
        if not delta and finish is None and not self._has_logprobs and not self._has_ids:
            return None
        piece: Json = {"index": self._index, "delta": self._told(delta), "logprobs": None, "finish_reason": finish}
        if self._has_logprobs:
            piece["logprobs"] = {"content": [self._entry(part, at) for at in range(kept)]}
        if self._has_ids:
            piece["token_ids"] = part.tokens[:kept]
        self._parts.append(piece)
        return piece

    def _told(self, delta: Delta) -> Json:
        told: Json = {} if self._parts else {"role": "assistant"}
        if delta.reasoning:
            told["reasoning_content"] = delta.reasoning
        if delta.content:
            told["content"] = delta.content
        if delta.calls:
            told["tool_calls"] = [
                {
                    "index": self._num_calls + at,
                    "id": f"call_{uuid.uuid4().hex[:24]}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for at, call in enumerate(delta.calls)
            ]
            self._num_calls += len(delta.calls)
        return told

    def _entry(self, part: Made, at: int) -> Json:
        best = part.top_logprobs[at] if part.top_logprobs else []
        return self._named(part.tokens[at], part.logprobs[at]) | {"top_logprobs": [self._named(*each) for each in best]}

    def _named(self, token: int, logprob: float) -> Json:
        table = self._tokenizer.token_bytes
        return {
            "token": spelt(token, self._tokenizer),
            "logprob": logprob,
            "bytes": list(table[token]) if token < len(table) else [],
        }

    def whole(self) -> Json:
        deltas = [part["delta"] for part in self._parts]
        calls = joined(delta.get("tool_calls", []) for delta in deltas)
        content = "".join(delta.get("content", "") for delta in deltas)
        reasoning = "".join(delta.get("reasoning_content", "") for delta in deltas)
        message: Json = {"role": "assistant", "content": content if content or not calls else None}
        if reasoning:
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = [{name: call[name] for name in ("id", "type", "function")} for call in calls]
        whole: Json = {
            "index": self._index,
            "message": message,
            "logprobs": None,
            "finish_reason": self._parts[-1]["finish_reason"],
        }
        if self._has_logprobs:
            whole["logprobs"] = {"content": joined(part["logprobs"]["content"] for part in self._parts)}
        if self._has_ids:
            whole["token_ids"] = joined(part["token_ids"] for part in self._parts)
        return whole


def add(delta: Delta, more: Delta) -> None:
    delta.reasoning += more.reasoning
    delta.content += more.content
    delta.calls += more.calls


def joined(lists: Any) -> list[Any]:
    return [item for each in lists for item in each]


def spelt(token: int, tokenizer: Tokenizer) -> str:
    """A token as a string of its own; `bytes:..` where it is only a part of a character."""
    if token >= tokenizer.vocab_size:
        return ""
    data = tokenizer.token_bytes[token]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def event(data: Json | str) -> bytes:
    """A server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


def usage(num_prompt: int, made: Sequence[int]) -> Json:
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": sum(made),
        "total_tokens": num_prompt + sum(made),
    }
