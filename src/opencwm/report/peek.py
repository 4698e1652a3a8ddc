"""Recorded traces as a page to read: the program, and what each frame shows that the one before did not.

    rows of a dataset --write_peek--> one HTML file without any request or script

Whatever a program wrote goes through `escape`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape as escape_quotes
from pathlib import Path

from opencwm.report.code import highlighted_lines
from opencwm.trace.files import Row, replacing
from opencwm.trace.recording.frame import Frame, Trace
from opencwm.trace.stream import Stack, encodable, without_marker

escape = partial(escape_quotes, quote=True)
EVENTS = {"call": "call", "line": "", "return": "return", "exception": "raise"}
STYLE = """
:root { color-scheme: light dark; --dim: light-dark(#667, #99a); --rule: light-dark(#dde, #334); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
code, pre, td { font-family: ui-monospace, monospace; font-size: 13px; }
article { border-top: 1px solid var(--rule); margin-top: 2rem; }
h2 { font-size: 1.05rem; overflow-wrap: anywhere; } .about, .line, .event { color: var(--dim); }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--rule); border-radius: 6px; }
.frames { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
td { padding: .1rem .6rem .1rem 0; vertical-align: top; border-bottom: 1px solid var(--rule); white-space: pre; }
td:last-child { white-space: pre-wrap; overflow-wrap: anywhere; } b { font-weight: 600; }
.exception .event { color: light-dark(#b00, #f77); } .return .event { color: light-dark(#070, #7d7); }
"""


def write_peek(path: str | Path, rows: Sequence[Row]) -> Path:
    path = Path(path)
    with replacing(path) as partial_path:
        partial_path.write_text(render_peek(rows), encoding="utf-8")
    return path


def render_peek(rows: Sequence[Row]) -> str:
    body = "\n".join(line for row in rows for line in _article(row))
    return encodable(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Traces</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Traces</h1>\n{body}\n</body>\n</html>\n"
    )


def _article(row: Row) -> Iterator[str]:
    trace = row.trace
    exception = trace.header.get("exception")
    about = " · ".join(
        escape(part)
        for part in (
            " ".join(filter(None, (row.package, row.version, row.licence))),
            f"{len(trace.frames):,} frames",
            f"{trace.outcome} {exception}" if exception else trace.outcome,
            row.trace_id,
        )
        if part
    )
    yield f'<article>\n<h2>{escape(row.source or "trace")}</h2>\n<p class="about">{about}</p>'
    yield f"<details open><summary>program</summary><pre>{''.join(_program(trace))}</pre></details>"
    yield '<div class="frames"><table><tbody>'
    stack = Stack()
    for frame in trace.frames:
        yield _frame(frame, stack)
    yield "</tbody></table></div>\n</article>"


def _program(trace: Trace) -> Iterator[str]:
    return (f"{line}\n" for line in highlighted_lines(trace.context.strip("\n")))


def _frame(frame: Frame, stack: Stack) -> str:
    depth = stack.depth + (1 if frame.event == "call" and stack.is_open else 0)
    before: Mapping[str, str] = {} if frame.event == "call" else dict(stack.top)
    after = stack.apply(frame)
    if frame.locals is None:
        news = "" if frame.cause == "unwind" else f"<b>{escape(frame.value or '')}</b>"
    else:
        changed = [f"{escape(name)} = {escape(text)}" for name, text in after.items() if before.get(name) != text]
        news = "\n".join([*changed, *(f"del {escape(name)}" for name in before if name not in after)])
    code = "│ " * depth + escape(without_marker(frame.source_line))
    word = frame.cause or EVENTS[frame.event]
    return (
        f'<tr class="{frame.event}"><td class="line">{frame.line_no or ""}</td><td class="event">{word}</td>'
        f"<td>{code}</td><td>{news}</td></tr>"
    )
