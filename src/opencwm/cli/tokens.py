"""`opencwm data tokens`: token shards of texts, chats, trajectories, traces and views, and what is in them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from opencwm.cli.options import Address, ExecutorName, Workers
from opencwm.cli.terminal import emit, out, say


def tokens(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Datasets of traces, views, files, folders of files.")
    ],
    output: Annotated[Path, typer.Option("-o", metavar="DIR", help="Where it goes; an unfinished one goes on.")],
    tokenizer: Annotated[Path, typer.Option(metavar="DIR", help="A folder with tokenizer.json.")],
    suffix: Annotated[
        list[str] | None, typer.Option(metavar=".EXT", help="Of the files taken from folders; may be repeated.")
    ] = None,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="The order of sources and shards is a curriculum: training keeps it.")
    ] = False,
    workers: Workers = 0,
    executor: ExecutorName = "pool",
    address: Address = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Tokenise once what is to be trained on many times: Parquet shards that a stage of training reads.

    Can be killed at any moment and run again.
    Try: opencwm data tokens runs/data --tokenizer runs/tokenizer -o runs/tokens/traces
    """
    from opencwm.data.tokenise import TokensConfig, tokenise
    from opencwm.executors import executor_for, named
    from opencwm.sandbox.doctor import num_threads

    config = TokensConfig(sources=tuple(sources), tokenizer=tokenizer, in_order=in_order)
    if suffix:
        config = replace(config, suffixes=tuple(suffix))
    runner = executor_for(workers or num_threads(), named(executor), address=address)
    manifest = tokenise(config, output, executor=runner, say=say)
    show_tokens(manifest, as_json=as_json)


def show_tokens(manifest: Mapping[str, Any], *, as_json: bool) -> None:
    """What a folder of token shards holds: also what `data stats` says of one."""
    if as_json:
        emit(manifest)
        return
    order = "in the order of its shards" if manifest["in_order"] else "in any order"
    out().print(f"{manifest['num_documents']:,} documents, {manifest['num_tokens']:,} tokens, {order}", highlight=False)
