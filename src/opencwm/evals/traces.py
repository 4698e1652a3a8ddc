"""The held-out evaluation: real traces predicted frame by frame, and from their first frame alone.

    traces --forced.py--> each frame after the true ones before it        forced
           --free running--> everything after the entry's `call`          free
           --stepped over--> what the entry returns, right away           one_shot
           --trace.compare--> every metric of the trace format, by length class, beside the copy baseline

Each is done with and without the grammar where one is given. Free running may use up to twice the true trace's
tokens; what is not done by then is over budget. One-shot predictions are held to the trace with everything stepped
over, so an exception out of the entry cannot be got right there. Decoding is greedy. A run with a ledger can be stopped
and goes on where it was; results are those of an uninterrupted one.

    python -m opencwm.evals.traces MODEL_FOLDER TRACES --limit 200        the wrong frames, broken down
"""

import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_args

from opencwm.errors import ConfigError
from opencwm.evals.base import EvalResult, Ledger, chunks, estimate_to_dict
from opencwm.evals.forced import MakeGrammar, Predicted, grammar_of, predict_forced
from opencwm.protocols import Model, Request, ScoringModel
from opencwm.trace.compare import (
    LENGTHS,
    Comparison,
    Outcome,
    Summary,
    compare,
    compare_frames,
    copy_baseline,
    length_of,
    summarize,
)
from opencwm.trace.files import read_traces
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.stream import START_MARKER, Parsed, Special, without_marker
from opencwm.trace.tokens import parse, render_frames

Mode = Literal["forced", "forced_grammar", "free", "free_grammar", "one_shot", "one_shot_grammar"]
MODES: tuple[Mode, ...] = get_args(Mode)
MIN_TOKENS = 256
"""A free-running prediction always gets this many."""

Progress = Callable[[str, int, int], None]
"""Mode, traces done, traces in all."""


def load_traces(path: Path, *, limit: int | None = None, seed: int = 0) -> list[Trace]:
    """The traces of a file that can be judged; with a limit, that many drawn with `seed`, in the file's order."""
    traces = [trace for trace in read_traces(path) if trace.frames]
    if not traces:
        raise ConfigError(f"{path} holds no traces", fix="give a file written by `opencwm trace run -o` or data build")
    if limit is None or limit >= len(traces):
        return traces
    return [traces[index] for index in sorted(random.Random(seed).sample(range(len(traces)), limit))]


def evaluate(
    model: Model,
    traces: Sequence[Trace],
    *,
    modes: Sequence[Mode] = MODES,
    grammar: MakeGrammar | None = None,
    ledger: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    task: str = "traces",
    progress: Progress = lambda mode, done, total: None,
) -> EvalResult:
    """All metrics of `model` on `traces`. Modes with a grammar are left out where none is given, forced ones where the
    model cannot score. `settings` say what the traces are; a ledger is only continued under the same ones."""
    if model.tokenizer is None:
        raise ConfigError(f"{model.name} reads text, and traces are predicted as tokens", fix="give a model folder")
    modes = [mode for mode in modes if possible(mode, model, grammar)]
    settings = {"task": task, "model": model.name, "n": len(traces), **(settings or {})}
    # similar lengths together: one long trace would keep a whole batch's attention wide
    order = sorted(range(len(traces)), key=lambda index: -len(traces[index].frames))
    metrics: dict[str, Any] = {}
    outcomes: Mapping[Outcome, int] = {}
    with Ledger(ledger, settings) as book:
        for mode in modes:
            results = run(mode, model, [traces[i] for i in order], order, grammar, book, progress)
            metrics[mode] = tables(results)
            if mode in ("free", "forced") or not outcomes:
                outcomes = summarized(results).outcomes
    metrics["copy_forced"] = tables([compare_frames(t, list(copy_baseline(t)), given=1) for t in traces])
    metrics["copy_free"] = tables([compare(trace, copy_run(trace), given=1) for trace in traces])
    return EvalResult(task=task, model=model.name, n=len(traces), metrics=metrics, outcomes=outcomes, settings=settings)


def possible(mode: Mode, model: Model, grammar: MakeGrammar | None) -> bool:
    if mode.startswith("forced") and not hasattr(model, "score"):
        return False
    return grammar is not None or not mode.endswith("grammar")


def run(
    mode: Mode,
    model: Model,
    traces: Sequence[Trace],
    names: Sequence[int],
    grammar: MakeGrammar | None,
    book: Ledger,
    progress: Progress,
) -> list[Comparison]:
    """One comparison per trace; `names` are their names in the ledger."""
    used = grammar if mode.endswith("grammar") else None
    left = [at for at in range(len(traces)) if f"{mode}/{names[at]}" not in book.done]
    for part in chunks(left, len(traces), partial(progress, mode)):
        chunk = [traces[at] for at in part]
        if mode.startswith("forced"):
            predicted = predict_forced(cast(ScoringModel, model), chunk, grammar=used)
            results = [compare_frames(t, p, given=1) for t, p in zip(chunk, predicted, strict=True)]
        else:
            results = predict_free(model, chunk, grammar=used, one_shot=mode.startswith("one_shot"))
        for at, result in zip(part, results, strict=True):
            book.add(f"{mode}/{names[at]}", dataclasses.asdict(result))
    return [comparison_of(book.done[f"{mode}/{name}"]) for name in names]


def comparison_of(data: Mapping[str, Any]) -> Comparison:
    changed = {"outcome": Outcome(data["outcome"]), "frames_right": tuple(data["frames_right"])}
    return Comparison(**{**data, **changed})


def predict_free(
    model: Model, traces: Sequence[Trace], *, grammar: MakeGrammar | None = None, one_shot: bool = False
) -> list[Comparison]:
    """Each trace from its context and first frame; `one_shot` forces a `return` right after it."""
    tokenizer = model.tokenizer
    assert tokenizer is not None, "traces are predicted as tokens"
    names = (Special.END_OF_TEXT, Special.FRAME_SEP, Special.RETURN_SEP)
    end_of_text, frame_sep, return_sep = (tokenizer.special[name.key] for name in names)
    forced, stops = ([return_sep], {end_of_text, frame_sep}) if one_shot else ([], {end_of_text})
    truths = [stepped_over(trace) for trace in traces] if one_shot else traces
    requests = []
    for truth in truths:
        item = render_frames(truth, tokenizer)
        _, begun = item.span(0)
        prompt = [*item.ids[:begun], *forced]
        requests.append(
            Request(
                prompt=tuple(prompt),
                max_tokens=max(MIN_TOKENS, 2 * (len(item.ids) - begun)),
                stop_ids=frozenset(stops),
                grammar=grammar_of(grammar, truth, prompt[item.context_end :]),
            )
        )
    results = []
    for trace, truth, request, completion in zip(traces, truths, requests, model.generate(requests), strict=True):
        tokens = [*cast(tuple[int, ...], request.prompt), *completion.tokens]
        if one_shot and tokens[-1] == frame_sep:  # we asked for one frame: that there is no more is no fault
            tokens.append(end_of_text)
        parsed = parse(tokens, tokenizer)
        result = dataclasses.replace(compare(truth, parsed, given=1), num_frames=len(trace.frames))
        if completion.finish == "failed":
            result = dataclasses.replace(result, outcome=Outcome.INFRASTRUCTURE)
        results.append(result)
    return results


def stepped_over(trace: Trace) -> Trace:
    """What a debugger shows that steps over everything the entry does: its `call`, and how it is left."""
    is_raised = len(trace.frames) > 2 and trace.frames[-2].event == "exception"
    return Trace(trace.header, [trace.frames[0], *trace.frames[-2 if is_raised else -1 :]])


def copy_run(trace: Trace) -> Parsed:
    """What copying alone predicts freely: after the entry's `call`, the lines below it with unchanged values."""
    lines = trace.context.split("\n")
    marked = [number for number, line in enumerate(lines) if line.endswith(START_MARKER)]
    below = [line for line in lines[marked[0] + 1 :] if line.strip()] if marked else []
    copies = [Frame("line", 0, "", 0, without_marker(line), locals=Locals({})) for line in below]
    return Parsed(context=trace.context, frames=[trace.frames[0], *copies])


def tables(results: Sequence[Comparison]) -> dict[str, Any]:
    """Every metric over all traces and by length class, and the share of right frames over all frames together."""
    groups = {"all": list(results)} | {
        length_of(max(low, 0)): [r for r in results if length_of(r.num_frames) == length_of(max(low, 0))]
        for low, _ in LENGTHS
    }
    return {name: dict(table(group)) for name, group in groups.items() if group}


def table(results: Sequence[Comparison]) -> Iterator[tuple[str, Any]]:
    summary = summarized(results)
    for name, estimate in summary.metrics.items():
        yield name, estimate_to_dict(estimate)
    judged = [r for r in results if r.excluded is None and r.outcome is not Outcome.INFRASTRUCTURE]
    frames = [right for result in judged for right in result.frames_right[1:]]
    yield "frame_exact_pooled", {"value": round(sum(frames) / max(1, len(frames)), 4), "n": len(frames)}
    yield "outcomes", {outcome.value: number for outcome, number in summary.outcomes.items()}
    yield "excluded", dict(summary.excluded)


def summarized(results: Sequence[Comparison]) -> Summary:
    """`trace.compare.summarize`, with the traces for which no prediction could be had apart."""
    had = [result for result in results if result.outcome is not Outcome.INFRASTRUCTURE]
    return summarize(had, num_infrastructure=len(results) - len(had))


def wrong_frames(
    model: ScoringModel,
    traces: Sequence[Trace],
    *,
    grammar: MakeGrammar | None = None,
    progress: Progress = lambda mode, done, total: None,
) -> Iterator[tuple[Trace, Predicted]]:
    """Teacher-forced predictions, for `breakdown.cases`."""
    for chunk in chunks(traces, len(traces), partial(progress, "forced")):
        yield from zip(chunk, predict_forced(model, chunk, grammar=grammar), strict=True)


def main() -> None:
    """The command in this module's docstring."""
    import argparse
    import json
    import sys

    from opencwm.evals.breakdown import breakdown, cases
    from opencwm.infer.engine import Engine

    parser = argparse.ArgumentParser(prog="python -m opencwm.evals.traces", description="Which frames are wrong.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=8, help="per kind of error")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    traces = load_traces(given.file, limit=given.limit, seed=given.seed)
    engine = Engine.load(given.folder, threads=1)
    comparisons, found = [], []
    for trace, predicted in wrong_frames(engine, traces, progress=lambda *at: print(*at, file=sys.stderr)):
        comparisons.append(compare_frames(trace, predicted, given=1))
        found += list(cases(trace, predicted))
    result = {"forced": tables(comparisons), "breakdown": breakdown(found, num_examples=given.examples)}
    print(json.dumps(result) if given.json else "\n".join(report_lines(result)))


def report_lines(result: Mapping[str, Any]) -> Iterator[str]:
    from opencwm.evals.breakdown import summary_lines

    for name, group in result["forced"].items():
        numbers = [f"{key} {group[key]['value']:.3f}" for key in REPORTED if key in group]
        yield f"{name:<8}" + "  ".join(numbers)
    yield from summary_lines(result["breakdown"])
    for kind, examples in result["breakdown"].get("examples", {}).items():
        for example in examples:
            yield f"{kind}: after {example['after']}\n    {example['truth']}\n    {example['predicted']}"


REPORTED = ("frame_exact", "frame_exact_changed", "frame_exact_pooled", "trace_exact")

if __name__ == "__main__":
    main()
