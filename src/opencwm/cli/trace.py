"""`opencwm trace run | pytest | show | compare`: record an execution or a test suite, look at one, compare two."""

import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from opencwm.cli.terminal import emit, out, say
from opencwm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from opencwm.guarded import Recording
    from opencwm.trace.recording.frame import Trace
    from opencwm.trace.recording.options import Options

STDERR = 2
"""Where pytest's output goes under `--json`."""

app = typer.Typer(no_args_is_help=True, help="Record executions, look at them, compare them.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines instead of a table.")]
Form = Literal["table", "text", "prose", "debugger", "inverse"]
ShowAll = Annotated[bool, typer.Option("--all", help="Show every frame, however many there are.")]


@app.command("run", context_settings={"allow_interspersed_args": True})
def run(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="The program; - reads it from stdin.")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[-- ARGS]", help="The program's own.")] = None,
    module: Annotated[str | None, typer.Option("-m", metavar="MOD", help="A module instead of a file.")] = None,
    call: Annotated[str | None, typer.Option(metavar="EXPR", help="Record this call, not the module itself.")] = None,
    stdin: Annotated[Path | None, typer.Option(metavar="F", help="The program's standard input; - is ours.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", metavar="OUT", help="Also write .jsonl[.gz] or .parquet.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="The recorder's options: max_frames=200.")
    ] = None,
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> None:
    """Run a program in a guarded child and show what happened, line by line.

    What the program does, be it an exception or a loop without end, is recorded; the exit status is 0.

    Try: opencwm trace run examples/half.py --call "g([3, 4])"
    """
    recording = _record(file, module, call, arguments or [], _stdin(stdin), _options(option or []))
    if output is not None:
        from opencwm.trace.files import write_traces

        write_traces(output, recording.traces)
        say(f"written to {output}")
    if as_json:
        sys.stderr.buffer.write(recording.stdout + recording.stderr)
        for trace in recording.traces:
            _emit_trace(trace)
        return
    for trace in recording.traces:
        if thread := trace.header.get("thread"):
            out().print(f"\nthread {thread}", style="bold")
        _show(trace, show_all=show_all)
    _show_printed("it printed", recording.stdout)
    _show_printed("on standard error", recording.stderr)
    say(f"{recording.wall_s:.2f} s in a guarded child: {recording.enforced.sentence}")


@app.command("pytest", context_settings={"allow_interspersed_args": True})
def pytest(
    output: Annotated[Path, typer.Option("-o", metavar="OUT", help="Where the traces go: a .jsonl or .jsonl.gz.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[-- ARGS]", help="pytest's own.")] = None,
    scope: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Files or folders to record; without: this folder.")
    ] = None,
    python: Annotated[str, typer.Option(metavar="PYTHON", help="The project's interpreter.")] = sys.executable,
    with_children: Annotated[
        bool, typer.Option("--children", help="Also the Python processes that tests start.")
    ] = False,
    option: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="The recorder's options: max_frames=200.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a project's tests in its own environment and record what each one does.

    The suite runs on this machine, as it would without us; the exit status is pytest's.

    Try: opencwm trace pytest -o traces.jsonl --python .venv/bin/python --scope src -- -q tests
    """
    from opencwm.trace.suites import record_suite

    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise ConfigError(f"{output} does not end in .jsonl or .jsonl.gz", fix="give -o a name that does")
    suite = record_suite(
        output,
        arguments or [],
        scope=scope or [],
        options=_options(option or []),
        python=python,
        with_children=with_children,
        stdout=STDERR if as_json else None,
    )
    if as_json:
        emit(asdict(suite))
    else:
        for note in suite.notes:
            say(note)
        processes = f", {suite.num_processes:,} processes of theirs" if with_children else ""
        say(
            f"{suite.num_recorded:,} of {suite.num_tests:,} tests{processes}: {suite.num_traces:,} traces, "
            f"{suite.num_frames:,} frames, {suite.num_bytes / 1e6:,.1f} MB ({suite.engine} engine) in {output}"
        )
    raise typer.Exit(suite.status)


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(metavar="TRACES", help="A .jsonl, .jsonl.gz or .parquet file.")],
    number: Annotated[int | None, typer.Option("-n", help="Only the trace with this number, from 1.", min=1)] = None,
    form: Annotated[
        Form,
        typer.Option("--as", help="A table, the text a model reads, prose, or a debugger's way through it, or back."),
    ] = "table",
    seed: Annotated[int, typer.Option(help="Another seed: other words in prose, other actions of a debugger.")] = 0,
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> None:
    """Show recorded traces.

    Try: opencwm trace show traces.jsonl -n 1 --as prose
    """
    from opencwm.trace import debugger_view
    from opencwm.trace.files import read_traces
    from opencwm.trace.narrate import narrate
    from opencwm.trace.text import render_text

    shown = 0
    for index, trace in enumerate(read_traces(file), 1):
        if number is not None and index != number:
            continue
        shown += 1
        if as_json:
            _emit_trace(trace)
        elif form == "text":
            print(render_text(trace))
        elif form == "prose":
            print(narrate(trace, seed=seed).text)
        elif form in ("debugger", "inverse"):
            trajectory = debugger_view.sample(trace, seed=seed, direction="inverse" if form == "inverse" else "forward")
            if trajectory is None:
                raise DataError(f"trace {index} of {file} shows no call that a debugger could start from")
            print(debugger_view.render(trajectory))
        else:
            _show(trace, show_all=show_all)
    if not shown:
        raise DataError(f"{file} has no trace {number}" if number else f"{file} holds no traces")


@app.command("compare")
def compare(
    truth: Annotated[Path, typer.Argument(metavar="REAL")],
    predicted: Annotated[Path, typer.Argument(metavar="OTHER")],
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> None:
    """Compare the traces of two files, one by one, by what a model sees of them.

    Exit status 1 where any differ. Try: opencwm trace compare real.jsonl other.jsonl
    """
    from opencwm.report.data import program_report
    from opencwm.trace.compare import compare as compare_traces
    from opencwm.trace.files import read_traces

    left, right = list(read_traces(truth)), list(read_traces(predicted))
    if len(left) != len(right):
        raise DataError(
            f"{truth} holds {len(left)} traces and {predicted} {len(right)}", fix="give files of equal length"
        )
    num_different = 0
    for number, (real, other) in enumerate(zip(left, right, strict=True), 1):
        result = compare_traces(real, other)
        num_different += result.outcome != "right"
        if as_json:
            names = [field.name for field in fields(result) if field.name != "frames_right"]
            values: dict[str, Any] = {name: getattr(result, name) for name in names}
            emit({"trace": number, **values, "first_divergence": result.first_divergence})
        else:
            from opencwm.cli.tables import prediction_table

            report = program_report(real, other, name=f"trace {number}", given=0, comparison=result)
            if result.outcome != "right":
                out().print(prediction_table(report, width=out().width, with_real=True, show_all=show_all))
            out().print(f"trace {number}: {result.outcome}: {report.verdict}", markup=False)
    if num_different:
        raise typer.Exit(1)


def _record(
    file: str | None, module: str | None, call: str | None, arguments: list[str], stdin: bytes, options: "Options"
) -> "Recording":
    from opencwm.guarded import Program, record

    own = arguments
    if module is not None:
        program = Program.of_module(module)
        own = ([file] if file is not None else []) + arguments  # with -m the first word is the program's already
    elif file is None:
        raise ConfigError("there is nothing to run", fix="name a file, or a module with -m")
    elif file == "-":
        program = Program(source=sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape"))
    else:
        program = Program.of_file(Path(file))
    return record(program, call=call, argv=own, stdin=stdin, options=options)


def _stdin(path: Path | None) -> bytes:
    if path is None:
        return b""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def _options(assignments: list[str]) -> "Options":
    from opencwm.config import override
    from opencwm.trace.recording.options import Options

    try:
        return override(Options(), assignments)
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc


def _emit_trace(trace: "Trace") -> None:
    sys.stdout.buffer.write(trace.to_json().encode("utf-8") + b"\n")
    sys.stdout.buffer.flush()


def _show(trace: "Trace", *, show_all: bool) -> None:
    from opencwm.cli.tables import trace_table

    out().print(trace_table(trace, width=out().width, show_all=show_all))
    out().print()
    out().print(outcome_of(trace), markup=False)


def outcome_of(trace: "Trace") -> str:
    """How the program ended, as one sentence."""
    header, count = trace.header, f"{len(trace.frames):,} frame{'s' if len(trace.frames) != 1 else ''}"
    if trace.outcome == "returned":
        value = trace.frames[-1].value if trace.frames and header.get("entry") != "<module>" else None
        return f"returned {value}, after {count}" if value is not None else f"ran to its end, after {count}"
    if trace.outcome == "raised":
        return f"raised {header.get('exception')}, after {count}"
    if trace.outcome == "exit":
        return f"ended itself with {header.get('exception')}, after {count}"
    if trace.outcome == "budget":
        return f"ran over budget and was stopped, after {count}"
    return f"switched the recorder off, after {count}"


def _show_printed(title: str, text: bytes) -> None:
    if text:
        out().print(f"\n{title}:", style="dim")
        out().print(text.decode("utf-8", errors="backslashreplace"), markup=False, end="")
