"""Start the server, and let it finish what runs when it is told to stop.

The first SIGINT or SIGTERM closes the door: new connections are refused, what runs or waits is finished, for at most
`drain_s` seconds. The second one ends everything at once.
"""

import ipaddress
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from opencwm.errors import ConfigError
from opencwm.infer.engine import Engine
from opencwm.infer.server.app import Endpoints, Limits, application
from opencwm.infer.server.completions import Served
from opencwm.infer.server.metrics import Metrics


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on; port 0 takes any that is free. A ConfigError where that cannot be."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as exc:
        said = getattr(exc, "strerror", None) or str(exc)
        raise ConfigError(f"cannot listen on {host}, port {port}: {said}", fix="choose another --port") from exc


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


class Draining(uvicorn.Server):
    """A server that says what it does with a signal, and ends as if it had not been one."""

    def __init__(
        self,
        config: uvicorn.Config,
        endpoints: Endpoints,
        *,
        tell: Callable[[str], None],
        when_ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._endpoints = endpoints
        self._tell = tell
        self._when_ready = when_ready
        self.is_finished = False
        """Every answer was given to its end before the server stopped."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._endpoints.start()
        await super().startup(sockets=sockets)
        self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets=sockets)
        self.is_finished = not self.force_exit and not self.server_state.tasks

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
            return
        self.should_exit = True
        logging.getLogger("uvicorn.error").disabled = True  # an answer that is cut off now is no fault to report
        worker = self._endpoints.worker
        num_open = 0 if worker is None else worker.num_open
        if num_open:
            how = "Ctrl-C again" if sig == signal.SIGINT else "a second signal"
            noun = "generation" if num_open == 1 else "generations"
            self._tell(f"finishing {num_open} {noun}; {how} stops at once")


def serve(
    engine: Engine,
    listener: socket.socket,
    *,
    name: str | None = None,
    context: int | None = None,
    api_key: str | None = None,
    limits: Limits | None = None,
    drain_s: int = 30,
    tell: Callable[[str], None],
    tell_requests: Callable[[str], None],
    when_ready: Callable[[], None],
) -> bool:
    """Serve until a signal comes; whether everything that ran was finished. `context` limits prompt and completion to
    fewer tokens than the model could read. A ConfigError where it could not."""
    longest = engine.model.config.max_position_embeddings
    if context is not None and context > longest:
        raise ConfigError(f"the model reads {longest} tokens, not {context}", fix="ask for a shorter --context")
    assert engine.tokenizer is not None, "a loaded engine has a tokenizer"
    served = Served(
        name=name or engine.name,
        tokenizer=engine.tokenizer,
        vocab_size=engine.model.config.vocab_size,
        context=context or longest,
    )
    metrics = Metrics()
    endpoints = Endpoints(engine, served, limits or Limits(), metrics)
    config = uvicorn.Config(
        application(endpoints, metrics, api_key=api_key, tell=tell_requests),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=drain_s,
    )
    server = Draining(config, endpoints, tell=tell, when_ready=when_ready)
    try:
        server.run(sockets=[listener])
    finally:
        if endpoints.worker is not None:
            endpoints.worker.stop()
    return server.is_finished
