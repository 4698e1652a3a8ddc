"""What needs a clock or a broken engine: the application in this process, spoken to as a web server does."""

import asyncio
import json

import pytest

from opencwm.infer.engine import Engine
from opencwm.infer.kv_cache import KVCache
from opencwm.infer.scheduler import Scheduler
from opencwm.infer.server.app import Endpoints, Limits, application
from opencwm.infer.server.completions import Served
from opencwm.infer.server.metrics import Metrics


@pytest.fixture(scope="module")
def engine(knowing):
    return Engine.load(knowing, threads=1, max_batch=2)


class Connection:
    """One request over ASGI."""

    def __init__(self, body: dict | None, *, reads: int | None = None, tells_length: bool = False) -> None:
        """A client that sends no body for None, and stops reading after `reads` messages."""
        self._body = body
        self.headers = [(b"content-type", b"application/json")]
        if tells_length:
            self.headers.append((b"content-length", str(len(json.dumps(body))).encode()))
        self._reads = reads
        self.messages: list[dict] = []

    async def receive(self) -> dict:
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(self, message: dict) -> None:
        if self._reads is not None and len(self.messages) >= self._reads:
            await asyncio.Event().wait()
        self.messages.append(message)

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages).decode()

    @property
    def events(self) -> list[dict]:
        *events, end = (line.removeprefix("data: ") for line in self.text.split("\n\n") if line)
        assert end == "[DONE]"
        return list(map(json.loads, events))


def speak(engine, *connections: Connection, limits: Limits | None = None) -> tuple[Endpoints, list[str]]:
    """Serve the connections, all at once."""
    told: list[str] = []

    async def serve() -> Endpoints:
        served = Served(
            name="knowing",
            tokenizer=engine.tokenizer,
            vocab_size=engine.model.config.vocab_size,
            context=engine.model.config.max_position_embeddings,
        )
        metrics = Metrics()
        endpoints = Endpoints(engine, served, limits or Limits(), metrics)
        endpoints.start()
        app = application(endpoints, metrics, api_key=None, tell=told.append)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/completions",
            "query_string": b"",
        }
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(app({**scope, "headers": each.headers}, each.receive, each.send) for each in connections)
            )
        endpoints.worker.stop()
        return endpoints

    return asyncio.run(serve()), told


def ask(**changes) -> dict:
    return {"model": "knowing", "prompt": "count:", "temperature": 0, "max_tokens": 12, **changes}


def test_a_body_that_does_not_arrive_is_not_waited_for(engine):
    silent = Connection(None)
    speak(engine, silent, limits=Limits(read_timeout_s=0.05))
    assert silent.status == 408
    assert json.loads(silent.text)["error"]["message"] == "the body did not arrive in 0.05 seconds"


@pytest.mark.parametrize(("below", "status"), [(0, 200), (1, 413)])
def test_a_body_may_be_as_large_as_the_limit(engine, below, status):
    size = len(json.dumps(ask()))
    both = Connection(ask()), Connection(ask(), tells_length=True)
    speak(engine, *both, limits=Limits(max_body_bytes=size - below))
    assert [each.status for each in both] == [status] * 2


def test_an_answer_that_has_stopped_is_made_no_further(engine):
    stopped = Connection(ask(stop=" five", max_tokens=1900, ignore_eos=True))
    endpoints, _ = speak(engine, stopped)
    said = json.loads(stopped.text)
    assert (said["choices"][0]["text"], said["choices"][0]["finish_reason"]) == (" one two three four", "stop")
    assert said["usage"]["completion_tokens"] < 40
    assert endpoints.worker.num_open == 0


def test_a_stream_says_the_prompt_s_ids_once_and_its_usage_last(engine):
    prompt = engine.tokenizer.encode("count:")
    options = {"include_usage": True}
    streamed = Connection(ask(prompt=prompt, stream=True, max_tokens=60, ignore_eos=True, stream_options=options))
    endpoints, _ = speak(engine, streamed)
    assert endpoints.worker.num_open == 0
    *events, last = streamed.events
    assert len(events) > 1
    assert [event.get("prompt_token_ids") for event in events] == [prompt] + [None] * (len(events) - 1)
    assert all(event["usage"] is None for event in events)
    assert last["usage"]["completion_tokens"] == 60


def test_a_client_that_stops_reading_is_left(engine):
    lazy = Connection(ask(stream=True, max_tokens=1900, ignore_eos=True), reads=3)
    endpoints, told = speak(engine, lazy, limits=Limits(stall_timeout_s=0.3))
    assert len(lazy.messages) == 3
    assert endpoints.worker.num_open == 0
    assert told[0].startswith("/v1/completions 200 ")
    assert told[0].endswith(" tokens, cut off")


def test_where_memory_runs_out_one_request_fails_and_the_others_are_answered(engine, monkeypatch):
    reserve = KVCache.reserve

    def limited(cache, length):
        if length > 300:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        reserve(cache, length)

    monkeypatch.setattr(KVCache, "reserve", limited)
    whole = Connection(ask(max_tokens=500, ignore_eos=True))
    streamed = Connection(ask(max_tokens=500, ignore_eos=True, stream=True))
    small = Connection(ask())
    speak(engine, whole, streamed, small)
    assert (whole.status, streamed.status, small.status) == (503, 200, 200)
    error = json.loads(whole.text)["error"]
    assert error["type"] == "server_error"
    assert "memory" in error["message"]
    last = streamed.text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"] == error
    assert json.loads(small.text)["choices"][0]["text"].startswith(" one two")


def test_a_fault_of_the_engine_fails_who_is_in_it_and_not_the_server(engine, monkeypatch, capsys):
    decode, is_broken = Scheduler._decode, [True]

    def once(scheduler):
        if is_broken:
            is_broken.clear()
            raise KeyError("a fault of ours")
        return decode(scheduler)

    monkeypatch.setattr(Scheduler, "_decode", once)
    first = Connection(ask())
    speak(engine, first)
    assert first.status == 503
    assert "KeyError" in json.loads(first.text)["error"]["message"]
    assert "a fault of ours" in capsys.readouterr().err
    second = Connection(ask())
    speak(engine, second)
    assert second.status == 200
