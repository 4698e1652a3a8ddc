"""Round trips of what the recorder really gives, on programs of the generator."""

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from opencwm.data.programs.generate import generate
from opencwm.trace.compare import Outcome, compare
from opencwm.trace.recording.recorder import record_source
from opencwm.trace.text import parse_text, render_text
from opencwm.trace.tokens import parse, render, render_frames
from opencwm.trace.view import output_of, view


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**63))
def test_recorded_programs_round_trip(seed, tokenizer):
    program = generate(seed)
    trace = record_source(program.source, call=program.call)
    ids = render(trace, tokenizer)
    parsed = parse(ids, tokenizer)
    assert parsed.error is None
    assert view(parsed) == view(trace)
    assert render(parsed, tokenizer) == ids
    assert tokenizer.decode(ids) == render_text(trace)
    assert parse_text(render_text(trace)) == parsed
    assert [frame.depth for frame in parsed.frames] == [frame.depth for frame in trace.frames]
    assert compare(trace, parsed).outcome in (Outcome.RIGHT, Outcome.BUDGET)


def test_a_recorded_line_is_the_same_tokens_as_in_its_context(tokenizer):
    source = "def f(n):\n    for i in range(n):\n        print('a', \"b\")\n    return {'k': n}\n"
    trace = record_source(source, call="f(0)")
    rendered = render_frames(trace, tokenizer)
    context = rendered.ids[: rendered.context_end]
    for frame in trace.frames:
        if frame.source_line == "def main():":
            continue  # its line in the context carries the marker
        line = tokenizer.encode(frame.source_line + "\n")
        assert any(context[i : i + len(line)] == line for i in range(len(context)))


def test_the_output_of_a_recording_is_what_the_program_gave():
    returned = record_source("def f(x):\n    return [x, x]\n", call="f('a')")
    assert output_of(view(returned).frames) == ("returned", "['a', 'a']")
    raised = record_source("def f(x):\n    raise KeyError(x)\n", call="f('a')")
    assert output_of(view(raised).frames) == ("raised", "KeyError('a')")
