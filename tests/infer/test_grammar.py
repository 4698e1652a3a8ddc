import json
import random
import re
from pathlib import Path

import llguidance
import numpy as np
import pytest
from half_program import TRACED
from hypothesis import given, settings
from hypothesis import strategies as st

from opencwm.data.programs import generate
from opencwm.infer.grammar import TraceGrammar, TraceState, json_automaton, json_table
from opencwm.tokenizer import Tokenizer
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.recording.recorder import record_source
from opencwm.trace.text import render_text
from opencwm.trace.tokens import parse, render, render_context

SOURCE = TRACED.replace("as e:", "as é:")
LINES = [line for line in SOURCE.replace("  # << START_OF_TRACE", "").split("\n") if line.strip()]


def frame(event: str, line: int, /, **changes) -> Frame:
    changed = {"locals": Locals(changes)} if event in ("call", "line") else changes
    return Frame(event=event, depth=0, file="", line_no=0, source_line=LINES[line], **changed)


def trace_of(frames: list[Frame]) -> Trace:
    return Trace({"context": SOURCE, "outcome": "returned"}, frames)


EXAMPLE = trace_of(
    [
        frame("call", 12),
        frame("line", 13),
        frame("call", 4, xs="[3, 4]"),
        frame("line", 5),
        frame("call", 0, n="3"),
        frame("exception", 2, value="ValueError('odd')"),
        frame("return", 2, value="None"),
        frame("line", 9, é='ValueError("odd\\n\'")', x="'☃ \x7f\x00\\\\'"),
        frame("return", 11, value="[2]"),
        frame("return", 13, value="[2]"),
    ]
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([render_text(EXAMPLE)] * 3, 400)


def accepts(grammar: TraceGrammar, tokens: list[int]) -> bool:
    state = grammar.start()
    for token in tokens:
        if not state.allows(token):
            return False
        state.accept(token)
    return state.place == "end"


def test_a_true_trace_is_accepted(tokenizer):
    tokens = render(EXAMPLE, tokenizer)
    start = len(render_context(SOURCE, tokenizer))
    assert accepts(TraceGrammar(SOURCE, tokenizer), tokens[start:])
    for cut in range(start, len(tokens)):
        assert accepts(TraceGrammar(SOURCE, tokenizer, prefix=tokens[start:cut]), tokens[cut:])


FOLDER = Path(__file__).parents[1] / "golden" / "programs"
GOLDEN = [path for path in sorted(FOLDER.glob("*.py")) if "def run(" in path.read_text()]


@pytest.mark.parametrize("program", GOLDEN, ids=lambda path: path.stem)
def test_recorded_traces_of_every_construct_are_accepted(tokenizer, program):
    recorded = record_source(program.read_text(), call="run()")
    assert len(recorded.frames) > 3
    tokens = render(recorded, tokenizer)[len(render_context(recorded.context, tokenizer)) :]
    assert accepts(TraceGrammar(recorded.context, tokenizer), tokens)


@pytest.mark.parametrize("seed", range(20))
def test_traces_of_generated_programs_are_accepted(tokenizer, seed):
    program = generate(seed)
    recorded = record_source(program.source, call=program.call)
    tokens = render(recorded, tokenizer)[len(render_context(recorded.context, tokenizer)) :]
    assert accepts(TraceGrammar(recorded.context, tokenizer), tokens)


names = st.text(st.characters(categories=["Ll", "Lu", "Lo"]), min_size=1, max_size=8)
values = st.dictionaries(names, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.lists(values, max_size=6), st.text(st.characters(exclude_categories=["Cs"])), st.randoms())
def test_traces_with_any_names_and_values_are_accepted(tokenizer, states, value, rng):
    frames = [frame("call", 12)]
    frames += [frame("line", rng.randrange(len(LINES)), **state) for state in states]
    trace = trace_of([*frames, frame("return", 13, value=value)])
    tokens = render(trace, tokenizer)
    assert accepts(TraceGrammar(SOURCE, tokenizer), tokens[len(render_context(SOURCE, tokenizer)) :])


@pytest.mark.parametrize("seed", range(40))
def test_random_choices_never_leave_the_language(tokenizer, seed):
    """Whatever a model would like: what it gets to write parses, and every line of it is one of the context."""
    rng = random.Random(seed)
    end = tokenizer.special["end_of_text"]
    common = [tokenizer.special["return_sep"], *tokenizer.encode('"'), *tokenizer.encode("}"), end]
    state = TraceGrammar(SOURCE, tokenizer).start()
    tokens: list[int] = []
    while not tokens or tokens[-1] != end:
        allowed = [token for token, byte in enumerate(state.allowed()) if byte]
        likely = [token for token in common if token in allowed]
        tokens.append(rng.choice(likely) if likely and rng.random() < 0.5 else rng.choice(allowed))
        state.accept(tokens[-1])
        assert len(tokens) < 50_000
    parsed = parse([*render_context(SOURCE, tokenizer), *tokens], tokenizer)
    assert parsed.error is None
    assert parsed.ended
    assert {item.source_line for item in parsed.frames} <= set(LINES)


def test_a_line_that_is_not_in_the_context_cannot_be_written(tokenizer):
    other = trace_of([frame("call", 12), Frame("line", 0, "", 0, "    return g([3, 5])", locals=Locals({}))])
    tokens = render(other, tokenizer)[len(render_context(SOURCE, tokenizer)) :]
    assert not accepts(TraceGrammar(SOURCE, tokenizer), tokens)


@pytest.mark.parametrize("event", ["line", "return", "exception"])
def test_the_first_frame_is_a_call(tokenizer, event):
    state = TraceGrammar(SOURCE, tokenizer).start()
    assert not state.allows(tokenizer.special[event + "_sep"])


def test_the_end_comes_when_nothing_is_open(tokenizer):
    start = len(render_context(SOURCE, tokenizer))
    tokens = render(trace_of(EXAMPLE.frames[:-1]), tokenizer)[start:]
    assert not accepts(TraceGrammar(SOURCE, tokenizer), tokens)


def test_a_name_is_given_once(tokenizer):
    start = len(render_context(SOURCE, tokenizer))
    good = render(trace_of([frame("call", 4, xs="[3, 4]", x="1", é="2")]), tokenizer)[start:]
    state = TraceGrammar(SOURCE, tokenizer, prefix=good[: good.index(tokenizer.special["action_sep"]) - 1]).start()
    text = json.dumps({"xs": "[3, 4]", "x": "1", "é": "2"})
    assert state.names == {b"xs", b"x", rb"\u00e9"}
    for name, is_new in [("xs", False), ("x", False), ("xsx", True), ("e", True), (r"\u00e9", False), ("y", True)]:
        tokens = tokenizer.encode(text[:-1] + f', "{name}": ""}}')
        state = TraceState(TraceGrammar(SOURCE, tokenizer))
        state.accept(tokenizer.special["call_sep"])
        taken = [token for token in tokens if state.allows(token) and (state.accept(token) or True)]
        assert (taken == tokens) == is_new


LOCALS = r'\{("NAME": "TEXT"(, "NAME": "TEXT")*)?\}'
ESCAPE = r"\\u(00[89a-f][0-9a-f]|(0[1-9a-f]|[1-9a-f][0-9a-f])[0-9a-f]{2})"
NAME = rf"([A-Za-z_]|{ESCAPE})([A-Za-z0-9_]|{ESCAPE})*"
TEXT = r'([^"\\\x00-\x1f\x80-\U0010ffff]|\\["\\bfnrt]|\\u[0-9a-f]{4})*'
FIELDS = {"locals": LOCALS.replace("NAME", NAME).replace("TEXT", TEXT), "value": f'"{TEXT}"'}


@pytest.mark.parametrize("field", ["locals", "value"])
@pytest.mark.parametrize("seed", range(15))
def test_masks_are_those_of_llguidance(tokenizer, tmp_path, field, seed):
    """An independent implementation of the same language, along random walks through it."""
    tokenizer.save(tmp_path)
    end = tokenizer.special["end_of_text"]
    # llguidance reads the vocabulary from the same file as transformers does
    other = llguidance.LLTokenizer((tmp_path / "tokenizer.json").read_text(), eos_token=end)
    matcher = llguidance.LLMatcher(other, llguidance.LLMatcher.grammar_from_regex(FIELDS[field]))
    assert not matcher.is_error(), matcher.get_error()
    table = json_table(tokenizer)
    state = table.locals_start if field == "locals" else table.value_start
    stop = table.locals_end if field == "locals" else table.value_end
    rng = random.Random(seed)
    for _ in range(60):
        ours = np.frombuffer(table.masks[state], dtype=np.uint8).astype(bool)
        words = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        theirs = np.unpackbits(words, bitorder="little")[: len(ours)].astype(bool)
        theirs[end] = False
        assert not (theirs & ~ours).any()
        # where the next bytes are forced, its mask holds only the token that its encoder would take for them
        extra = np.flatnonzero(ours & ~theirs).tolist()
        assert not extra or matcher.compute_ff_bytes()
        assert all(matcher.validate_tokens([token]) == 1 for token in extra)
        if state == stop:
            assert matcher.is_accepting()
            break
        token = rng.choice(np.flatnonzero(ours).tolist())
        assert matcher.consume_token(token)
        state = int(table.following[state, token])


def test_the_automaton_reads_what_json_writes():
    auto, (start, end, _, _) = json_automaton()
    rng = random.Random(0)
    for _ in range(200):
        names = {
            rng.choice(["x", "_y1", "é", "名前"]): rng.choice(["..", "'a'", '"', "\\", "\n\t\x00☃😀"]) for _ in range(3)
        }
        text = json.dumps(names)
        assert re.fullmatch(FIELDS["locals"], text)
        state = start
        for byte in text.encode():
            state = auto.rows[state][byte]
            assert state >= 0
        assert state == end
