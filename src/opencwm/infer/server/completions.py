"""From a body to the engine's requests and the choices that read what they make."""

import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opencwm.chat import (
    OPEN_REASONING,
    Reply,
    Tool,
    Turn,
    encode,
    has_chat,
    system_prompt,
    write_call,
    write_reply,
)
from opencwm.infer.server.bodies import ChatBody, ChatMessage, CompletionBody, NamedTool, Sampling
from opencwm.infer.server.choices import ChatChoice, Choice, TextChoice
from opencwm.infer.server.errors import Refusal
from opencwm.infer.text import TextStream
from opencwm.protocols import Request
from opencwm.tokenizer import Tokenizer
from opencwm.trace.stream import Special, split_specials

COMPLETION_TOKENS = 16
"""Most tokens of a completion that does not say how many: OpenAI's number."""
GREEDY_BELOW = 1e-3
"""Smaller temperatures are 0: probabilities divided by them are no numbers any more."""
ENDS = (Special.END_OF_TEXT, Special.EOT_ID, Special.EOM_ID)


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What the endpoints need to know of the model."""

    name: str
    tokenizer: Tokenizer
    vocab_size: int
    context: int
    """Most tokens of prompt and completion together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One HTTP request, ready to be run."""

    kind: str
    """The `object` of the answer."""
    requests: list[Request]
    choices: list[Choice]
    num_prompt: int
    """Tokens of the prompts, each counted once."""
    more: dict[str, Any]
    """What the answer says besides its choices and its usage."""

    def head(self, name: str) -> dict[str, Any]:
        prefix = "cmpl" if self.kind == "text_completion" else "chatcmpl"
        return {"id": f"{prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}


def plan_completion(body: CompletionBody, served: Served) -> Plan:
    prompts = [checked(ids, served, "prompt") for ids in prompt_ids(body, served.tokenizer)]
    is_ids = not isinstance(body.prompt, str) and not isinstance(body.prompt[0], str)
    has_ids = is_ids if body.return_token_ids is None else body.return_token_ids
    limit = COMPLETION_TOKENS if body.max_tokens is None else body.max_tokens
    requests: list[Request] = []
    choices: list[Choice] = []
    for ids in prompts:
        for request in requests_of(body, ids, served, limit, num_logprobs=body.logprobs):
            requests.append(request)
            text = text_stream(body, request, served.tokenizer)
            choice = TextChoice(len(choices), served.tokenizer, text, num_logprobs=body.logprobs, has_ids=has_ids)
            choices.append(choice)
    more = {"prompt_token_ids": prompts[0] if len(prompts) == 1 else prompts} if has_ids else {}
    return Plan(
        kind="text_completion",
        requests=requests,
        choices=choices,
        num_prompt=sum(map(len, prompts)),
        more=more,
    )


def plan_chat(body: ChatBody, served: Served) -> Plan:
    if not has_chat(served.tokenizer):
        raise Refusal(400, f"{served.name} has no chat tokens: use /v1/completions", code="no_chat", param="messages")
    tools = [] if body.tool_choice == "none" else [offer.tool for offer in body.tools or []]
    if len({tool.name for tool in tools}) < len(tools):
        raise Refusal(400, "two tools have the same name", param="tools")
    forced = forced_tool(body, tools)
    turns = turns_of(body, tools, reasoning=body.reasons)
    begun = begun_reply(body.messages[-1])
    if begun:
        turns.pop()
    reasons = body.reasons and not forced and not begun
    opening = forced.opening if forced else f"{OPEN_REASONING}\n" if reasons else begun
    ids = checked(encode(turns, served.tokenizer, opening=opening), served, "messages")
    num_logprobs = (body.top_logprobs or 0) if body.logprobs else None
    asked = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    limit = served.context if asked is None else asked
    requests = requests_of(body, ids, served, limit, num_logprobs=num_logprobs)
    choices = [
        ChatChoice(
            index,
            served.tokenizer,
            text_stream(body, request, served.tokenizer),
            Reply(tools, in_reasoning=reasons, forced=forced, is_begun=bool(begun)),
            has_logprobs=bool(body.logprobs),
            has_ids=bool(body.return_token_ids),
            one_call=body.parallel_tool_calls is False or forced is not None,
        )
        for index, request in enumerate(requests)
    ]
    more = {"prompt_token_ids": ids} if body.return_token_ids else {}
    return Plan(kind="chat.completion", requests=requests, choices=list(choices), num_prompt=len(ids), more=more)


def prompt_ids(body: CompletionBody, tokenizer: Tokenizer) -> list[list[int]]:
    """The prompts as token ids. A text's special tokens are characters like any other, unless the caller says that it
    has put them there itself: then they are tokens, and no begin-of-text is added."""
    prompt = body.prompt
    if isinstance(prompt, str):
        prompt = [prompt]
    if not prompt:
        raise Refusal(400, "the prompt is empty", param="prompt")
    if isinstance(prompt[0], int):
        return [list(prompt)]
    rows: list[list[int]] = []
    for item in prompt:
        if not isinstance(item, str):
            rows.append(list(item))
        elif body.add_special_tokens:
            rows.append([tokenizer.special[Special.BEGIN_OF_TEXT.key], *tokenizer.encode(item)])
        else:
            rows.append(stream_ids(item, tokenizer))
    return rows


def stream_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    """A text in which special tokens are spelt out."""
    ids: list[int] = []
    for _, piece in split_specials(text):
        if isinstance(piece, Special) and piece.key in tokenizer.special:
            ids.append(tokenizer.special[piece.key])
        else:
            ids += tokenizer.encode(piece.value if isinstance(piece, Special) else piece)
    return ids


def checked(ids: list[int], served: Served, param: str) -> list[int]:
    """The prompt, where the model can read it and answer."""
    if len(ids) >= served.context:
        message = f"the prompt has {len(ids)} tokens, and {served.name} reads {served.context} with its answer"
        raise Refusal(400, message, code="context_length_exceeded", param=param)
    wrong = next((token for token in ids if not 0 <= token < served.vocab_size), None)
    if wrong is not None:
        raise Refusal(400, f"there is no token {wrong}: ids end at {served.vocab_size - 1}", param=param)
    return ids


def requests_of(
    body: Sampling, ids: list[int], served: Served, limit: int, *, num_logprobs: int | None
) -> list[Request]:
    """One per choice; the seeds of further ones are the next integers."""
    seed = secrets.randbits(62) if body.seed is None else body.seed
    special = served.tokenizer.special
    ends = frozenset() if body.ignore_eos else {special[end.key] for end in ENDS if end.key in special}
    temperature = 1.0 if body.temperature is None else body.temperature
    return [
        Request(
            prompt=tuple(ids),
            max_tokens=min(limit, served.context - len(ids)),
            stop_ids=frozenset(ends) | frozenset(body.stop_token_ids or ()),
            temperature=temperature if temperature >= GREEDY_BELOW else 0.0,
            top_p=1.0 if body.top_p is None else body.top_p,
            seed=seed + place,
            logprobs=num_logprobs is not None,
            top_logprobs=num_logprobs or 0,
        )
        for place in range(body.n or 1)
    ]


def text_stream(body: Sampling, request: Request, tokenizer: Tokenizer) -> TextStream:
    hidden = set() if body.include_stop_str_in_output else set(request.stop_ids)
    if body.skip_special_tokens:
        hidden |= set(tokenizer.special.values())
    return TextStream(tokenizer, stops=body.stops, hidden=hidden, includes_stop=body.include_stop_str_in_output)


def forced_tool(body: ChatBody, tools: Sequence[Tool]) -> Tool | None:
    """The tool that must be called, if one must."""
    if isinstance(body.tool_choice, NamedTool):
        name = body.tool_choice.function.name
        for tool in tools:
            if tool.name == name:
                return tool
        raise Refusal(400, f"tool_choice names {name[:80]!r}, which is not among the tools", param="tool_choice")
    if body.tool_choice == "required":
        if len(tools) != 1:
            raise Refusal(400, "tool_choice required needs exactly one tool: name the one to call", param="tool_choice")
        return tools[0]
    return None


def turns_of(body: ChatBody, tools: Sequence[Tool], *, reasoning: bool) -> list[Turn]:
    """The conversation in CWM's format: one system turn first, results under the names of their tools."""
    messages = body.messages
    num_system = next((i for i, item in enumerate(messages) if item.role not in ("system", "developer")), len(messages))
    system = "\n\n".join(item.text for item in messages[:num_system])
    turns = [Turn(role="system", content=system_prompt(system, tools, reasoning=reasoning))]
    names: dict[str, str] = {}
    offered = {tool.name: tool for tool in tools}
    for place, message in enumerate(messages[num_system:], num_system):
        if message.role == "assistant":
            names |= {call.id: call.function.name for call in message.tool_calls or []}
            turns.append(Turn(role="assistant", content=reply_of(message, offered, body)))
        elif message.role == "tool":
            name = names.get(message.tool_call_id or "")
            if name is None:
                raise Refusal(
                    400, f"messages.{place}: no earlier message has a call with this tool_call_id", param="messages"
                )
            turns.append(Turn(role=f"tool: {name}", content=message.text))
        else:
            role = "system" if message.role == "developer" else message.role
            turns.append(Turn(role=role, content=message.text))
    return turns


def begun_reply(last: ChatMessage) -> str:
    """What the answer begins with, where the caller says so; every space counts."""
    if last.role != "assistant":
        return ""
    if last.tool_calls:
        raise Refusal(400, "the last message's tool calls have no results yet", param="messages")
    return last.text


def reply_of(message: ChatMessage, offered: dict[str, Tool], body: ChatBody) -> str:
    thought = message.reasoning_content or "" if body.chat_template_kwargs.preserve_previous_think else ""
    calls = [write_call(call.call, offered.get(call.function.name)) for call in message.tool_calls or []]
    return write_reply(message.text, reasoning=thought, calls=calls)
