"""Traces as tables for a terminal: one execution, or a predicted one beside the real one.

Each row is a frame: its line of code, indented by the depth of calls, and what is new: names that changed, or the
value that a call returns or raises. Values are cut to the width of the terminal; `--json` has them whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from opencwm.report.data import FramePair, ProgramReport
from opencwm.trace.recording.frame import Frame, Trace
from opencwm.trace.stream import Parsed, Stack, without_marker

MOST_ROWS = 120
"""Longer traces are shown without their middle, unless asked for all."""
TAIL_ROWS = 30
WIDE = 120
"""Columns from which on two executions stand beside each other."""
SURPLUS_ROWS = 4
"""Rows shown of what a prediction adds after the real execution's end."""
EVENTS = {"call": ("call", "cyan"), "line": ("", ""), "return": ("return", "green"), "exception": ("raise", "red")}
CAUSES = {
    "unwind": ("leave", "red"),
    "yield": ("yield", "green"),
    "await": ("await", "green"),
    "resume": ("resume", "cyan"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    event: tuple[str, str]
    """Word and style."""
    line_no: int
    depth: int
    source_line: str
    news: Text
    """What this frame shows that the one before did not."""


def rows_of(trace: Trace | Parsed) -> list[Row]:
    stack = Stack()
    return [_row(frame, stack) for frame in trace.frames]


def _row(frame: Frame, stack: Stack) -> Row:
    depth = stack.depth + (1 if frame.event == "call" and stack.is_open else 0)
    before = {} if frame.event == "call" else dict(stack.top)
    after = stack.apply(frame)
    if frame.locals is None:
        news = Text("" if frame.cause == "unwind" else frame.value or "", style="bold")
    else:
        news = _news(before, after)
    return Row(
        event=CAUSES.get(frame.cause or "", EVENTS[frame.event]),
        line_no=frame.line_no,
        depth=depth,
        source_line=without_marker(frame.source_line),
        news=news,
    )


def _news(before: dict[str, str], after: dict[str, str]) -> Text:
    parts = [Text.assemble((name, "cyan"), " = ", text) for name, text in after.items() if before.get(name) != text]
    parts += [Text.assemble(("del ", "magenta"), (name, "cyan")) for name in before if name not in after]
    return Text("  ").join(parts)


def trace_table(trace: Trace, *, width: int, show_all: bool = False) -> Table:
    """One execution, line by line, in `width` columns."""
    rows = rows_of(trace)
    longest = max((2 * row.depth + len(row.source_line) for row in rows), default=0)
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False, expand=True)
    table.add_column("line", justify="right", style="dim", no_wrap=True, width=len(f"{len(rows):04d}"))
    table.add_column("", no_wrap=True, width=max(len(word) for word, _ in (*EVENTS.values(), *CAUSES.values())))
    table.add_column("code", width=min(longest, width // 2), no_wrap=True, overflow="ellipsis")
    table.add_column("what is new before it runs", ratio=1, no_wrap=True, overflow="ellipsis")
    for row in _shortened(rows, show_all):
        if row is None:
            left_out = len(rows) - MOST_ROWS
            table.add_row("...", "", "", Text(f"{left_out:,} frames more; --all shows them", style="dim italic"))
            continue
        table.add_row(str(row.line_no or ""), Text(*row.event), _code(row.depth, row.source_line), row.news)
    return table


def _code(depth: int, source_line: str) -> Text:
    return Text.assemble(("│ " * depth, "dim"), source_line)


def _shortened(rows: Sequence[Row], show_all: bool) -> Iterator[Row | None]:
    """The rows, with None in place of a middle that is too long."""
    if show_all or len(rows) <= MOST_ROWS:
        yield from rows
        return
    yield from rows[: MOST_ROWS - TAIL_ROWS]
    yield None
    yield from rows[-TAIL_ROWS:]


def prediction_table(report: ProgramReport, *, width: int, with_real: bool, show_all: bool = False) -> Table:
    """A prediction, frame by frame with its confidence, and the real execution: beside it where the terminal is wide,
    below each frame that differs where it is not."""
    pairs = list(enumerate(report.pairs, 1))
    num_real = sum(pair.real is not None for pair in report.pairs)
    shown = pairs if show_all else pairs[: min(MOST_ROWS, num_real + SURPLUS_ROWS)]
    is_beside = with_real and width >= WIDE
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False, expand=True)
    table.add_column("frame", justify="right", style="dim", no_wrap=True, width=5)
    table.add_column("sure", justify="right", no_wrap=True, width=6)
    table.add_column("", no_wrap=True, width=6)
    for title in ("predicted", "", *(("real", "") if is_beside else ())):
        table.add_column(title, ratio=1, no_wrap=True, overflow="ellipsis")
    for number, pair in shown:
        cells = [Text(str(number)), _confidence(pair), *_side(pair, is_real=False)]
        if is_beside:
            cells += _side(pair, is_real=True)[1:] if not pair.is_right else [Text("same", style="dim green"), Text("")]
        table.add_row(*cells)
        if with_real and not is_beside and not pair.is_right:
            table.add_row("", Text("≠", style="bold red"), *_side(pair, is_real=True))
    if len(shown) < len(pairs):
        table.add_row("...", "", "", Text(f"{len(pairs) - len(shown):,} more: --all", style="dim italic"))
    return table


def _confidence(pair: FramePair) -> Text:
    mark = Text("" if pair.is_right else "≠ ", style="bold red")
    if pair.confidence is None or pair.is_given:
        return mark + Text("given" if pair.is_given else "", style="dim")
    style = "green" if pair.confidence > 0.9 else "yellow" if pair.confidence > 0.5 else "red"
    return mark + Text(f"{pair.confidence:.0%}", style=style)


def _side(pair: FramePair, *, is_real: bool) -> list[Text]:
    """Event, code and news of one side of a pair."""
    frame = pair.real if is_real else pair.predicted
    if frame is None:
        return [Text(""), Text("no such frame", style="dim italic"), Text("")]
    word, style = EVENTS[frame.event]
    parts = []
    for difference in pair.differences:
        text = difference.real if is_real else difference.predicted
        if text is None or (difference.is_right and not difference.is_new):
            continue
        colour = "" if difference.is_right else "bold red"
        name = (difference.name, "cyan") if difference.name else ("", "")
        parts.append(Text.assemble(name, " = " if difference.name else "", (text, colour or "bold")))
    return [Text(word, style=style), _code(frame.depth, frame.source_line), Text("  ").join(parts)]
