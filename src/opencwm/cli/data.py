"""`opencwm data build | derive | episodes | tokenizer | tokens | decontaminate | peek | stats`: datasets, what is in
them, and what is made of them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opencwm.cli.derive import derive, show_pairs, show_view
from opencwm.cli.options import Address, ExecutorName, Workers
from opencwm.cli.terminal import emit, out, say
from opencwm.cli.tokens import show_tokens, tokens
from opencwm.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from opencwm.data.decontaminate import Report

app = typer.Typer(no_args_is_help=True, help="Datasets of traces: build them, look into them.")
app.command("derive")(derive)
app.command("tokens")(tokens)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A dataset folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("build")
def build(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The name of a data recipe, such as nano.")],
    output: Annotated[Path, typer.Option("-o", metavar="DIR", help="Where it goes; an unfinished one goes on.")],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="Changes to it.")] = None,
    workers: Workers = 0,
    executor: ExecutorName = "pool",
    address: Address = None,
    like: Annotated[Path | None, typer.Option(metavar="DIR", help="An earlier build: drop what it lost.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the resolved recipe.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a dataset: programs, recorded, filtered, deduplicated, in Parquet shards.

    Can be killed at any moment and run again, and by several processes at once. `--like` makes the bytes of an earlier
    build again, whatever time and memory it ran out of. Try: opencwm data build nano -o runs/data num_programs=2000
    """
    from opencwm.cli.recipe import find_recipe
    from opencwm.config import override
    from opencwm.data.build import build as build_dataset
    from opencwm.executors import executor_for, named
    from opencwm.sandbox.doctor import num_threads

    config = override(find_recipe("data", recipe), settings or [])
    if dry_run:
        print(json.dumps(config.to_dict(), indent=1))
        return
    runner = executor_for(workers or num_threads(), named(executor), address=address)
    manifest = build_dataset(config, output, executor=runner, like=like, say=say)
    if as_json:
        emit(manifest)
    else:
        _show_manifest(manifest)
        say(f"look into it: opencwm data peek {output}")


@app.command("episodes")
def episodes(
    traces: Annotated[Path, typer.Argument(metavar="TRACES", help="What `trace pytest` has written.")],
    output: Annotated[Path, typer.Option("-o", metavar="OUT", help="A .jsonl[.gz] or .parquet file.")],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="Such as step_in=1.")] = None,
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that was recorded, unchanged since: `--scope`.")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Cut the traces of a test suite into function-level ones, each with the source that it needs.

    Try: opencwm data episodes tests.jsonl --root src -o episodes.parquet per_function=3
    """
    from opencwm.config import override
    from opencwm.data.repositories.episodes import EpisodeConfig
    from opencwm.data.repositories.files import write_episodes

    cut = write_episodes(traces, root, output, override(EpisodeConfig(), settings or []))
    if as_json:
        emit(dataclasses.asdict(cut))
        return
    for reason, count in cut.dropped.items():
        say(f"dropped: {reason}: {count:,}")
    say(f"{cut.num_episodes:,} episodes of {cut.num_functions:,} functions, {cut.num_frames:,} frames in {output}")


@app.command("tokenizer")
def tokenizer(
    folder: Folder,
    output: Annotated[Path, typer.Option("-o", metavar="DIR", help="Where tokenizer.json goes.")],
    vocab_size: Annotated[int, typer.Option(help="Most tokens, special ones included.", min=1)] = 1024,
    count: Annotated[int, typer.Option("-n", help="Learn from so many traces.", min=1)] = 20_000,
    seed: Annotated[int, typer.Option(help="Another seed, other traces.")] = 0,
) -> None:
    """Train a tokenizer on a dataset: byte-level BPE with CWM's special tokens.

    Try: opencwm data tokenizer runs/data -o runs/tokenizer
    """
    from opencwm.data.dataset import sample_texts
    from opencwm.tokenizer import Tokenizer

    trained = Tokenizer.train(sample_texts(folder, count, seed), vocab_size)
    trained.save(output)
    print(f"{output}  {trained.vocab_size:,} tokens")


@app.command("decontaminate")
def decontaminate(
    folder: Folder,
    benchmarks: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Benchmark items, .jsonl or .jsonl.gz.")],
    as_json: AsJson = False,
) -> None:
    """Show that nothing of a benchmark is in a dataset: no equal function body, no half of an item's 13-grams.

    Exit status 1 where something is. Try: opencwm data decontaminate runs/data HumanEval.jsonl.gz
    """
    from opencwm.data.decontaminate import decontaminate as look

    report = look(folder, benchmarks)
    if as_json:
        emit(dataclasses.asdict(report) | {"is_clean": report.is_clean})
    else:
        _show_contamination(report)
    if not report.is_clean:
        raise typer.Exit(1)


def _show_contamination(report: "Report") -> None:
    for program, hit in report.hits:
        out().print(f"{program}  {hit.reason}  {hit.share:.0%} of {hit.item}", markup=False, highlight=False)
    dropped = f"{sum(report.dropped.values()):,} programs were dropped for {len(report.dropped):,} items"
    short = f"{len(report.too_short):,} items are too short for 13-grams and were matched by body alone"
    out().print(f"{report.num_programs:,} programs against {report.num_items:,} items: ", end="", highlight=False)
    out().print(
        f"{len(report.hits):,} contaminated; largest share of an item's 13-grams {report.highest_share:.0%}",
        highlight=False,
    )
    out().print(f"while the data was made, {dropped}; {short} (both listed by --json)", highlight=False)


@app.command("peek")
def peek(
    folder: Folder,
    count: Annotated[int, typer.Option("-n", help="How many traces.", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="Another seed, other traces.")] = 0,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show some traces of a dataset, drawn at random, as a person reads them.

    Try: opencwm data peek runs/data -n 1
    """
    from opencwm.data.dataset import peek as draw
    from opencwm.data.views.files import is_derived

    if (folder / "tokens.json").exists():
        raise ConfigError(f"{folder} holds tokens", fix="look into what it was made of")
    if is_derived(folder):
        if html is not None:
            raise ConfigError("a view has no page", fix="leave --html out, or name the dataset it was derived from")
        show_pairs(folder, count, seed, as_json=as_json)
        return
    rows = draw(folder, count, seed)
    if html is not None:
        from opencwm.report.peek import write_peek

        print(write_peek(html, rows))
        return
    for row in rows:
        if as_json:
            emit({"trace_id": row.trace_id, "source": row.source, "trace": json.loads(row.trace.to_json())})
            continue
        from rich.text import Text

        from opencwm.cli.tables import trace_table
        from opencwm.cli.trace import outcome_of

        out().rule(Text(f"{row.source}  {row.trace_id[:8]}"), style="dim", align="left")

        out().print(trace_table(row.trace, width=out().width))
        out().print(outcome_of(row.trace), markup=False)


@app.command("stats")
def stats(folder: Folder, as_json: AsJson = False) -> None:
    """Say what a finished dataset holds and what was dropped: by source, outcome, event, length and package.

    Try: opencwm data stats runs/data
    """
    from opencwm.data.dataset import read_manifest
    from opencwm.data.stats import dataset_stats
    from opencwm.data.views.files import is_derived

    if is_derived(folder):
        show_view(folder, as_json=as_json)
        return
    manifest = read_manifest(folder)
    if manifest.get("kind") == "tokens":
        show_tokens(manifest, as_json=as_json)
        return
    found = dataset_stats(folder)
    if as_json:
        emit({**manifest, "stats": found})
        return
    _show_manifest(manifest)
    for name in ("by_source", "by_outcome", "by_event", "packages", "lengths"):
        if found[name]:
            out().print()
            out().print(_table(found[name], bars="traces" if name == "lengths" else None))
    lengths = ", ".join(f"{name} {value:,}" for name, value in found["frames"].items() if value is not None)
    doubled = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found["duplicates"].items())
    out().print(f"\nframes per trace: {lengths}\nduplicates: {doubled}", markup=False)


def _table(rows: Sequence[Mapping[str, Any]], *, bars: str | None = None) -> "Table":
    """Rows with the same keys; `bars` draws one column beside the numbers."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    for name, value in rows[0].items():
        table.add_column(name.replace("_", " "), justify="left" if isinstance(value, str) else "right")
    most = max((row[bars] for row in rows), default=1) if bars else 1
    for row in rows:
        cells = [value if isinstance(value, str) else f"{value:,.10g}" for value in row.values()]
        bar = ["█" * -(-40 * row[bars] // most)] if bars else []
        table.add_row(*map(Text, cells + bar))
    return table


def _show_manifest(manifest: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name in ("num_traces", "num_frames", "estimated_tokens"):
        table.add_row(name.removeprefix("num_").replace("_", " "), f"{manifest[name]:,}")
    for group in ("kept", "dropped", "contaminated"):
        for name, count in manifest[group].items():
            table.add_row(Text(f"{group}: {name}"), f"{count:,}")
    out().print(table)
