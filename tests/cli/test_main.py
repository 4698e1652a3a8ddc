"""The command itself: version, help with an example everywhere, doctor, exit statuses, Ctrl-C."""

import json
import signal
import subprocess
import sys
import time

import pytest
from cli_commands import COMMANDS

import opencwm as package
from opencwm.cli.main import run
from opencwm.errors import SandboxError


def test_the_version(opencwm):
    done = opencwm("--version")
    assert (done.stdout, done.stderr, done.returncode) == (f"opencwm {package.__version__}\n", "", 0)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_a_line_to_try(command, capsys):
    assert run([*command, "--help"]) == 0
    assert "Try: opencwm " + " ".join(command) in " ".join(capsys.readouterr().out.split())


def test_no_command_is_forgotten(capsys):
    run(["--help"])
    shown = capsys.readouterr().out
    assert all(command[0] in shown for command in COMMANDS)


def test_doctor_says_what_is_there(opencwm):
    done = opencwm("doctor", "--json")
    checks = json.loads(done.stdout)["checks"]
    assert all(set(check) == {"name", "ok", "detail"} for check in checks)
    assert {"platform", "python", "sandbox", "torch"} <= {check["name"] for check in checks}
    table = opencwm("doctor")
    assert table.returncode == done.returncode
    assert "sandbox: network" in table.stdout


def test_the_status_is_the_error_s_own(monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise SandboxError("the sandbox fell over", fix="run again")

    monkeypatch.setattr("opencwm.sandbox.doctor.checks", fail)
    assert run(["doctor"]) == 3
    assert capsys.readouterr().err == "error: the sandbox fell over\n  fix: run again\n"
    assert run(["doctor", "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == {"error": "the sandbox fell over", "fix": "run again"}


def test_a_bug_of_ours_is_not_hidden(monkeypatch):
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("opencwm.sandbox.doctor.checks", fail)
    with pytest.raises(ZeroDivisionError):
        run(["doctor"])


INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
from opencwm.cli.main import run
print("ready", flush=True)
sys.exit(run(sys.argv[1:]))
"""


def test_ctrl_c_says_so_and_leaves(tmp_path):
    (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(60)\n")
    argv = [sys.executable, "-c", INTERRUPTIBLE, "trace", "run", "sleeps.py", "--set", "timeout_s=60"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "stopped"


def test_a_reader_that_has_seen_enough_is_no_error(opencwm, half, tmp_path):
    for number in range(3):
        opencwm("trace", "run", half, "--call", "g(list(range(200)))", "-o", f"{number}.jsonl")
    done = subprocess.run(
        f"{sys.executable} -m opencwm trace show 0.jsonl --all | head -1", shell=True, cwd=tmp_path, capture_output=True
    )
    assert done.stderr == b""
