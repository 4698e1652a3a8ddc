"""The HTTP side: routes, the key, the limits, and answers that stop the engine when their client goes away.

request --key, limits--> body --plan--> generations --pieces--> events, or one object
                                            |
                      client goes away --> cancelled
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opencwm.infer.engine import Engine
from opencwm.infer.server.bodies import ChatBody, CompletionBody, Sampling, read_body
from opencwm.infer.server.choices import event, usage
from opencwm.infer.server.completions import Plan, Served, plan_chat, plan_completion
from opencwm.infer.server.errors import Refusal
from opencwm.infer.server.metrics import Metrics
from opencwm.infer.server.worker import Generations, Worker

CLIENT_WENT_AWAY = 499
"""The status that logs and metrics show for it; nobody is sent it."""
PATHS = ("/v1/completions", "/v1/chat/completions", "/v1/models", "/health", "/metrics")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    max_queue: int = 128
    """Generations that may wait for a slot; a request beyond them gets status 429."""
    max_body_bytes: int = 8 << 20
    """Longer bodies get status 413."""
    read_timeout_s: float = 30.0
    """A body that takes longer to arrive gets status 408."""
    stall_timeout_s: float = 60.0
    """A client that takes nothing of its answer for so long is left."""


class Answer:
    """The answer to one accepted request, streamed or whole; an ASGI application, as Starlette's responses are."""

    def __init__(self, plan: Plan, generations: Generations, body: Sampling, metrics: Metrics, limits: Limits) -> None:
        self._plan = plan
        self._generations = generations
        self._body = body
        self._metrics = metrics
        self._limits = limits
        self._head = plan.head(body.model)
        self._start = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: Message) -> None:
            async with asyncio.timeout(self._limits.stall_timeout_s):
                await send(message)

        sending = asyncio.create_task(self._send(scope, receive, bounded))
        gone = asyncio.create_task(went_away(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except TimeoutError:
            pass  # the client reads nothing: no one is left to tell
        finally:
            is_gone = gone.done() and not gone.cancelled() and not sending.done()  # a stopping server cancels it
            sending.cancel()
            gone.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
            left = self._generations.cancel()
            self._metrics.cancelled.inc(left)
            self._metrics.duration.observe(time.monotonic() - self._start)
            why = ", the client went away" if is_gone else ", cut off" if left else ""
            scope["opencwm.note"] = f"{self._plan.num_prompt}+{sum(self._made())} tokens{why}"

    def _made(self) -> list[int]:
        return [choice.num_tokens for choice in self._plan.choices]

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._body.stream:
            await self._stream(send)
            return
        try:
            async for _ in self._pieces():
                pass
            answer = {
                **self._head,
                "object": self._plan.kind,
                "choices": [choice.whole() for choice in self._plan.choices],
                "usage": usage(self._plan.num_prompt, self._made()),
                **self._plan.more,
            }
            response: Response = JSONResponse(answer)
        except Refusal as refusal:
            response = refusal.response()
        await response(scope, receive, send)

    async def _stream(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),  # a proxy that waits for the end would make streaming useless
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        kind = self._plan.kind + (".chunk" if self._plan.kind == "chat.completion" else "")
        head = {**self._head, "object": kind}
        if self._body.includes_usage:
            head["usage"] = None
        more = self._plan.more

        async def say(data: dict[str, Any] | str, *, is_last: bool = False) -> None:
            await send({"type": "http.response.body", "body": event(data), "more_body": not is_last})

        try:
            async for piece in self._pieces():
                await say({**head, "choices": [piece], **more})
                more = {}
        except Refusal as refusal:
            await say(refusal.to_dict(), is_last=True)
            return
        if self._body.includes_usage:
            await say({**head, "choices": [], "usage": usage(self._plan.num_prompt, self._made())})
        await say("[DONE]", is_last=True)

    async def _pieces(self) -> AsyncIterator[dict[str, Any]]:
        """Choices as they grow; a Refusal where a generation fails."""
        is_first = True
        async for place, part in self._generations:
            if is_first:
                self._metrics.first_token.observe(time.monotonic() - self._start)
                is_first = False
            if part.finish == "failed":
                self._metrics.failed.inc()
                raise Refusal(503, part.error or "the engine failed")
            choice = self._plan.choices[place]
            piece = choice.push(part)
            if choice.is_done:
                self._generations.end(place)
            if piece is not None:
                yield piece


async def went_away(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Front:
    """Asks for the key, counts requests and tells them, one line each."""

    def __init__(self, app: ASGIApp, metrics: Metrics, api_key: str | None, tell: Callable[[str], None]) -> None:
        self._app = app
        self._metrics = metrics
        self._expected = None if api_key is None else f"Bearer {api_key}".encode()
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = CLIENT_WENT_AWAY, time.monotonic()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        path = scope["path"]
        try:
            if path.startswith("/v1/") and not self._may_enter(scope):
                refusal = Refusal(401, "the API key is missing or wrong", code="invalid_api_key")
                await refusal.response({"www-authenticate": "Bearer"})(scope, receive, watched)
            else:
                await self._app(scope, receive, watched)
        except ClientDisconnect:
            pass  # in the middle of its own body
        finally:
            self._metrics.requests.labels(path if path in PATHS else "other", str(status)).inc()
            if scope["method"] == "POST":
                note = scope.get("opencwm.note", "")
                shown = path if path in PATHS else "an unknown path"
                self._tell(f"{shown} {status} {time.monotonic() - start:.2f} s {note}".rstrip())

    def _may_enter(self, scope: Scope) -> bool:
        if self._expected is None:
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._expected)


class Endpoints:
    def __init__(self, engine: Engine, served: Served, limits: Limits, metrics: Metrics) -> None:
        self._engine = engine
        self._served = served
        self._limits = limits
        self._metrics = metrics
        self._created = int(time.time())
        self.worker: Worker | None = None
        """From `start` on."""

    def start(self) -> None:
        """Start the engine's thread; the event loop runs."""
        self.worker = Worker(self._engine, self._metrics, max_queue=self._limits.max_queue)

    async def completions(self, request: Request) -> Any:
        return await self._answer(request, CompletionBody, plan_completion)

    async def chat(self, request: Request) -> Any:
        return await self._answer(request, ChatBody, plan_chat)

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._card()]})

    async def model(self, request: Request) -> Response:
        self._check_name(request.path_params["name"])
        return JSONResponse(self._card())

    async def health(self, request: Request) -> Response:
        if self.worker is None or not self.worker.is_alive:
            return Refusal(503, "the engine has stopped").response()
        return JSONResponse({"status": "ok", "model": self._served.name})

    async def metrics(self, request: Request) -> Response:
        return PlainTextResponse(self._metrics.page(), media_type="text/plain; version=0.0.4")

    async def _answer(self, request: Request, kind: Any, plan_of: Any) -> Answer:
        assert self.worker is not None, "the event loop runs"
        self.worker.check_room(1)
        body = read_body(kind, await self._read(request))
        self._check_name(body.model)
        plan = await asyncio.to_thread(plan_of, body, self._served)  # long prompts take a while to encode
        generations = self.worker.open(plan.requests)
        self._metrics.prompt_tokens.inc(plan.num_prompt)
        return Answer(plan, generations, body, self._metrics, self._limits)

    async def _read(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "the body must be JSON, and the header content-type: application/json")
        most = self._limits.max_body_bytes
        too_large = Refusal(413, f"the body is larger than {most} bytes", code="request_too_large")
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            raise too_large
        data = bytearray()
        try:
            async with asyncio.timeout(self._limits.read_timeout_s):
                async for chunk in request.stream():
                    data += chunk
                    if len(data) > most:
                        raise too_large
        except TimeoutError:
            raise Refusal(408, f"the body did not arrive in {self._limits.read_timeout_s:g} seconds") from None
        return bytes(data)

    def _check_name(self, name: str) -> None:
        if name != self._served.name:
            message = f"there is no model {name[:80]!r} here: the one that is served is {self._served.name!r}"
            raise Refusal(404, message, code="model_not_found", param="model")

    def _card(self) -> dict[str, Any]:
        return {
            "id": self._served.name,
            "object": "model",
            "created": self._created,
            "owned_by": "opencwm",
            "max_model_len": self._served.context,
        }


def application(endpoints: Endpoints, metrics: Metrics, *, api_key: str | None, tell: Callable[[str], None]) -> ASGIApp:
    routes = [
        Route("/v1/completions", endpoints.completions, methods=["POST"]),
        Route("/v1/chat/completions", endpoints.chat, methods=["POST"]),
        Route("/v1/models", endpoints.models),
        Route("/v1/models/{name:path}", endpoints.model),
        Route("/health", endpoints.health),
        Route("/metrics", endpoints.metrics),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={Refusal: refused, HTTPException: not_here, Exception: broken},
    )
    return Front(app, metrics, api_key, tell)


async def refused(request: Request, refusal: Any) -> Response:
    response: Response = refusal.response()
    return response


async def not_here(request: Request, error: Any) -> Response:
    texts = {404: f"there is nothing at {request.url.path[:80]}", 405: f"{request.method} is not for this path"}
    return Refusal(error.status_code, texts.get(error.status_code, error.detail)).response(error.headers)


async def broken(request: Request, error: Exception) -> Response:
    return Refusal(500, f"the server failed ({type(error).__name__})").response()
