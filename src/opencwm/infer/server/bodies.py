"""What clients may send: the bodies of the two endpoints, checked once, here.

OpenAI's fields, and vLLM's where OpenAI has none. A field that would change the answer in a way that this server does
not know is refused unless it has its neutral value; an unknown field is refused with the nearest one that exists.
"""

import difflib
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opencwm.chat import Call, Tool
from opencwm.infer.server.errors import Refusal

UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": (),
    "functions": (),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "prediction": (),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "spaces_between_special_tokens": (False,),
    "suffix": ("",),
    "verbosity": ("medium",),
    "web_search_options": (),
}
"""OpenAI's fields that would change the answer, with the values that are as good as none (besides null)."""
WITHOUT_EFFECT = frozenset(
    "metadata prompt_cache_key prompt_cache_retention safety_identifier service_tier store user".split()
)
"""OpenAI's fields that are about its service, not about the answer."""
Stop = Annotated[str, Field(min_length=1, max_length=128)]
TokenId = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"\A[A-Za-z0-9_.-]{1,64}\z")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lenient(BaseModel):
    """Parts of a conversation: clients send back what they were sent, with fields of their own."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False


class Sampling(Strict):
    """What both endpoints take."""

    model: str
    max_tokens: int | None = Field(None, ge=0)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    n: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    stop_token_ids: list[TokenId] | None = None
    ignore_eos: bool = False
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool = True
    return_token_ids: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        for name, neutral in UNSUPPORTED.items():
            if body.get(name) is not None and body[name] not in neutral:
                raise Refusal(400, f"{name} is not supported: leave it out", code="unsupported_parameter", param=name)
        body = {name: value for name, value in body.items() if name not in UNSUPPORTED and name not in WITHOUT_EFFECT}
        for name in body:
            if name not in cls.model_fields:
                near = difflib.get_close_matches(name, cls.model_fields, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise Refusal(400, f"unknown field {name[:80]!r}{hint}", code="unknown_parameter", param=name[:80])
        return body

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionBody(Sampling):
    prompt: str | list[TokenId] | list[str] | list[list[TokenId]]
    logprobs: int | None = Field(None, ge=0, le=20)
    add_special_tokens: bool = True


class Part(Lenient):
    type: Literal["text"]
    text: str


Content = str | list[Part]


class Function(Lenient):
    name: Name
    arguments: str = ""


class ToolCall(Lenient):
    id: str
    function: Function

    @property
    def call(self) -> Call:
        return Call(name=self.function.name, arguments=self.function.arguments)


class ChatMessage(Lenient):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class FunctionOffer(Lenient):
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolOffer(Lenient):
    type: Literal["function"]
    function: FunctionOffer

    @property
    def tool(self) -> Tool:
        offer = self.function
        return Tool(name=offer.name, description=offer.description or "", parameters=offer.parameters or {})


class NamedFunction(Strict):
    name: str


class NamedTool(Strict):
    type: Literal["function"]
    function: NamedFunction


class TemplateOptions(Strict):
    enable_thinking: bool | None = None
    preserve_previous_think: bool = True


class ChatBody(Sampling):
    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=0)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[ToolOffer] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    chat_template_kwargs: TemplateOptions = TemplateOptions()

    @property
    def reasons(self) -> bool:
        asked = self.chat_template_kwargs.enable_thinking
        return self.reasoning_effort != "none" if asked is None else asked


Body = TypeVar("Body", bound=Sampling)


def read_body(kind: type[Body], data: bytes) -> Body:
    """The body in `data`; a Refusal says what is wrong with it."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"][:1].lower() + first["msg"][1:]
        raise Refusal(400, f"{place}: {said}" if place else said, param=place or None) from None
