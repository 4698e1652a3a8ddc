"""`opencwm eval run TASK --model M` and `eval report RUN...`: benchmarks, and their results as one table."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

import typer

from opencwm.cli.options import Device, Dtype
from opencwm.cli.terminal import emit, out, say
from opencwm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from opencwm.evals.base import EvalResult
    from opencwm.evals.forced import MakeGrammar
    from opencwm.protocols import Model, ScoringModel

app = typer.Typer(no_args_is_help=True, help="Benchmarks: run them, put their results side by side.")

RESULT = "result.json"
RELIABILITY = "reliability.html"


@app.command("run")
def run(
    task: Annotated[
        Literal["traces", "calibration", "cruxeval", "humaneval"],
        typer.Argument(metavar="TASK", help="traces, calibration, cruxeval or humaneval."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The benchmark's items, or recorded traces; without: nano's held-out ones."),
    ] = None,
    model: Annotated[str, typer.Option(metavar="M", help="nano, a folder, or URL#name of a server.")] = "nano",
    mode: Annotated[list[str] | None, typer.Option(help="Only this mode; may be given more than once.")] = None,
    inputs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The inputs of humaneval: HumanEvalPlus-Mini.jsonl.gz.")
    ] = None,
    limit: Annotated[int | None, typer.Option("-n", "--limit", help="Only so many items.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other traces under --limit.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", metavar="DIR", help="Keep results; a stopped run goes on.")
    ] = None,
    direction: Annotated[Literal["output", "input"], typer.Option(help="CRUXEval-O or CRUXEval-I.")] = "output",
    device: Device = "auto",
    dtype: Dtype = "auto",
    allow_unisolated: Annotated[
        bool, typer.Option("--allow-unisolated", help="Run model-written code even where it cannot be isolated.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per result.")] = False,
) -> None:
    """Run a benchmark on a model.

    Try: opencwm eval run traces --limit 20 --mode forced
    """
    from opencwm.infer.resolve import open_model
    from opencwm.recipes.nano import HELDOUT

    if (inputs is None) == (task == "humaneval"):
        raise ConfigError("--inputs goes with humaneval, which cannot do without", fix="see opencwm eval run --help")
    if data is None and task in ("traces", "calibration"):
        data = HELDOUT
    if data is None:
        raise ConfigError(f"--data is missing: the items of {task}", fix="they are in tests/data of the repository")
    if not data.is_file():
        raise ConfigError(f"there is no file {data}", fix="give the traces or items to evaluate on")
    opened = open_model(model, device=device, dtype=dtype)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    if task == "traces":
        results = _run_traces(opened, data, mode, limit, seed, output)
    elif task == "calibration":
        results = _run_calibration(opened, data, limit, seed, output)
    elif inputs is not None:
        results = _run_humaneval(opened, data, inputs, mode, limit, output, allow_unisolated)
    else:
        results = _run_cruxeval(opened, data, mode, limit, output, direction, allow_unisolated)
    kept = []
    for result in results:
        kept.append(result.to_dict())
        if as_json:
            emit(kept[-1])
        else:
            _show([kept[-1]])
        if output is not None:
            (output / RESULT).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


@app.command("report")
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders given to eval run -o.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per result.")] = False,
) -> None:
    """Put the results of several runs side by side.

    Try: opencwm eval report runs/eval-a runs/eval-b
    """
    results: list[Mapping[str, Any]] = []
    for run in runs:
        path = run / RESULT if run.is_dir() else run
        try:
            results += json.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise DataError(
                f"{run} holds no result: {path} cannot be read", fix="make one: opencwm eval run -o"
            ) from exc
        except ValueError as exc:
            raise DataError(f"{path} is not JSON: {exc}", fix="run the evaluation again") from exc
    if as_json:
        for result in results:
            emit(result)
    else:
        _show(results)


def _grammar(model: "Model") -> "MakeGrammar | None":
    tokenizer = model.tokenizer
    if tokenizer is None:
        return None
    from opencwm.infer.grammar import TraceGrammar

    return lambda context, prefix: TraceGrammar(context, tokenizer, prefix=prefix)


def _run_traces(
    model: "Model", data: Path, modes: list[str] | None, limit: int | None, seed: int, output: Path | None
) -> "Iterator[EvalResult]":
    from opencwm.evals.traces import MODES, evaluate, load_traces

    yield evaluate(
        model,
        load_traces(data, limit=limit, seed=seed),
        modes=_chosen(modes, MODES),
        grammar=_grammar(model),
        ledger=None if output is None else output / "traces.jsonl",
        settings={"data": str(data), "limit": limit, "seed": seed},
        progress=_say_progress,
    )


def _run_calibration(
    model: "Model", data: Path, limit: int | None, seed: int, output: Path | None
) -> "Iterator[EvalResult]":
    from opencwm.evals.calibration import evaluate
    from opencwm.evals.traces import load_traces
    from opencwm.report.reliability import reliability_page

    result = evaluate(
        cast("ScoringModel", model),
        load_traces(data, limit=limit, seed=seed),
        ledger=None if output is None else output / "calibration.jsonl",
        settings={"data": str(data), "limit": limit, "seed": seed},
        progress=partial(_say_progress, "calibration"),
    )
    if output is not None:
        (output / RELIABILITY).write_text(reliability_page(result.to_dict()), encoding="utf-8")
        say(f"the curve: {output / RELIABILITY}")
    yield result


def _run_humaneval(
    model: "Model",
    data: Path,
    inputs: Path,
    modes: list[str] | None,
    limit: int | None,
    output: Path | None,
    allow_unisolated: bool,
) -> "Iterator[EvalResult]":
    from opencwm.evals.humaneval import load_problems, record_problems
    from opencwm.evals.traces import MODES, evaluate
    from opencwm.sandbox import NamespaceSandbox

    chosen = _chosen(modes or ["free", "free_grammar", "one_shot", "one_shot_grammar"], MODES)
    problems = load_problems(data, inputs)[:limit]
    yield evaluate(
        model,
        record_problems(problems, NamespaceSandbox(allow_unisolated=allow_unisolated)),
        modes=chosen,
        grammar=_grammar(model),
        ledger=None if output is None else output / "humaneval.jsonl",
        settings={"data": str(data), "inputs": str(inputs), "limit": limit},
        task="humaneval",
        progress=_say_progress,
    )


def _run_cruxeval(
    model: "Model",
    data: Path,
    modes: list[str] | None,
    limit: int | None,
    output: Path | None,
    direction: Literal["output", "input"],
    allow_unisolated: bool,
) -> "Iterator[EvalResult]":
    from opencwm.evals.cruxeval import Mode, evaluate
    from opencwm.evals.cruxeval_scoring import load_items
    from opencwm.sandbox import NamespaceSandbox

    default = (
        ["direct", "reasoning"]
        if model.tokenizer is None
        else ["one_shot", "one_shot_grammar", "trace", "trace_grammar"]
    )
    for mode in _chosen(modes or default, get_args(Mode)):
        yield evaluate(
            model,
            load_items(data)[:limit],
            mode=mode,
            sandbox=NamespaceSandbox(allow_unisolated=allow_unisolated),
            direction=direction,
            grammar=_grammar(model),
            ledger=None if output is None else output / f"cruxeval-{direction}-{mode}.jsonl",
            progress=partial(_say_progress, mode),
        )


def _say_progress(mode: str, done: int, total: int) -> None:
    say(f"{mode}  {done}/{total} items")


def _chosen(modes: list[str] | None, known: tuple[Any, ...]) -> list[Any]:
    for mode in modes or []:
        if mode not in known:
            raise ConfigError(f"there is no mode {mode!r}", fix=f"choose one of {', '.join(known)}")
    return list(modes or known)


def _show(results: list[Mapping[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("task", "model", "n", "what"):
        table.add_column(name)
    for name in ("value", "95% from", "to"):
        table.add_column(name, justify="right")
    for result in results:
        head = [result["task"], result["model"], str(result["n"])]
        for name, value in _flat(result["metrics"]):
            cells = [*head, name, *[_number(value.get(key)) for key in ("value", "low", "high")]]
            table.add_row(*map(Text, cells))
            head = ["", "", ""]
        outcomes = ", ".join(f"{name} {count}" for name, count in result["outcomes"].items() if count)
        table.add_row("", "", "", f"outcomes: {outcomes}", "", "", "")
    out().print(table)


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every estimate in nested metrics, with its path as its name."""
    for name, value in metrics.items():
        if isinstance(value, Mapping) and "value" in value:
            yield prefix + name, value
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        elif isinstance(value, (int, float)):
            yield prefix + name, {"value": value}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
