"""The five calls of OpenCWM: record, render, parse, compare, predict.

    program --record--> Trace --render--> what a model reads --parse--> Parsed
    program --predict (a model)--> Prediction --.parsed--> compare(trace, ...) --> Comparison

    >>> import opencwm
    >>> trace = opencwm.record("def f(x):\\n    return x + 1\\n", call="f(3)")
    >>> trace.frames[-1].value
    '4'

Each is a thin front of one module, which has the finer choices: `guarded`, `trace.text` and `trace.tokens`,
`trace.compare`, `prediction`. Programs are source texts, or paths of files. Nothing here prints; what goes wrong is an
`opencwm.errors.OpenCWMError` with one sentence and, where there is one, what to do (`.fix`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from opencwm.errors import ConfigError
from opencwm.guarded import Program
from opencwm.guarded import record as record_program
from opencwm.trace import compare as comparing
from opencwm.trace import text, tokens
from opencwm.trace.compare import Comparison
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.options import Options
from opencwm.trace.stream import Parsed

if TYPE_CHECKING:
    from opencwm.prediction import Mode, Prediction
    from opencwm.protocols import Model
    from opencwm.tokenizer import Tokenizer


def record(
    program: str | Path,
    *,
    call: str | None = None,
    argv: Sequence[str] = (),
    stdin: bytes = b"",
    options: Options | None = None,
) -> Trace:
    """Run a program in the guarded child and record it: `call`, an expression, or the program as a script.

    What the program does (it raises, exits, runs over budget) is the trace's `outcome`. A file may import what lies
    beside it. Raises ConfigError for what cannot be started, SandboxError where the child is lost.
    """
    return record_program(_program(program), call=call, argv=argv, stdin=stdin, options=options).trace


@overload
def render(trace: Trace | Parsed) -> str: ...
@overload
def render(trace: Trace | Parsed, tokenizer: "Tokenizer") -> list[int]: ...
def render(trace: Trace | Parsed, tokenizer: "Tokenizer | None" = None) -> str | list[int]:
    """What a model reads: token ids, or, without a tokenizer, the text form.

    Every trace has token ids. The text form raises DataError where the program or a value contains markup.
    """
    return text.render_text(trace) if tokenizer is None else tokens.render(trace, tokenizer)


def parse(stream: str | Sequence[int], tokenizer: "Tokenizer | None" = None) -> Parsed:
    """The inverse of `render`: frames up to the first malformed one, and in `error` what is wrong with that, where.

    What a model wrote is never an exception.
    """
    if isinstance(stream, str):
        return text.parse_text(stream)
    if tokenizer is None:
        raise ConfigError("token ids cannot be read without their tokenizer", fix="give it: parse(ids, tokenizer)")
    return tokens.parse(stream, tokenizer)


def compare(truth: Trace | Parsed, predicted: Trace | Parsed, *, given: int = 0) -> Comparison:
    """All metrics of a predicted trace against the real one; the first `given` frames were part of the prompt."""
    return comparing.compare(truth, predicted, given=given)


def predict(
    program: str | Path,
    call: str,
    *,
    model: "str | Model" = "nano",
    mode: "Mode" = "trace",
    grammar: bool = True,
    max_frames: int = 200,
    verify: bool = False,
) -> "Prediction":
    """What `call` would do, by a model (`nano`, a folder, `URL#name`, or a `protocols.Model`); nothing is run.

    `mode` is `trace` (every frame) or `output` (the result alone). `verify` also runs it for real: the verdict is in
    `.verified`. With a grammar only well-formed frames are written.
    """
    from opencwm.infer.resolve import open_model
    from opencwm.prediction import predict as predict_call

    subject = _program(program)

    def truth(source: str, call: str) -> Trace:
        return record_program(subject, call=call).trace

    return predict_call(
        subject.source,
        call,
        open_model(model) if isinstance(model, str) else model,
        mode=mode,
        grammar=grammar,
        max_frames=max_frames,
        verify=truth if verify else None,
    )


def _program(program: str | Path) -> Program:
    return Program.of_file(program) if isinstance(program, Path) else Program(source=program)
