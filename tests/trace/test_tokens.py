import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencwm.trace.recording.frame import Frame, Trace
from opencwm.trace.stream import Special, Stack
from opencwm.trace.text import parse_text
from opencwm.trace.tokens import parse, parse_frames, render, render_context, render_frame, render_frames
from opencwm.trace.view import view

SLOW_FIXTURES = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@SLOW_FIXTURES
@given(data=st.data())
def test_tokens_round_trip_whatever_the_texts_look_like(data, any_traces, tokenizer):
    trace = data.draw(any_traces)
    ids = render(trace, tokenizer)
    parsed = parse(ids, tokenizer)
    assert parsed.error is None
    assert view(parsed) == view(trace)
    assert render(parsed, tokenizer) == ids


def test_the_worked_example_has_the_same_tokens_as_its_text(example, example_text, tokenizer):
    assert tokenizer.decode(render(example, tokenizer)) == example_text
    assert parse(render(example, tokenizer), tokenizer) == parse_text(example_text)


def test_special_tokens_are_put_in_by_the_renderer_only(tokenizer):
    text = "".join(special.value for special in Special)
    frame = Frame("return", 0, "a.py", 1, text, value=text)
    ids = render(Trace({"context": text, "outcome": "returned"}, [frame]), tokenizer)
    names = {token: name for name, token in tokenizer.special.items()}
    assert [names[token] for token in ids if token in names] == [
        *("begin_of_text", "trace_context_start", "frame_sep"),
        *("return_sep", "action_sep", "arg_sep", "frame_sep", "end_of_text"),
    ]
    assert parse(ids, tokenizer).frames[0].value == text


def test_a_rendered_trace_knows_where_its_frames_are(example, tokenizer):
    rendered = render_frames(example, tokenizer)
    assert rendered.ids == render(example, tokenizer)
    assert rendered.ids[: rendered.context_end] == render_context(example.context, tokenizer)
    stack, at = Stack(), rendered.context_end
    for i, frame in enumerate(example.frames):
        ids = render_frame(frame, stack, tokenizer)
        assert rendered.span(i) == (at, at + len(ids))
        assert rendered.ids[at : at + len(ids)] == ids
        at += len(ids)
    assert rendered.ids[rendered.frames_end :] == [tokenizer.special["end_of_text"]]


def test_one_frame_is_read_after_a_true_prefix(example, tokenizer):
    rendered, whole = render_frames(example, tokenizer), parse(render(example, tokenizer), tokenizer)
    stack = Stack()
    for i, frame in enumerate(example.frames):
        start, end = rendered.span(i)
        one = parse_frames(rendered.ids[start:end], tokenizer, stack.copy())
        assert one.frames == [whole.frames[i]]
        assert (one.error, one.ended) == (None, False)
        stack.apply(frame)
    rest = parse_frames(rendered.ids[rendered.context_end :], tokenizer)
    assert (rest.frames, rest.ended) == (whole.frames, True)


def test_a_cut_stream_keeps_the_frames_before_the_cut(example, tokenizer):
    rendered = render_frames(example, tokenizer)
    whole = parse(rendered.ids, tokenizer)
    starts = [*rendered.frame_starts, rendered.frames_end]
    for end in range(rendered.context_end, len(rendered.ids)):
        cut = parse(rendered.ids[:end], tokenizer)
        num_whole = sum(start <= end for start in starts[1:])
        assert cut.frames == whole.frames[:num_whole]
        assert not cut.ended
        if end in starts:
            assert cut.error is None
        else:
            assert cut.error is not None
            assert (cut.error.cut, cut.error.index, cut.error.frame) == (True, end, num_whole)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_stream_keeps_the_frames_before_the_damage(seed, example, tokenizer):
    rng = random.Random(seed)
    rendered = render_frames(example, tokenizer)
    whole = parse(rendered.ids, tokenizer)
    frame = rng.randrange(len(example.frames))
    at = rng.randrange(*rendered.span(frame))
    noise = [rng.randrange(-1, tokenizer.vocab_size + 5) for _ in range(rng.randrange(4))]
    noise = [token for token in noise if token >= 0]
    damaged = parse([*rendered.ids[:at], *noise, *rendered.ids[at + rng.randrange(3) :]], tokenizer)
    assert damaged.frames[:frame] == whole.frames[:frame]
    if damaged.error is not None:
        assert damaged.error.index >= rendered.frame_starts[frame]


def test_the_place_of_an_error_is_a_token(tokenizer):
    start = render_context("f", tokenizer)
    special = tokenizer.special
    good = tokenizer.encode('{"x": ')
    bad = [*start, special["call_sep"], *good, *tokenizer.encode("é!"), special["action_sep"]]
    error = parse(bad, tokenizer).error
    assert error is not None
    assert error.index == len(start) + 1 + len(good)
    assert error.reason.startswith("locals are not JSON")


@pytest.mark.parametrize("extra", [0xFF, None])
def test_tokens_that_are_no_text_are_malformed_where_they_stand(tokenizer, extra):
    invalid = tokenizer.vocab_size + 3 if extra is None else tokenizer.token_bytes.index(bytes([extra]))
    head = [*render_context("f", tokenizer), tokenizer.special["line_sep"]]
    for field in (
        [],
        [*tokenizer.encode("{}"), tokenizer.special["action_sep"]],
    ):
        letters = tokenizer.encode("ab") if extra is not None else []
        error = parse([*head, *field, *letters, invalid], tokenizer).error
        assert error is not None
        assert "not UTF-8" in error.reason
        assert error.index == len(head) + len(field) + len(letters)
    error = parse([*head[:2], invalid], tokenizer).error
    assert error is not None
    assert error.frame is None
