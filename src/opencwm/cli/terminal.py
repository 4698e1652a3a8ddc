"""Where things go: results on stdout, narration and progress on stderr.

Colour and moving progress only on a terminal. Importing this is cheap: rich is loaded by the first thing printed.
"""

import json
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_OF_FILES = 140
"""Columns of a table that goes to a file or a pipe."""


@cache
def out() -> "Console":
    """The console for results."""
    return _console(is_error=False)


@cache
def err() -> "Console":
    """The console for everything else."""
    return _console(is_error=True)


def _console(*, is_error: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if is_error else sys.stdout
    width = None if stream.isatty() else WIDTH_OF_FILES
    return Console(stderr=is_error, highlight=False, width=width, soft_wrap=False)


def say(text: str) -> None:
    """One line of narration."""
    print(text, file=sys.stderr, flush=True)


def emit(data: Mapping[str, Any]) -> None:
    """One result as a line of JSON."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate of the program's
        text = json.dumps(data, separators=(",", ":"))
    sys.stdout.buffer.write(text.encode("utf-8") + b"\n")
    sys.stdout.buffer.flush()
