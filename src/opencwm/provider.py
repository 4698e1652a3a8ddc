"""A model behind an OpenAI-compatible server: vLLM with the 32B, or any model that speaks language.

    Request --/v1/completions (text, token ids) or /v1/chat/completions (messages)--> Completion

Requests run a few at a time. What may pass (no connection, time out, 429, 5xx) is tried again a bounded number of
times with growing pauses; what still fails is a completion with finish `failed`, and where everything failed alike, a
ProviderError. A trace prompt (token ids, or text that begins with CWM's begin-of-text) also sends vLLM's options that
keep special tokens.

Not here: streaming, tool calls, grammars (each server has its own).
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opencwm.errors import ConfigError, ProviderError
from opencwm.protocols import Completion, Finish, Message, Request
from opencwm.trace.stream import Special

if TYPE_CHECKING:
    import httpx

    from opencwm.tokenizer import Tokenizer

TRIES = 4
FIRST_PAUSE_S = 0.5
"""Before the second try; each further pause is twice as long, or as long as the server asks."""
LONGEST_PAUSE_S = 30.0


class ServerModel:
    """A `protocols.Model` over HTTP."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        api_key: str | None = None,
        concurrency: int = 8,
        timeout_s: float = 600.0,
        transport: "httpx.BaseTransport | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`transport` and `sleep` stand in for the network and the clock."""
        try:
            import httpx
        except ImportError as exc:
            raise ConfigError("models behind a server need httpx", fix="pip install 'opencwm[evals]'") from exc
        self.name = name
        self.url = base_url(url)
        self.tokenizer: Tokenizer | None = None
        self._concurrency = concurrency
        self._sleep = sleep
        self._transient = (httpx.TransportError,)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(headers=headers, timeout=timeout_s, transport=transport)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        if any(request.grammar is not None for request in requests):
            raise ConfigError(f"{self.name} is behind a server, which takes no grammar of ours", fix="leave it out")
        with ThreadPoolExecutor(max_workers=self._concurrency) as pool:
            completions = list(pool.map(self._one, requests))
        errors = {completion.error for completion in completions if completion.finish == "failed"}
        if len(completions) and all(completion.finish == "failed" for completion in completions) and len(errors) == 1:
            raise ProviderError(errors.pop() or "", fix="check the address and the server's log, then run again")
        return completions

    def close(self) -> None:
        """Close the connections that are kept open for further requests."""
        self._client.close()

    def _one(self, request: Request) -> Completion:
        try:
            path, body = payload(self.name, request)
            return completion_of(self._post(path, body), request)
        except ProviderError as exc:
            return Completion(tokens=(), text="", finish="failed", error=exc.sentence)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The server's answer; a ProviderError after the last try."""
        url = f"{self.url}{path}"
        said = ""
        for attempt in range(TRIES):
            pause = FIRST_PAUSE_S * 2**attempt
            try:
                response = self._client.post(url, json=body)
            except self._transient as exc:
                said = f"{type(exc).__name__}: {exc}"
            else:
                if response.status_code == 200:
                    return answer_of(response, url)
                said = f"status {response.status_code}: {response.text[:200]}"
                if response.status_code != 429 and response.status_code < 500:
                    raise ProviderError(f"{url} refuses the request: {said}")
                pause = asked_pause(response.headers.get("retry-after"), pause)
            if attempt + 1 < TRIES:
                self._sleep(min(pause, LONGEST_PAUSE_S))
        raise ProviderError(f"{url} did not answer in {TRIES} tries: {said}")


def is_address(name: str) -> bool:
    return name.startswith(("http://", "https://"))


def served_model(name: str) -> ServerModel:
    """The model that `URL#name` means; raises ConfigError where that says no name or no address. The
    server's key, where it wants one, is that of the variable OPENCWM_API_KEY."""
    url, _, served = name.partition("#")
    if not is_address(url) or not served:
        raise ConfigError(f"{name} does not say which of the server's models to use", fix="write it as URL#name")
    return ServerModel(url, served, api_key=os.environ.get("OPENCWM_API_KEY"))


def base_url(url: str) -> str:
    """Up to and including `/v1`, which is added where the address names a host only."""
    url = url.rstrip("/")
    host = url.split("://", 1)[-1]
    return url if "/" in host else url + "/v1"


def payload(name: str, request: Request) -> tuple[str, dict[str, Any]]:
    """Path and JSON body of a request."""
    body: dict[str, Any] = {
        "model": name,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
    }
    if request.stop_texts:
        body["stop"] = list(request.stop_texts)
    prompt = request.prompt
    if isinstance(prompt, tuple) and prompt and isinstance(prompt[0], Message):
        messages = [{"role": item.role, "content": item.content} for item in prompt if isinstance(item, Message)]
        return "/chat/completions", body | {"messages": messages}
    body["prompt"] = prompt if isinstance(prompt, str) else list(prompt)
    if request.stop_ids:
        body["stop_token_ids"] = sorted(request.stop_ids)
    if request.logprobs:
        body["logprobs"] = 0  # of the tokens made, and of no others
    if not isinstance(prompt, str):
        body["return_token_ids"] = True
    if not isinstance(prompt, str) or prompt.startswith(Special.BEGIN_OF_TEXT.value):
        body |= {"skip_special_tokens": False, "spaces_between_special_tokens": False, "add_special_tokens": False}
        body |= {"include_stop_str_in_output": bool(request.stop_texts)}
    return "/completions", body


def answer_of(response: "httpx.Response", url: str) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError as exc:
        raise ProviderError(f"{url} answered with something that is not JSON: {response.text[:200]}") from exc
    if not isinstance(answer, dict):
        raise ProviderError(f"{url} answered with JSON that is no object: {response.text[:200]}")
    return answer


def completion_of(answer: dict[str, Any], request: Request) -> Completion:
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        finish: Finish = "length" if choice.get("finish_reason") == "length" else "stop"
        tokens = choice.get("token_ids") or ()
        logprobs = (choice.get("logprobs") or {}).get("token_logprobs") if request.logprobs else None
        return Completion(
            tokens=tuple(tokens),
            text=text or "",
            finish=finish,
            logprobs=None if logprobs is None else tuple(logprobs),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as exc:
        raise ProviderError(f"the server's answer has no completion in it: {str(answer)[:200]}") from exc


def asked_pause(header: str | None, otherwise: float) -> float:
    """Seconds of a Retry-After header, where it gives seconds."""
    try:
        return max(0.0, float(header)) if header is not None else otherwise
    except ValueError:
        return otherwise
