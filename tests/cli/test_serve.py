import socket

import pytest

from opencwm.cli.main import run


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "no/such/folder"], "there is no model 'no/such/folder'"),
        (["--model", "http://localhost:1#m"], "is served already"),
        (["--host", "256.1.2.3"], "cannot listen on 256.1.2.3, port 0"),
        (["--api-key", "schlüssel"], "the API key is empty or not ASCII"),
        (["--context", "100000"], "the model reads 8192 tokens, not 100000"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(options, said, capsys):
    assert run(["serve", "--port", "0", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert len(error.splitlines()) == 2


def test_a_port_that_is_taken_is_said_before_the_model_is_loaded(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "--model", "no/such/folder", "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in capsys.readouterr().err
