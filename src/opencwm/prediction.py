"""Predict what a call would do, without running it.

    source, call --context, first frame--> prompt --Model [grammar]--> tokens --parse--> Prediction
                                                              real trace --compare--> Prediction.verified

`trace` predicts every frame; `output` forces a `return` right after the entry point's `call` (one-shot: everything is
stepped over). The context and the entry's `call` frame are what `trace run FILE --call EXPR` would record, and are
given; the model writes everything after. Nothing here runs the program: `verify` is a function that does.

A local model reads tokens. A model behind a server reads the text form, and tells no probabilities.
"""

import ast
import builtins
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from opencwm.errors import ConfigError, ProviderError
from opencwm.protocols import Completion, Model, Request
from opencwm.trace.compare import compare, outputs_equal
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.recording.stage import Program
from opencwm.trace.stream import Parsed, Special
from opencwm.trace.text import parse_text, render_text
from opencwm.trace.tokens import parse, render
from opencwm.trace.view import output_of, view

Mode = Literal["trace", "output"]
Outcome = Literal["ok", "malformed", "budget"]
Record = Callable[[str, str], Trace]
"""Really runs a call: (source, call) -> its trace."""
TOKENS_PER_FRAME = 48
"""Tokens allowed per frame of `max_frames`; ours take 15 to 30 (measured)."""
OUTPUT_TOKENS = 1024
"""Most tokens of a one-shot prediction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The prediction beside what really happened."""

    output_exact: bool
    frame_exact: float | None
    """Share of right frames after the given one; None in mode `output`."""
    first_divergence: int | None
    """Index of the first frame that differs; None where none does, and in mode `output`."""
    real_output: str | None
    """Text of what the call returned; None where it raised or did not end."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "output_exact": self.output_exact,
            "frame_exact": self.frame_exact,
            "first_divergence": self.first_divergence,
            "real_output": self.real_output,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    output: str | None
    """Text of the value that the call returns; None where it raises, or where the prediction does not get there."""
    frames: tuple[Frame, ...]
    """The entry's `call`, which was given, and every well-formed frame after it; empty in mode `output`."""
    frame_confidences: tuple[float | None, ...]
    """Per frame, the probability that the model gave its tokens; 1 for the given one, None from a server."""
    confidence: float | None
    """The probability of the tokens of `output`."""
    outcome: Outcome
    reason: str | None
    """What is malformed, and where."""
    parsed: Parsed
    """Everything that was read from the model, for `compare` and reports."""
    verified: Verified | None = None

    def to_dict(self) -> dict[str, Any]:
        """The stable keys of `opencwm predict --json`."""
        pairs = zip(self.frames, self.frame_confidences, strict=True)
        return {
            "output": self.output,
            "frames": [frame_to_dict(frame) | {"confidence": confidence} for frame, confidence in pairs],
            "confidence": self.confidence,
            "outcome": self.outcome,
            "verified": None if self.verified is None else self.verified.to_dict(),
        }


def predict(
    source: str,
    call: str,
    model: Model,
    *,
    mode: Mode = "trace",
    grammar: bool = True,
    max_frames: int = 200,
    verify: Record | None = None,
) -> Prediction:
    """What evaluating `call` after `source` would do. Raises ConfigError where source or call cannot be Python, and
    ProviderError where a server fails; a malformed or unfinished prediction is a result."""
    return predict_many(
        [(source, call)], model, mode=mode, grammar=grammar, max_frames=max_frames, verify=verify
    )[0]  # fmt: skip


def predict_many(
    calls: Sequence[tuple[str, str]],
    model: Model,
    *,
    mode: Mode = "trace",
    grammar: bool = True,
    max_frames: int = 200,
    verify: Record | None = None,
) -> list[Prediction]:
    """Several calls, predicted together."""
    prompts = [prompt_of(source, call) for source, call in calls]
    requests = [request_of(prompt, model, mode, grammar, max_frames) for prompt in prompts]
    predictions = []
    for (source, call), prompt, completion in zip(calls, prompts, model.generate(requests), strict=True):
        if completion.finish == "failed":
            raise ProviderError(completion.error or f"{model.name} failed", fix="run again")
        prediction = read(prompt, completion, model, mode, max_frames)
        predictions.append(prediction if verify is None else verified(prediction, verify(source, call), mode))
    return predictions


def prompt_of(source: str, call: str) -> Parsed:
    """The context and the entry's `call` frame that recording this call would begin with."""
    call = call.strip()
    check(source, call)
    entry = Frame("call", 0, "", 0, "def main():", locals=Locals({}))
    return Parsed(context=Program(source, call=call).context, frames=[entry])


def check(source: str, call: str) -> None:
    """Raise ConfigError where the two are not a program and a call in it."""
    tree = parsed(source, "the program")
    expression = parsed(call, "the call")
    if len(expression.body) != 1 or not isinstance(expression.body[0], ast.Expr) or "\n" in call:
        raise ConfigError(f"the call is not one expression: {call!r}", fix='write it as in --call "f(3)"')
    known = set(dir(builtins)) | set(bound_names(tree)) | set(bound_names(expression))
    for node in ast.walk(expression):
        if isinstance(node, ast.Name) and node.id not in known and "*" not in known:
            raise ConfigError(f"the program has no {node.id!r}, which the call {call!r} uses", fix="check the name")


def parsed(text: str, what: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as exc:
        raise ConfigError(
            f"{what} is not Python: line {exc.lineno}: {exc.msg}", fix="correct it and try again"
        ) from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        raise ConfigError(f"{what} is not Python: {exc}", fix="correct it and try again") from exc


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Names that anything in the tree binds; `*` for a star import, which may bind any."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.arg):
            yield node.arg


def request_of(prompt: Parsed, model: Model, mode: Mode, grammar: bool, max_frames: int) -> Request:
    max_tokens = OUTPUT_TOKENS if mode == "output" else max_frames * TOKENS_PER_FRAME
    stop = Special.FRAME_SEP if mode == "output" else Special.END_OF_TEXT
    if model.tokenizer is None:
        text = render_text(prompt) + (Special.RETURN_SEP.value if mode == "output" else "")
        return Request(prompt=text, max_tokens=max_tokens, stop_texts=(stop.value,))
    special = model.tokenizer.special
    context = render(replace(prompt, frames=[]), model.tokenizer)
    ids = render(prompt, model.tokenizer)
    if mode == "output":
        ids.append(special[Special.RETURN_SEP.key])
    language = None
    if grammar:
        from opencwm.infer.grammar import TraceGrammar

        language = TraceGrammar(prompt.context, model.tokenizer, prefix=ids[len(context) :])
    return Request(
        prompt=tuple(ids),
        max_tokens=max_tokens,
        stop_ids=frozenset({special[stop.key], special[Special.END_OF_TEXT.key]}),
        grammar=language,
        logprobs=True,
    )


def read(prompt: Parsed, completion: Completion, model: Model, mode: Mode, max_frames: int) -> Prediction:
    """What the model's answer says."""
    forced = Special.RETURN_SEP.value if mode == "output" else ""
    if model.tokenizer is None:
        seen = parse_text(render_text(prompt) + forced + completion.text)
        confidences: list[float] | None = None
        confidence = None
    else:
        ids = render(prompt, model.tokenizer)
        if mode == "output":
            ids.append(model.tokenizer.special[Special.RETURN_SEP.key])
        seen = parse([*ids, *completion.tokens], model.tokenizer)
        confidences, values = probabilities(completion, model)
        at = len(seen.frames) - 2  # of the last frame, among those the model wrote
        confidence = values[at] if 0 <= at < len(values) else None
    output = output_of(view(seen).frames)
    frames = () if mode == "output" else tuple(seen.frames[: max_frames + 1])
    written = [None] * len(seen.frames) if confidences is None else confidences
    returned = output is not None and output[0] == "returned"
    return Prediction(
        output=output[1] if output is not None and returned else None,
        frames=frames,
        frame_confidences=(1.0 if confidences is not None else None, *written)[: len(frames)],
        confidence=confidence if returned else None,
        outcome=outcome_of(seen, mode, max_frames),
        reason=None if seen.error is None else seen.error.reason,
        parsed=seen,
    )


def outcome_of(seen: Parsed, mode: Mode, max_frames: int) -> Outcome:
    if seen.error is not None and not seen.error.cut:
        return "malformed"
    is_done = len(seen.frames) == 2 if mode == "output" else seen.ended and len(seen.frames) <= max_frames + 1
    return "ok" if is_done and seen.error is None else "budget"


def probabilities(completion: Completion, model: Model) -> tuple[list[float], list[float | None]]:
    """Per frame that the model wrote: the probability of its tokens, and of those of its VALUE (None: it has none)."""
    assert completion.logprobs is not None, "log-probabilities were asked for"
    assert model.tokenizer is not None, "only tokens have probabilities"
    special = model.tokenizer.special
    frame_sep, arg_sep = special[Special.FRAME_SEP.key], special[Special.ARG_SEP.key]
    ends = [index + 1 for index, token in enumerate(completion.tokens) if token == frame_sep]
    frames: list[float] = []
    values: list[float | None] = []
    for start, end in pairwise([0, *ends]):
        tokens, logprobs = completion.tokens[start:end], completion.logprobs[start:end]
        frames.append(math.exp(sum(logprobs)))
        value = tokens.index(arg_sep) + 1 if arg_sep in tokens else None
        values.append(None if value is None else math.exp(sum(logprobs[value:-1])))
    return frames, values


def verified(prediction: Prediction, truth: Trace, mode: Mode) -> Prediction:
    """The prediction with what `truth` says about it."""
    real = output_of(view(truth).frames)
    real_output = real[1] if real is not None and real[0] == "returned" else None
    if mode == "output":
        is_same = real_output is not None and prediction.output is not None
        result = Verified(
            output_exact=is_same and outputs_equal(real_output or "", prediction.output or ""),
            frame_exact=None,
            first_divergence=None,
            real_output=real_output,
        )
    else:
        comparison = compare(truth, prediction.parsed, given=1)
        result = Verified(
            output_exact=comparison.output_exact,
            frame_exact=comparison.frame_exact,
            first_divergence=comparison.first_divergence,
            real_output=real_output,
        )
    return replace(prediction, verified=result)


def frame_to_dict(frame: Frame) -> dict[str, Any]:
    """A frame as a prediction prints it: no place in a file, which no model tells."""
    return {key: value for key, value in frame.to_dict().items() if key not in ("file", "line_no")}
