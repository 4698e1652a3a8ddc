import json

import httpx
import pytest

from opencwm.errors import ConfigError, ProviderError
from opencwm.protocols import Message, Request
from opencwm.provider import TRIES, ServerModel, base_url


class Server:
    """Answers from a script of (status, body); keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked: list[tuple[str, dict]] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.path, json.loads(request.content)))
        status, body, *headers = self.answers.pop(0)
        if status == "down":
            raise httpx.ConnectError("refused")
        return httpx.Response(
            status, content=body if isinstance(body, str) else json.dumps(body), headers=dict(headers)
        )

    def model(self, **changes) -> ServerModel:
        transport = httpx.MockTransport(self)
        return ServerModel(
            "http://host:1", "m", transport=transport, sleep=self.pauses.append, concurrency=1, **changes
        )


def text_answer(text: str, finish: str = "stop") -> dict:
    return {"choices": [{"text": text, "finish_reason": finish}]}


ASK = Request(prompt="say", max_tokens=5)


def test_a_text_prompt_goes_to_completions():
    server = Server((200, text_answer("hello", "length")))
    request = Request(prompt="say", max_tokens=5, temperature=0.5, top_p=0.9, seed=3, stop_texts=("\n",))
    completion = server.model().generate([request])[0]
    assert (completion.text, completion.finish) == ("hello", "length")
    path, body = server.asked[0]
    assert path == "/v1/completions"
    sampling = {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["\n"]}
    assert body == {"model": "m", "prompt": "say", **sampling}


def test_messages_go_to_chat():
    server = Server((200, {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}))
    request = Request(prompt=(Message(role="system", content="s"), Message(role="user", content="u")), max_tokens=5)
    assert server.model().generate([request])[0].text == "hi"
    path, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]


@pytest.mark.parametrize("prompt", [(5, 6, 7), "<|begin_of_text|><|trace_context_start|>x"])
def test_trace_prompts_keep_special_tokens(prompt):
    server = Server((200, text_answer("")))
    server.model().generate([Request(prompt=prompt, max_tokens=5, stop_ids=frozenset({9}))])
    body = server.asked[0][1]
    assert body["prompt"] == (list(prompt) if isinstance(prompt, tuple) else prompt)
    assert (body["skip_special_tokens"], body["add_special_tokens"], body["stop_token_ids"]) == (False, False, [9])


def test_tokens_and_log_probabilities_are_read_where_the_server_tells_them():
    choice = {"text": "ab", "finish_reason": "stop", "token_ids": [3, 4], "logprobs": {"token_logprobs": [-0.5, -1.0]}}
    server = Server((200, {"choices": [choice]}), (200, text_answer("ab")))
    request = Request(prompt=(5,), max_tokens=5, logprobs=True)
    told, silent = server.model().generate([request, request])
    assert (told.tokens, told.logprobs) == ((3, 4), (-0.5, -1.0))
    assert (silent.tokens, silent.logprobs) == ((), None)
    assert (server.asked[0][1]["logprobs"], server.asked[0][1]["return_token_ids"]) == (0, True)


@pytest.mark.parametrize("trouble", [("down", ""), (500, "oops"), (429, "slow down"), (503, "")])
def test_what_may_pass_is_tried_again_with_growing_pauses(trouble):
    server = Server(trouble, trouble, (200, text_answer("there")))
    assert server.model().generate([ASK])[0].text == "there"
    assert server.pauses == [0.5, 1.0]


def test_a_server_s_own_pause_is_kept():
    server = Server((429, "", ("retry-after", "7")), (200, text_answer("there")))
    server.model().generate([ASK])
    assert server.pauses == [7.0]


def test_tries_are_bounded():
    server = Server(*[(500, "oops")] * (TRIES + 3))
    with pytest.raises(ProviderError, match="did not answer in 4 tries: status 500: oops"):
        server.model().generate([ASK])
    assert len(server.asked) == TRIES


def test_one_failure_among_many_is_a_failed_completion():
    server = Server((400, "too long"), (200, text_answer("fine")))
    bad, good = server.model().generate([ASK, ASK])
    assert (bad.finish, good.finish) == ("failed", "stop")
    assert "too long" in bad.error


def test_a_refusal_is_not_repeated():
    server = Server((404, "no such model"))
    with pytest.raises(ProviderError, match="no such model"):
        server.model().generate([ASK])
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", ["<html>", "[]", {"choices": []}, {"error": "x"}, {"choices": [{"index": 0}]}])
def test_nonsense_is_a_provider_error(body):
    with pytest.raises(ProviderError):
        Server((200, body)).model().generate([ASK])


def test_a_grammar_is_refused():
    class Any:
        def start(self):
            raise AssertionError

    with pytest.raises(ConfigError, match="takes no grammar"):
        Server().model().generate([Request(prompt="x", max_tokens=1, grammar=Any())])


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://host:8000", "http://host:8000/v1"),
        ("http://host:8000/", "http://host:8000/v1"),
        ("https://host/api/v1/", "https://host/api/v1"),
    ],
)
def test_the_version_is_added_to_a_bare_host(given, used):
    assert base_url(given) == used


def test_the_key_is_sent_as_bearer():
    seen = []

    def handle(request):
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json=text_answer("x"))

    ServerModel("http://h", "m", api_key="k", transport=httpx.MockTransport(handle)).generate([ASK])
    ServerModel("http://h", "m", transport=httpx.MockTransport(handle)).generate([ASK])
    assert seen == ["Bearer k", None]
