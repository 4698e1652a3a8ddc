import math
import random
from collections.abc import Callable, Sequence

import pytest

from opencwm.evals.breakdown import breakdown, cases, features, length_class, summary_lines, type_of
from opencwm.evals.forced import SLACK, predict_forced, predict_with_confidence, read_frame
from opencwm.infer.grammar import TraceGrammar
from opencwm.protocols import Completion, Request, Scores
from opencwm.tokenizer import Tokenizer
from opencwm.trace.compare import compare_frames, frame_equal
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.stream import ParseError, Stack
from opencwm.trace.text import render_text
from opencwm.trace.tokens import render, render_frames
from opencwm.trace.view import view

SOURCE = "\ndef f(x):\n    y = x + 1\n    return y\n\ndef main():  # << START_OF_TRACE\n    return f(3)\n"
OTHER = SOURCE.replace("x + 1", "x * 5").replace("f(3)", "f(7)")


def trace_of(source: str, x: str, y: str) -> Trace:
    line = source.split("\n")
    frames = [
        Frame("call", 0, "p", 6, "def main():", locals=Locals({})),
        Frame("line", 0, "p", 7, line[6], locals=Locals({})),
        Frame("call", 1, "p", 2, line[1], locals=Locals({"x": x})),
        Frame("line", 1, "p", 3, line[2], locals=Locals({})),
        Frame("line", 1, "p", 4, line[3], locals=Locals({"y": y})),
        Frame("return", 1, "p", 4, line[3], value=y),
        Frame("return", 0, "p", 7, line[6], value=y),
    ]
    return Trace({"context": source, "outcome": "returned"}, frames)


TRACES = [trace_of(SOURCE, "3", "4"), trace_of(OTHER, "7", "35")]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([render_text(trace) for trace in TRACES], 320)


class NextToken:
    """A model that is a function from the tokens so far to the next one."""

    name = "function"

    def __init__(self, tokenizer: Tokenizer, following: Callable[[Sequence[int]], int]) -> None:
        self.tokenizer, self.following = tokenizer, following
        self.num_made = 0

    def score(self, sequences):
        return [
            Scores(
                argmax=tuple(self.following(ids[: i + 1]) for i in range(len(ids) - 1)),
                argmax_logprobs=tuple(map(self.logprob, range(1, len(ids)))),
                logprobs=tuple(map(self.logprob, range(1, len(ids)))),
            )
            for ids in sequences
        ]

    @staticmethod
    def logprob(place: int) -> float:
        """Of whatever is written there."""
        return -0.01 - 0.001 * (place % 7)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [self.one(request) for request in requests]

    def one(self, request: Request) -> Completion:
        tokens: list[int] = []
        state = request.grammar.start() if request.grammar else None
        while len(tokens) < request.max_tokens and (not tokens or tokens[-1] not in request.stop_ids):
            token = self.following([*request.prompt, *tokens])
            if state is not None:
                allowed = state.allowed()
                token = token if allowed[token] else allowed.index(1)
                state.accept(token)
            tokens.append(token)
            self.num_made += 1
        stopped = bool(tokens) and tokens[-1] in request.stop_ids
        places = range(len(request.prompt), len(request.prompt) + len(tokens))
        return Completion(
            tokens=tuple(tokens),
            text="",
            finish="stop" if stopped else "length",
            logprobs=tuple(map(self.logprob, places)) if request.logprobs else None,
        )


def recalling(tokenizer: Tokenizer, *, slips: float, seed: int) -> NextToken:
    """Knows the true traces and follows the nearest one, but slips now and then, always alike after the same tokens."""
    known = [render(trace, tokenizer) for trace in TRACES]

    def following(ids: Sequence[int]) -> int:
        rng = random.Random(hash((tuple(ids), seed)))
        if rng.random() < slips:
            return rng.randrange(tokenizer.vocab_size)
        matches = [(common(script, ids), script) for script in known]
        place, script = max(matches, key=lambda match: match[0])
        return script[min(len(ids), len(script) - 1)] if place else rng.randrange(tokenizer.vocab_size)

    return NextToken(tokenizer, following)


def common(left: Sequence[int], right: Sequence[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def frame_by_frame(model: NextToken, trace: Trace, tokenizer: Tokenizer, grammar: bool):
    """The definition: every frame decoded greedily from the true prefix."""
    stack = Stack()
    stack.apply(trace.frames[0])
    for index, written in enumerate(written_frames(model, trace, tokenizer, grammar), start=1):
        yield read_frame(written, tokenizer, stack.copy())
        stack.apply(trace.frames[index])


def written_frames(model: NextToken, trace: Trace, tokenizer: Tokenizer, grammar: bool):
    item = render_frames(trace, tokenizer)
    stops = frozenset({tokenizer.special["frame_sep"], tokenizer.special["end_of_text"]})
    for index in range(1, len(trace.frames)):
        start, end = item.span(index)
        language = (
            TraceGrammar(trace.context, tokenizer, prefix=item.ids[item.context_end : start]) if grammar else None
        )
        request = Request(
            prompt=tuple(item.ids[:start]), max_tokens=2 * (end - start) + SLACK, stop_ids=stops, grammar=language
        )
        yield model.one(request).tokens


@pytest.mark.parametrize("grammar", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_frames_are_those_of_decoding_every_frame(tokenizer, seed, grammar):
    model = recalling(tokenizer, slips=0.02, seed=seed)
    make = (lambda context, prefix: TraceGrammar(context, tokenizer, prefix=prefix)) if grammar else None
    found = predict_forced(model, TRACES, grammar=make)
    cheap = model.num_made
    for trace, predicted in zip(TRACES, found, strict=True):
        expected = list(frame_by_frame(model, trace, tokenizer, grammar))
        for true, mine, theirs in zip(view(trace).frames[1:], predicted[1:], expected, strict=True):
            if isinstance(theirs, ParseError):
                assert isinstance(mine, ParseError)
            else:
                assert frame_equal(theirs, None if isinstance(mine, ParseError) else mine)
                assert frame_equal(true, mine) == frame_equal(true, theirs)
    assert cheap < model.num_made - cheap


@pytest.mark.parametrize("grammar", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_a_frame_s_confidence_is_the_probability_of_what_was_written_for_it(tokenizer, seed, grammar):
    model = recalling(tokenizer, slips=0.03, seed=seed)
    make = (lambda context, prefix: TraceGrammar(context, tokenizer, prefix=prefix)) if grammar else None
    for trace, forced in zip(TRACES, predict_with_confidence(model, TRACES, grammar=make), strict=True):
        item = render_frames(trace, tokenizer)
        assert forced.confidences[0] == 1.0
        for index, written in enumerate(written_frames(model, trace, tokenizer, grammar), start=1):
            start = item.frame_starts[index]
            expected = math.exp(sum(map(model.logprob, range(start, start + len(written)))))
            assert forced.confidences[index] == pytest.approx(expected)


def test_a_perfect_model_makes_no_token(tokenizer):
    model = recalling(tokenizer, slips=0.0, seed=0)
    found = predict_forced(model, TRACES)
    assert model.num_made == 0
    results = [compare_frames(trace, predicted, given=1) for trace, predicted in zip(TRACES, found, strict=True)]
    assert [result.frame_exact for result in results] == [1.0, 1.0]


def test_a_value_written_out_is_as_good_as_unchanged(tokenizer):
    """The argmax differs from the truth's tokens, the state does not."""
    item = render_frames(TRACES[0], tokenizer)
    start, end = item.span(3)
    full = Frame("line", 1, "p", 3, TRACES[0].frames[3].source_line, locals=Locals({"x": "3"}))
    other = render_frames(Trace(TRACES[0].header, [*TRACES[0].frames[:3], full]), tokenizer)
    assert other.ids[:start] == item.ids[:start]
    assert other.ids[start:] != item.ids[start:end]
    script = other.ids

    def following(ids):
        if len(ids) < start or common(ids, item.ids) >= end:
            return item.ids[min(len(ids), len(item.ids) - 1)]
        return script[min(len(ids), len(script) - 1)] if common(ids, script) == len(ids) else item.ids[len(ids)]

    predicted = predict_forced(NextToken(tokenizer, following), TRACES[:1])[0]
    assert frame_equal(view(TRACES[0]).frames[3], predicted[3])
    assert compare_frames(TRACES[0], predicted, given=1).frame_exact == 1.0


def test_kinds_of_wrong_frames():
    truth = TRACES[0]
    frames = view(truth).frames
    wrong = list(frames)
    wrong[1] = ParseError(index=0, reason="x", frame=0)
    wrong[2] = view(TRACES[1]).frames[1]
    wrong[3] = frames[4]
    wrong[4] = view(trace_of(SOURCE, "3", "9")).frames[4]
    wrong[5] = view(trace_of(SOURCE, "3", "'4'")).frames[5]
    found = list(cases(truth, wrong))
    assert [case.kind for case in found] == ["malformed", "event", "line", "value", "value", None]
    assert [case.cause_line.strip() for case in found] == [
        "def main():",
        "return f(3)",
        "def f(x):",
        "y = x + 1",
        "return y",
        "return f(3)",
    ]
    assert found[3].wrong_values == (("4", "9"),)
    tables = breakdown(found, num_examples=2)
    assert (tables["num_frames"], tables["num_wrong"]) == (6, 5)
    assert tables["by_kind"] == {"value": 2, "malformed": 1, "event": 1, "line": 1}
    assert tables["by_feature"]["op:+"] == {"n": 1, "wrong": 1, "share": 1.0}
    assert tables["by_feature"]["stmt:Return"] == {"n": 3, "wrong": 2, "share": 0.6667}
    assert tables["wrong_value_types"] == {"int": 2}
    assert len(tables["examples"]["value"]) == 2
    assert "5 of 6 frames wrong" in "\n".join(summary_lines(tables))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    x = a + b[1]", {"stmt:Assign", "op:+", "expr:index"}),
        ("for i in range(3):", {"stmt:For", "call:range"}),
        ("elif x > 2 and not y:", {"stmt:If", "op:>", "op:and", "op:not"}),
        ("while True:", {"stmt:While"}),
        ("else:", {"stmt:If"}),
        ("try:", {"stmt:Try"}),
        ("except ValueError as e:", {"stmt:Try"}),
        ("out.append(g(s[1:]))", {"method:.append", "call:user", "expr:slice"}),
        ("return [x ** 2 for x in xs if x in d]", {"stmt:Return", "expr:ListComp", "op:**", "op:in"}),
        ("x += f'{y}'", {"stmt:AugAssign", "op:+", "expr:JoinedStr"}),
        ("foo(1,", {"stmt:partial"}),
        ("pass", {"stmt:none"}),
    ],
)
def test_features_of_a_line(line, expected):
    assert set(features(line)) == expected


def test_types_and_lengths():
    values = ["3", "[1]", "'a'", "{1: 2}", "None", "1.5", "Counter({'a': 1})", "<function f>", "ValueError('x')", "??"]
    names = ["int", "list", "str", "dict", "NoneType", "float", "Counter", "function", "ValueError", "other"]
    assert [type_of(value) for value in values] == names
    assert [length_class("x" * n) for n in (1, 4, 5, 33, 999)] == ["0-4", "0-4", "5-8", "33-64", "> 128"]
