"""The page itself: one HTML file without any request, readable without JavaScript.

    ReportData --sections--> HTML + page.css + page.js --> report.html

Every frame is written into the page; the script only shows one at a time and marks its lines in the code. Whatever a
program or a model wrote goes through `escape`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from html import escape as escape_quotes
from pathlib import Path

from opencwm.report.charts import interval_plot, loss_curve
from opencwm.report.code import highlighted_lines
from opencwm.report.data import AccuracyTable, Difference, FramePair, ProgramReport, ReportData
from opencwm.trace.compare import Estimate, Outcome
from opencwm.trace.files import replacing
from opencwm.trace.stream import encodable
from opencwm.trace.view import FrameView

ABSENT = '<span class="absent">not there</span>'
BADGES = {
    Outcome.RIGHT: ("✓", "right"),
    Outcome.WRONG: ("≠", "wrong"),
    Outcome.MALFORMED: ("!", "malformed"),
    Outcome.BUDGET: ("…", "over budget"),
    Outcome.INFRASTRUCTURE: ("?", "not run"),
}
DENSE = 80
"""Frames from which on the cells of a strip touch."""
EVENTS = {"call": "call", "line": "line", "return": "return", "exception": "raise"}

escape = partial(escape_quotes, quote=True)


def write_report(path: str | Path, data: ReportData) -> Path:
    path = Path(path)
    with replacing(path) as partial_path:
        partial_path.write_text(render_report(data), encoding="utf-8")
    return path


def render_report(data: ReportData) -> str:
    """The whole page."""
    folder = Path(__file__).parent
    body = "\n".join(_body(data))
    return encodable(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<title>OpenCWM report</title>\n'
        f"<style>\n{(folder / 'page.css').read_text(encoding='utf-8')}</style>\n</head>\n<body>\n{body}\n"
        f"<script>\n{(folder / 'page.js').read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"
    )


def _body(data: ReportData) -> Iterator[str]:
    yield from _hero(data)
    yield "<main>"
    if data.programs:
        yield from _programs(data.programs)
    if data.tables:
        yield '<section id="accuracy"><h2>How often it is right</h2>'
        for table in data.tables:
            yield from _table(table)
        yield "</section>"
    if data.losses:
        yield from _losses(data)
    if data.facts:
        yield from _facts(data)
    yield "</main>"


def _hero(data: ReportData) -> Iterator[str]:
    yield '<header class="hero"><p class="brand"><span class="mark" aria-hidden="true"></span>OpenCWM</p>'
    yield f"<h1>{escape(data.headline)}</h1>"
    if data.tiles:
        yield '<dl class="tiles">'
        for number, what, beside in data.tiles:
            yield f"<div><dt>{escape(what)}</dt><dd><b>{escape(number)}</b><span>{escape(beside)}</span></dd></div>"
        yield "</dl>"
    if data.steps:
        yield '<ol class="steps">'
        for step in data.steps:
            yield (
                f"<li><h3>{escape(step.title)}</h3><p>{escape(step.text)}</p>"
                f'<p class="time">{seconds_in_words(step.seconds)}</p></li>'
            )
        yield "</ol>"
    yield "</header>"


def _programs(programs: Sequence[ProgramReport]) -> Iterator[str]:
    yield '<section id="predictions"><h2>Predicted and real, frame by frame</h2>'
    yield (
        '<p class="lead">The model saw the code and the call, and wrote every frame that follows. Each cell of a strip '
        "is a frame: its height is the model’s confidence, its colour says whether reality agreed.</p>"
        '<p class="legend"><span class="key right">right</span><span class="key wrong">wrong</span>'
        '<span class="key given">given</span><span class="key new">value just changed</span>'
        '<span class="keys">← → step &nbsp; n next difference</span></p>'
    )
    yield '<div class="browser"><nav class="index" aria-label="Programs"><ol>'
    for number, program in enumerate(programs):
        yield _index_entry(number, program)
    yield '</ol></nav><div class="shelf">'
    for number, program in enumerate(programs):
        yield from _program(number, program)
    yield "</div></div></section>"


def _index_entry(number: int, program: ProgramReport) -> str:
    glyph, word = BADGES[program.outcome]
    right = sum(pair.is_right for pair in program.pairs)
    return (
        f'<li><a href="#program-{number}"><span class="badge {program.outcome}" title="{word}">{glyph}</span>'
        f'<span class="name">{escape(program.name)}</span><span class="count">{right}/{len(program.pairs)}</span>'
        f"{_mini_strip(program.pairs)}</a></li>"
    )


def _mini_strip(pairs: Sequence[FramePair]) -> str:
    cells = "".join(f'<i class="{_kind(pair)}"></i>' for pair in pairs)
    return f'<span class="mini{_density(pairs)}" aria-hidden="true">{cells}</span>'


def _density(pairs: Sequence[FramePair]) -> str:
    """A class for strips with so many cells that there is no room between them."""
    return " dense" if len(pairs) > DENSE else ""


def _program(number: int, program: ProgramReport) -> Iterator[str]:
    glyph, word = BADGES[program.outcome]
    first_wrong = next((i for i, pair in enumerate(program.pairs) if not pair.is_right), 0)
    yield f'<article class="program" id="program-{number}" data-start="{first_wrong}">'
    yield (
        f'<header><h3>{escape(program.name)}</h3><p class="verdict"><span class="badge {program.outcome}">{glyph}'
        f"</span> {escape(word)}: {escape(program.verdict)}</p>"
    )
    if program.note:
        yield f'<p class="note">{escape(program.note)}</p>'
    yield f'{_outputs(program)}</header><div class="strip{_density(program.pairs)}">'
    for i, pair in enumerate(program.pairs):
        yield _cell(i, pair)
    yield '</div><div class="stage"><ol class="code">'
    for line_no, line in enumerate(highlighted_lines(program.code), 1):
        yield f'<li data-line="{line_no}"><code>{line}</code></li>'
    yield '</ol><div class="frames"><div class="controls" hidden>'
    yield (
        '<button type="button" data-go="-1" aria-label="previous frame">←</button>'
        f'<input type="range" min="0" max="{len(program.pairs) - 1}" value="0" aria-label="frame">'
        '<button type="button" data-go="1" aria-label="next frame">→</button>'
        '<button type="button" data-go="wrong">next difference</button>'
        '<button type="button" data-go="all" aria-pressed="false">all frames</button></div>'
    )
    for i, pair in enumerate(program.pairs):
        yield from _frame(i, len(program.pairs), pair)
    yield "</div></div></article>"


def _outputs(program: ProgramReport) -> str:
    predicted = "no output" if program.predicted_output is None else program.predicted_output
    real = "no output" if program.real_output is None else program.real_output
    kind = "right" if program.is_output_right else "wrong"
    return (
        f'<dl class="outputs {kind}"><div><dt>predicted output</dt><dd><code>{escape(predicted)}</code></dd></div>'
        f"<div><dt>real output</dt><dd><code>{escape(real)}</code></dd></div></dl>"
    )


def _cell(i: int, pair: FramePair) -> str:
    height = 1.0 if pair.confidence is None else max(pair.confidence, 0.06)
    kind = _kind(pair)
    title = f"frame {i + 1}: {kind}{_confidence_words(pair)}"
    return f'<button type="button" class="{kind}" style="--h:{height:.2f}" data-frame="{i}" title="{title}"></button>'


def _frame(i: int, total: int, pair: FramePair) -> Iterator[str]:
    real, predicted = pair.real_line or "", pair.predicted_line or ""
    yield f'<section class="frame {_kind(pair)}" data-real="{real}" data-predicted="{predicted}">'
    calls = ' <i aria-hidden="true">›</i> '.join(f"<span>{escape(name)}</span>" for name in pair.calls)
    yield (
        f'<header><span class="number">frame <b>{i + 1}</b> of {total}</span><span class="calls">{calls}</span>'
        f'<span class="confidence">{_confidence_bar(pair)}</span></header>'
    )
    yield '<table><thead><tr><th scope="col"></th><th scope="col">predicted</th><th scope="col">real</th></tr></thead>'
    is_same = _action(pair.predicted) == _action(pair.real)
    yield (
        f'<tbody><tr class="action{"" if is_same else " differs"}"><th scope="row">next</th>'
        f"<td>{_action(pair.predicted)}</td><td>{_action(pair.real)}</td></tr>"
    )
    for difference in pair.differences:
        yield _difference(difference, pair)
    yield "</tbody></table></section>"


def _action(frame: FrameView | None) -> str:
    if frame is None:
        return '<span class="absent">no such frame</span>'
    return (
        f'<span class="event {frame.event}">{EVENTS.get(frame.event, "?")}</span> '
        f"<code>{escape(frame.source_line.strip())}</code>"
    )


def _difference(difference: Difference, pair: FramePair) -> str:
    kinds = ["local", "" if difference.is_right else "differs", "new" if difference.is_new else ""]
    frame = pair.real or pair.predicted
    word = "raises" if frame is not None and frame.event == "exception" else "returns"
    name = escape(difference.name) if difference.name else f'<span class="word">{word}</span>'
    mark = "" if difference.is_right else '<span class="unequal" title="differs">≠</span> '
    return (
        f'<tr class="{" ".join(filter(None, kinds))}"><th scope="row">{mark}{name}</th>'
        f"<td>{_value(difference.predicted)}</td><td>{_value(difference.real)}</td></tr>"
    )


def _value(text: str | None) -> str:
    return ABSENT if text is None else f"<code>{escape(text)}</code>"


def _kind(pair: FramePair) -> str:
    return "given" if pair.is_given else "right" if pair.is_right else "wrong"


def _confidence_words(pair: FramePair) -> str:
    return "" if pair.confidence is None else f", confidence {percent(pair.confidence)}"


def _confidence_bar(pair: FramePair) -> str:
    if pair.confidence is None:
        return ""
    return (
        f'confidence <b>{percent(pair.confidence)}</b><span class="bar" aria-hidden="true">'
        f'<i style="width:{pair.confidence:.1%}"></i></span>'
    )


def _table(table: AccuracyTable) -> Iterator[str]:
    yield f'<h3>{escape(table.title)}</h3><p class="note">{escape(table.note)}</p><div class="scroll">'
    yield '<table class="accuracy"><thead><tr><th scope="col"></th>'
    for name in table.series:
        yield f'<th scope="col">{escape(name)}</th>'
    yield '<th scope="col" class="scale"><span>0%</span><span>100%</span></th></tr></thead><tbody>'
    for row in table.rows:
        ordered = {name: row.estimates.get(name) for name in table.series}
        yield f'<tr><th scope="row">{escape(row.name)}<small>{escape(row.meaning)}</small></th>'
        for estimate in ordered.values():
            yield f"<td>{_estimate(estimate)}</td>"
        yield f'<td class="plot">{interval_plot(ordered)}</td></tr>'
    yield "</tbody></table></div>"


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return '<span class="absent">–</span>'
    return f"<b>{percent(estimate.mean)}</b><small>{percent(estimate.low)} to {percent(estimate.high)}</small>"


def _losses(data: ReportData) -> Iterator[str]:
    yield f'<section id="training"><h2>The loss while it trained</h2><p class="lead">{escape(data.loss_note)}</p>'
    yield f"<figure>{loss_curve(data.losses)}<figcaption>nats per trained token</figcaption></figure></section>"


def _facts(data: ReportData) -> Iterator[str]:
    yield '<section id="facts"><h2>What was run</h2><dl class="facts">'
    for name, text in data.facts.items():
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>"
    yield "</dl></section>"


def percent(share: float) -> str:
    """A share as people read it; never 100% for what is not all, nor 0% for what is not none."""
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share > 0.9995:
        return ">99.9%"
    return "<0.1%" if share < 0.0005 else f"{share:.1%}"


def seconds_in_words(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
