import pytest

from opencwm.data.private import SECRETS, holds_private, is_private
from opencwm.trace.recording.frame import Frame, Locals, Trace

SPECIMENS = {
    "aws": "AKIA" + "ABCDEFGH12345678",
    "github": "ghp_" + "a1" * 18,
    "gitlab": "glpat-" + "a1B2" * 5,
    "google": "AIza" + "x" * 35,
    "openai": "sk-proj-" + "a1" * 15,
    "slack": "xoxb-" + "1234567890-abc",
    "stripe": "sk_live_" + "a1" * 12,
    "sendgrid": "SG." + "a" * 22 + "." + "b" * 43,
    "npm": "npm_" + "a1" * 18,
    "pypi": "pypi-AgE" + "a" * 60,
    "token": "eyJ" + "hbGciOiJIUzI1" + ".eyJ" + "zdWIiOiIxMjM0" + "." + "a" * 20,
    "key": "-----BEGIN RSA PRIVATE" + " KEY-----",
    "password": "postgres://ada:" + "secret@db.host/x",
}


@pytest.mark.parametrize("name", SECRETS)
def test_each_kind_of_secret_is_found(name):
    assert is_private(f"x = {SPECIMENS[name]!r}")


@pytest.mark.parametrize("text", ["mail ada.lovelace+x@analytical-engine.co.uk now", "a@b.fr"])
def test_addresses_are_found(text):
    assert is_private(text)


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com, root@localhost, a@mail.example.org, x@y.invalid",
        "@property\ndef f(self): return a @ b",
        "http://host/path:with@at",
        "AKIA sk- ghp_ eyJ xox",
        "https://{user}:{password}@{host}",
        "task-force risk-averse-but-long-enough-to-look-like-one",
    ],
)
def test_ordinary_text_is_let_through(text):
    assert not is_private(text)


@pytest.mark.parametrize("place", ["context", "local", "value"])
def test_every_text_of_a_trace_is_looked_at(place):
    secret = SPECIMENS["github"]
    locals_ = Locals({"x": secret if place == "local" else "1"}, [])
    frames = [
        Frame("call", 0, "p.py", 1, "def f(x):", locals=locals_),
        Frame("return", 0, "p.py", 2, "    return x", value=secret if place == "value" else "1"),
    ]
    trace = Trace({"context": secret if place == "context" else "", "outcome": "returned"}, frames)
    assert holds_private(trace)
    assert not holds_private(Trace({"context": "", "outcome": "returned"}, frames[2:]))
