"""The `opencwm` command: one file per noun, errors as one sentence and what to do.

    argv --typer--> command --library--> results on stdout, narration on stderr, exit status

Exit status: 0 done, 1 ran and found failures, 2 your input, 3 the world failed, 130 stopped with Ctrl-C. With
`--json` every result is a line of JSON, an error `{"error": sentence, "fix": sentence}`. Commands import what they
need when they run, so that `--help` answers at once.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

from opencwm import __version__
from opencwm.cli import data, demo, doctor, evals, predict, serve, trace, train, weights
from opencwm.cli.terminal import emit
from opencwm.errors import OpenCWMError

STOPPED = 130
"""The status after Ctrl-C, as shells have it; typer returns it too."""
TORCHRUN = "TORCHELASTIC_RUN_ID"
"""What torchrun sets in the processes that it starts, beside RANK."""
PATIENCE_S = 10.0
"""How long such a process waits for the first one to speak."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.add_typer(trace.app, name="trace")
app.command("predict")(predict.predict)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.add_typer(evals.app, name="eval")
app.command("serve")(serve.serve)
app.add_typer(weights.app, name="weights")


def _version(is_asked: bool) -> None:
    if is_asked:
        print(f"opencwm {__version__}")
        raise typer.Exit


@app.callback()
def opencwm(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Record real executions of Python, predict executions, and check the predictions.

    Try: opencwm trace run examples/half.py --call "g([3, 4])"
    """


def main() -> NoReturn:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Do what `argv` says; the exit status."""
    own = list(argv[: argv.index("--")] if "--" in argv else argv)
    try:
        with _one_voice():
            status = app(list(argv), standalone_mode=False)
        sys.stdout.flush()
        return _stopped() if status == STOPPED else status if isinstance(status, int) else 0
    except OpenCWMError as error:
        return _report(error.sentence, error.fix, error.exit_status, is_json="--json" in own)
    except (KeyboardInterrupt, typer.Abort):
        return _stopped()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not _is_usage(error):
            raise
        sentence = _usage(error)
        return _report(sentence, _help_line(error), 2, is_json="--json" in own) if sentence else 2  # help was shown


@contextmanager
def _one_voice() -> Iterator[None]:
    """Of the processes that torchrun started, the first one says what is wrong, for all.

    torchrun ends the others when one has failed. They wait for that; one that is still there after its patience knows
    something of its own, and says it. What is not an error of ours waits longest: it may be a connection that another
    process left.
    """
    try:
        yield
    except Exception as error:
        if TORCHRUN in os.environ:
            is_ours = isinstance(error, OpenCWMError) or _is_usage(error)
            is_first = os.environ.get("RANK") == "0"
            time.sleep(2 * PATIENCE_S if not is_ours else 0 if is_first else PATIENCE_S)
        raise


def _stopped() -> int:
    print("stopped", file=sys.stderr)
    return STOPPED


def _is_usage(error: Exception) -> bool:
    return hasattr(error, "format_message")  # how typer's own errors are told apart, whatever their class


def _usage(error: Any) -> str:
    text = str(error.format_message()).strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _help_line(error: Any) -> str:
    path = getattr(getattr(error, "ctx", None), "command_path", "opencwm")
    return f"{path} --help says what there is"


def _report(sentence: str, fix: str, status: int, *, is_json: bool) -> int:
    if is_json:
        emit({"error": sentence, "fix": fix})
    else:
        print(f"error: {sentence}", file=sys.stderr)
        if fix:
            print(f"  fix: {fix}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
