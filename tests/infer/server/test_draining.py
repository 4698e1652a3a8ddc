"""A server with a key, and how it ends."""

import json
import signal
import time
from contextlib import closing

import httpx
import openai
import pytest
from serving import Run

from opencwm.infer.resolve import NANO, open_model
from opencwm.prediction import predict
from opencwm.protocols import Request


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("log") / "stderr", "--model", "nano", "--api-key", "secret")
    yield run
    run.stop()


def long(run: Run, num_tokens: int):
    """A streamed generation that has begun."""
    body = {"model": run.name, "prompt": "def f(x):", "max_tokens": num_tokens, "ignore_eos": True, "stream": True}
    headers = {"authorization": "Bearer secret"}
    return run.http.stream("POST", f"{run.url}/completions", json=body, headers=headers)


def test_the_key_is_asked_for(nano):
    with openai.OpenAI(base_url=nano.url, api_key="guess", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="the API key is missing or wrong"):
            client.models.list()
        assert [model.id for model in client.with_options(api_key="secret").models.list()] == ["nano"]
    assert nano.http.post(f"{nano.url}/completions", content=b"x").status_code == 401
    assert nano.http.get(f"{nano.root}/health").status_code == 200
    assert "secret" not in nano.log.read_text()


def test_a_served_model_predicts_what_a_local_one_does(nano, monkeypatch):
    source, call = "def f(x):\n    y = x + 1\n    return y\n", "f(3)"
    local = open_model(str(NANO), threads=1)
    here = predict(source, call, local, grammar=False, max_frames=4)
    request = Request(prompt=tuple(local.tokenizer.encode("def f(x):")), max_tokens=20)
    monkeypatch.setenv("OPENCWM_API_KEY", "secret")
    with closing(open_model(f"{nano.url}#nano")) as model:
        there = predict(source, call, model, grammar=False, max_frames=4)
        served = model.generate([request])[0]
    assert len(here.frames) > 2
    assert [frame.to_dict() for frame in there.frames] == [frame.to_dict() for frame in here.frames]
    assert (there.output, there.outcome) == (here.output, here.outcome)
    assert served.text == local.generate([request])[0].text


def test_what_runs_is_finished_before_it_stops(nano):
    with long(nano, 200) as response:
        lines = response.iter_lines()
        next(lines)
        nano.process.send_signal(signal.SIGTERM)
        for _ in range(200):
            try:
                httpx.get(f"{nano.root}/health")
                time.sleep(0.02)
            except httpx.TransportError:  # refused, or still in the queue when the listener closed
                break
        else:
            raise AssertionError("it still takes new connections")
        events = [line.removeprefix("data: ") for line in lines if line]
    assert events.pop() == "[DONE]"
    assert json.loads(events[-1])["choices"][0]["finish_reason"] == "length"
    assert nano.process.wait(timeout=60) == 0
    said = nano.log.read_text()
    assert "finishing 1 generation; a second signal stops at once" in said
    assert "stopped, with everything finished" in said
    assert "Traceback" not in said


def test_a_second_signal_stops_at_once(knowing, tmp_path):
    run = Run(tmp_path / "stderr", "--model", str(knowing), "--drain-seconds", "60")
    with pytest.raises(httpx.RemoteProtocolError), long(run, 2000) as response:  # noqa: PT012
        lines = response.iter_lines()
        next(lines)
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(timeout=30) == 130
        assert not [line for line in lines if "[DONE]" in line]
    run.stop()
    said = run.log.read_text()
    assert "tokens, cut off\n" in said
    assert said.endswith("what still ran was cut off\nstopped\n")
    assert "Traceback" not in said
