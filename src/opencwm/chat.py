"""CWM's chat format: conversations as token ids, and a model's reply as reasoning, text and tool calls.

    turns --encode--> ids --model--> text, piece by piece --Reply--> reasoning, content, tool calls

A turn is `<|start_header_id|>ROLE<|end_header_id|>`, an empty line, the content and `<|eot_id|>`; the role of a tool's
result is `tool: NAME`. Reasoning is switched on by the system prompt and by opening the reply with `<think>`. A call is

    <tool: NAME>
    BODY
    </tool>

and ends at the first line that begins with `</tool>`. A tool whose parameters are all required strings takes a plain
body, as CWM's own `bash`, `create` and `edit` do: each parameter but the last is a line, the last is the rest. The
body of any other tool is a JSON object. (CWM's prompting guide; where its parsers differ from one another, a call may
also stand behind other text of its line.)

Contents are encoded as ordinary characters, so that nothing that a user or a tool writes becomes a control token.

Not here: traces (`trace/`), which are no chats.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opencwm.errors import ConfigError
from opencwm.tokenizer import Tokenizer
from opencwm.trace.stream import Special

IDENTITY = "You are a helpful AI assistant."
REASONING = (
    f"{IDENTITY} You always reason before responding, using the following format:\n\n"
    "<think>\nyour internal reasoning\n</think>\nyour external response"
)
"""How a system prompt begins where CWM is to reason (prompting guide): the words that switch it on in the weights."""
OPEN_REASONING = "<think>"
CLOSE_REASONING = "</think>"
_OPENINGS = (OPEN_REASONING, Special.REASONING_THINKING_START.value)
_CLOSINGS = (CLOSE_REASONING, Special.REASONING_THINKING_END.value)
_END_OF_CALL = re.compile(r"(?:\A|\n)</tool>")
_NEEDED = (Special.BEGIN_OF_TEXT, Special.START_HEADER_ID, Special.END_HEADER_ID, Special.EOT_ID)


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    role: str
    """system, user, assistant, or `tool: NAME`."""
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """JSON schema of an object."""

    @property
    def plain_parameters(self) -> tuple[str, ...]:
        """The parameters in their order, where the body is plain text; empty where it is JSON."""
        properties = self.parameters.get("properties")
        if not isinstance(properties, Mapping) or set(properties) != set(self.parameters.get("required") or ()):
            return ()
        is_plain = all(isinstance(each, Mapping) and each.get("type") == "string" for each in properties.values())
        return tuple(properties) if is_plain else ()

    @property
    def opening(self) -> str:
        return f"<tool: {self.name}>\n"

    def announce(self) -> str:
        """What the system prompt says about it."""
        plain = self.plain_parameters
        body = "\n".join(f"[{name}]" for name in plain) if plain else "[arguments]"
        lines = [f"{self.opening}{body}\n</tool>", self.description.strip()]
        if plain:
            properties = self.parameters["properties"]
            lines += [f"[{name}]: {text}" for name in plain if (text := properties[name].get("description"))]
        else:
            schema = json.dumps(self.parameters, ensure_ascii=False)
            lines.append(f"[arguments] is a JSON object that fits this schema: {schema}")
        return "\n".join(filter(None, lines))

    def body(self, arguments: str) -> str:
        """The body of a call with these arguments, a JSON object's text; JSON too where it cannot be plain."""
        plain = self.plain_parameters
        values = json_object(arguments) if plain else None
        if values is None or set(values) != set(plain):
            return arguments
        texts = [values[name] for name in plain]
        if any(not isinstance(text, str) for text in texts) or any("\n" in text for text in texts[:-1]):
            return arguments
        body = "\n".join(texts)
        return arguments if _END_OF_CALL.search(body) else body

    def arguments(self, body: str) -> str:
        """The arguments in a body that the model wrote, as JSON; where it is not what it should be, as it is."""
        plain = self.plain_parameters
        if not plain:
            return body
        texts = body.split("\n", len(plain) - 1)
        return json.dumps(dict(zip(plain, texts, strict=False)), ensure_ascii=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    name: str
    arguments: str
    """A JSON object's text; anything at all where the model wrote something else."""


def write_call(call: Call, tool: Tool | None) -> str:
    """A call as the model writes it; `tool` is None where it is no longer offered."""
    tool = tool or Tool(name=call.name)
    return f"{tool.opening}{tool.body(call.arguments)}\n</tool>"


def write_reply(content: str, *, reasoning: str = "", calls: Sequence[str] = ()) -> str:
    """A whole reply, as a later prompt repeats it."""
    thought = f"{OPEN_REASONING}\n{reasoning.strip()}\n{CLOSE_REASONING}" if reasoning.strip() else ""
    return "\n".join(filter(None, [thought, content.strip(), *calls]))


def system_prompt(system: str, tools: Sequence[Tool], *, reasoning: bool) -> str:
    """What the conversation begins with: how to answer, what the caller says, which tools there are."""
    system = system.strip()
    head = REASONING if reasoning else "" if system else IDENTITY
    if system.startswith(REASONING):
        head = ""
    announced = [tool.announce() for tool in tools]
    if announced:
        announced.insert(0, "You have access to the following tools:")
    return "\n\n".join(filter(None, [head, system, *announced]))


def has_chat(tokenizer: Tokenizer) -> bool:
    return all(special.key in tokenizer.special for special in _NEEDED)


def encode(turns: Sequence[Turn], tokenizer: Tokenizer, *, opening: str = "") -> list[int]:
    """The prompt that asks for the assistant's next turn, which begins with `opening`."""
    if not has_chat(tokenizer):
        raise ConfigError("this model's tokenizer has no chat tokens", fix="use text or token prompts")
    special = tokenizer.special
    ids = [special[Special.BEGIN_OF_TEXT.key]]
    for turn in turns:
        is_tool = turn.role.startswith("tool: ")
        ids += header(turn.role, tokenizer)
        ids += tokenizer.encode(turn.content if is_tool else turn.content.strip())
        ids.append(special[Special.EOT_ID.key])
    ids += header("assistant", tokenizer)
    return ids + (tokenizer.encode(opening) if opening else [])


def header(role: str, tokenizer: Tokenizer) -> list[int]:
    """What a turn begins with."""
    start, end = tokenizer.special[Special.START_HEADER_ID.key], tokenizer.special[Special.END_HEADER_ID.key]
    return [start, *tokenizer.encode(role), end, *tokenizer.encode("\n\n")]


@dataclass(kw_only=True, slots=True)
class Delta:
    """What a piece of a reply adds to it."""

    reasoning: str = ""
    content: str = ""
    calls: list[Call] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.reasoning or self.content or self.calls)


class Reply:
    """Reads a reply as it is written. How it is cut into pieces does not change what it says."""

    def __init__(
        self,
        tools: Sequence[Tool] = (),
        *,
        in_reasoning: bool = False,
        forced: Tool | None = None,
        is_begun: bool = False,
    ) -> None:
        """The prompt may have opened the reasoning, the call of `forced`, or the content."""
        self._openings = {tool.opening: tool for tool in tools}
        self._in_reasoning = in_reasoning
        self._tool = forced
        """Whose call is being read."""
        self._text = ""
        """What has come and is not told yet."""
        self._is_start = not is_begun
        """Whether only space has come since the reply, its reasoning or its last call."""
        self._may_reason = not (in_reasoning or forced or is_begun)

    def push(self, text: str) -> Delta:
        self._text += text
        delta = Delta()
        while self._advance(delta):
            pass
        return delta

    def end(self) -> Delta:
        """What was held back; a call that did not come to its end is text."""
        rest, self._text = self._text, ""
        if self._tool is not None:
            return Delta(content=self._tool.opening + rest)
        return Delta(reasoning=rest) if self._in_reasoning else Delta(content=rest)

    def _advance(self, delta: Delta) -> bool:
        """Read as far as the next change of what is read; False where the text does not reach one."""
        if self._tool is not None:
            return self._read_call(self._tool, delta)
        if self._is_start:
            self._text = self._text.lstrip()
        if self._in_reasoning:
            found = first_of(self._text, _CLOSINGS)
            if found is None:
                delta.reasoning += self._tell(_CLOSINGS)
                return False
            at, mark = found
            delta.reasoning += self._text[:at].rstrip()
            self._enter(self._text[at + len(mark) :], in_reasoning=False)
            return True
        if self._is_start and self._may_reason:
            for mark in _OPENINGS:
                if self._text.startswith(mark):
                    self._enter(self._text[len(mark) :], in_reasoning=True)
                    return True
                if mark.startswith(self._text):
                    return False
        found = first_of(self._text, self._openings)
        if found is None:
            delta.content += self._tell((*self._openings,))
            return False
        at, mark = found
        delta.content += self._text[:at].rstrip()
        self._tool, self._text = self._openings[mark], self._text[at + len(mark) :]
        return True

    def _read_call(self, tool: Tool, delta: Delta) -> bool:
        end = _END_OF_CALL.search(self._text)
        if end is None:
            return False
        delta.calls.append(Call(name=tool.name, arguments=tool.arguments(self._text[: end.start()])))
        self._tool = None
        self._enter(self._text[end.end() :], in_reasoning=False)
        return True

    def _enter(self, rest: str, *, in_reasoning: bool) -> None:
        self._text, self._in_reasoning, self._is_start, self._may_reason = rest, in_reasoning, True, False

    def _tell(self, marks: Sequence[str]) -> str:
        """Everything but what may turn out to be the beginning of a mark, or space before one."""
        held = held_back(self._text, marks)
        told = self._text[: len(self._text) - held].rstrip()
        self._text = self._text[len(told) :]
        self._is_start = self._is_start and not told
        return told


def first_of(text: str, marks: Sequence[str] | Mapping[str, Any]) -> tuple[int, str] | None:
    """Where the first of `marks` stands in a text, and which it is."""
    found = [(at, mark) for mark in marks if (at := text.find(mark)) >= 0]
    return min(found, default=None)


def held_back(text: str, marks: Sequence[str]) -> int:
    """How many of the last characters may be the beginning of a mark."""
    longest = max(map(len, marks), default=0) - 1
    for count in range(min(longest, len(text)), 0, -1):
        end = text[-count:]
        if any(mark.startswith(end) for mark in marks):
            return count
    return 0


def json_object(text: str) -> dict[str, Any] | None:
    """The object that a JSON text holds; None where it holds none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
