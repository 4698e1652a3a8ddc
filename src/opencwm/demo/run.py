"""The main job end to end on this machine, in minutes: record, train, predict, compare, and a page to look at.

    standard library, examples, generator --1 record--> dataset --2 train--> model
    held-out programs --3 predict--> frames   --4 run for real, compare--> report.html

What is trained on is recorded on the spot, in the guarded child; what is predicted are programs of the held-out set,
which no training of ours may see. Accuracies are those of the model as it ships and of the same model after the
minute of training, whichever way they went. Left out: anything that takes longer than a coffee.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opencwm import __version__
from opencwm.data.build import build
from opencwm.data.record import program_of, record_many
from opencwm.data.sources.functions import Functions
from opencwm.demo.page import AFTER, BEFORE, COPY, Measured, digest, estimates, report_of
from opencwm.errors import ConfigError
from opencwm.recipes import demo
from opencwm.recipes.nano import HELDOUT
from opencwm.report import (
    LossPoint,
    Step,
    write_report,
)
from opencwm.report.html import percent
from opencwm.sandbox import NamespaceSandbox
from opencwm.sandbox.doctor import num_threads
from opencwm.trace.compare import Comparison, compare, compare_frames, copy_baseline
from opencwm.trace.recording.frame import Trace

if TYPE_CHECKING:
    from opencwm.infer.engine import Engine
    from opencwm.prediction import Prediction

EXAMPLES = Path(__file__).parents[3] / "examples"
"""There in a checkout; a wheel has none."""
CHUNK = 12
"""Held-out programs predicted together."""

Say = Callable[[str], None]


def free_threads() -> int:
    """Processors that nobody else is using: threads that wait for one another on a busy one are slower than one."""
    return max(1, num_threads() - round(os.getloadavg()[0]))


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoConfig:
    output: Path = Path("report.html")
    model: str = "nano"
    """`nano` or a model folder, with its tokenizer and optimizer state."""
    train_s: float = 60.0
    """Seconds of training, or less where `max_steps` optimizer steps are done before."""
    max_steps: int = 100_000
    seed: int = 0
    num_programs: int = 320
    """Programs to record for training, before any is dropped; half of them functions of the standard library."""
    harvest: tuple[str, ...] = ("stdlib",)
    num_measured: int = 96
    """Most held-out programs whose every frame is predicted after the true ones."""
    num_predicted: int = 48
    """Most of these that are predicted freely from their first frame on."""
    patience_s: float = 30.0
    """Seconds after which measuring, or predicting, takes on no further programs."""
    num_shown: int = 24
    """Of these, programs on the page."""
    max_frames: int = 120
    """Longer held-out programs are left out here, for time."""
    threads: int = field(default_factory=free_threads)
    """CPU threads for recording and training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoResult:
    sentence: str
    report: Path
    seconds: float
    metrics: Mapping[str, Mapping[str, float]]
    """Mean by metric and series."""

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "report": str(self.report)}


@dataclass(kw_only=True, slots=True)
class Clock:
    """The steps that were done, with how long each took."""

    steps: list[Step] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, title: str, say: Say) -> Iterator[Callable[[str], None]]:
        """Runs a step; what is given to the yielded function is told about it on the page."""
        told: list[str] = []
        began = time.monotonic()
        say(f"{len(self.steps) + 1}. {title}")
        yield told.append
        seconds = time.monotonic() - began
        self.steps.append(Step(title=title, text=" ".join(told), seconds=seconds))
        for line in told:
            say(f"   {line}")
        say(f"   {seconds:.0f} s")


def run_demo(config: DemoConfig, *, say: Say) -> DemoResult:
    """All of it. Raises ConfigError where the model's folder is not one that the demo can use."""
    folder = model_folder(config.model)
    heldout = read_heldout(config)
    clock = Clock()
    losses: list[LossPoint] = []
    say(f"OpenCWM {__version__}: record, train, predict, compare; about four minutes")
    with tempfile.TemporaryDirectory(prefix="opencwm-demo-") as name:
        work = Path(name)
        with clock.step("Record", say) as tell:
            manifest = record_programs(config, work / "data", say)
            tell(recorded_in_words(manifest))
            tell(f"The child that runs them: {NamespaceSandbox().enforced().sentence}.")
        with clock.step("Train", say) as tell:
            before = load_engine(folder)
            say("   predicting every frame of held-out programs with the model as shipped")
            measured = {BEFORE: forced(before, heldout, say, patience_s=config.patience_s)}
            heldout = heldout[: len(measured[BEFORE])]
            measured[COPY] = copied(heldout)
            trained = train_on(config, folder, work, say, losses)
            after = load_engine(trained)
            say(f"   the same frames after training, of {len(heldout)} programs")
            measured[AFTER] = forced(after, heldout, say)
            tell(trained_in_words(measured, losses))
        with clock.step("Predict", say) as tell:
            predictions = predict_freely(after, heldout[: config.num_predicted], config.patience_s, say)
            programs = heldout[: len(predictions)]
            num_frames = sum(len(prediction.frames) - 1 for prediction in predictions)
            tell(f"{num_frames:,} frames of {len(programs)} held-out programs, each from its call on.")
        with clock.step("Compare", say) as tell:
            truths = run_for_real(programs)
            free = [compare(t, p.parsed, given=1) for t, p in zip(truths, predictions, strict=True)]
            tell(compared_in_words(free))
    found = Measured(
        forced=measured,
        free=free,
        pairs=list(zip(truths, predictions, strict=True)),
        losses=losses,
        manifest=manifest,
        seconds=time.monotonic() - clock.started,
    )
    more_facts = facts_of(config, folder, manifest)
    data = report_of(found, clock.steps, num_shown=config.num_shown, threads=config.threads, more_facts=more_facts)
    write_report(config.output, data)
    return DemoResult(
        sentence=data.headline,
        report=config.output,
        seconds=found.seconds,
        metrics={name: means(results) for name, results in {**measured, "free": free}.items()},
    )


# ---- 0. what is there


def model_folder(name: str) -> Path:
    from opencwm.infer.resolve import NANO

    folder = NANO if name == "nano" else Path(name)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} is not a model folder: it has no config.json", fix="use --model nano")
    return folder


def read_heldout(config: DemoConfig) -> list[Trace]:
    """Programs that no training of ours has seen, drawn from the frozen set."""
    from opencwm.evals.traces import load_traces

    traces = [trace for trace in load_traces(HELDOUT) if len(trace.frames) <= config.max_frames]
    return random.Random(config.seed).sample(traces, min(config.num_measured, len(traces)))


def load_engine(folder: Path) -> "Engine":
    """On one thread: the products of a small model are too small to share, and waiting for each other costs more."""
    from opencwm.infer.engine import Engine

    return Engine.load(folder, threads=1)


# ---- 1. record


def record_programs(config: DemoConfig, out: Path, say: Say) -> Mapping[str, Any]:
    """A small dataset: functions with the inputs that people gave them, and generated programs."""
    places = [*config.harvest, *([str(EXAMPLES)] if EXAMPLES.is_dir() else [])]
    base = demo.data()
    recipe = replace(
        base,
        seed=base.seed + config.seed,
        num_programs=config.num_programs,
        shard_size=max(1, config.num_programs // 4),
        functions=replace(base.functions, places=tuple(places)),
    )
    say("   reading the standard library for functions and for inputs that people gave them: up to a minute")
    return build(recipe, out, num_workers=config.threads, say=lambda line: say(f"   {line}"))


def recorded_in_words(manifest: Mapping[str, Any]) -> str:
    kept = manifest["kept"]
    functions = sum(kept.get(kind, 0) for kind in Functions.kinds)
    return (
        f"{manifest['num_traces']:,} executions, {manifest['num_frames']:,} frames: {functions:,} of functions that "
        f"people wrote, {kept.get('generated', 0):,} of generated programs."
    )


# ---- 2. train


def train_on(config: DemoConfig, folder: Path, work: Path, say: Say, losses: list[LossPoint]) -> Path:
    """Go on training for a while, from the saved optimizer state; the folder of the trained model."""
    from opencwm.data.mix import mix
    from opencwm.train.loop import progress_line
    from opencwm.train.stage import run_stage

    def log(record: dict[str, Any]) -> None:
        if record["event"] == "step":
            losses.append(LossPoint(step=record["step"], loss=record["loss"], tokens_per_s=record["tokens_per_s"]))
            left = max(0.0, config.train_s - record["seconds"])
            say(f"   {progress_line(record).rpartition('  eta')[0]}  {left:.0f} s left")
        else:
            say(f"   {progress_line(record)}")

    base = demo.train()
    loop = replace(
        base.loop,
        num_steps=config.max_steps,
        save_every=config.max_steps + 1,
        threads=config.threads,
        seed=config.seed,
    )
    stage = replace(
        base,
        data=mix(str(work / "data")),
        tokenizer=folder,
        run=work / "run",
        start=folder,
        loop=loop,
        seed=config.seed,
    )
    run_stage(stage, log=log, stop=lambda progress: progress.seconds >= config.train_s)
    return stage.run / "model"


def forced(engine: "Engine", traces: Sequence[Trace], say: Say, *, patience_s: float | None = None) -> list[Comparison]:
    """Each frame after the true ones; with `patience_s`, of as many traces as that allows."""
    from opencwm.evals.forced import predict_forced

    results: list[Comparison] = []
    for chunk in chunks(traces, patience_s):
        predicted = predict_forced(engine, chunk)
        results += [compare_frames(trace, frames, given=1) for trace, frames in zip(chunk, predicted, strict=True)]
        right = estimates(results)["frame_exact"].mean
        say(f"   {len(results)} programs, {percent(right)} of the frames right so far")
    return results


def chunks(traces: Sequence[Trace], patience_s: float | None) -> Iterator[Sequence[Trace]]:
    """The traces, some at a time, until patience ends; at least once."""
    until = None if patience_s is None else time.monotonic() + patience_s
    for start in range(0, len(traces), CHUNK):
        if start and until is not None and time.monotonic() > until:
            return
        yield traces[start : start + CHUNK]


def copied(traces: Sequence[Trace]) -> list[Comparison]:
    """The same by copying: no value changes, and the next line runs."""
    return [compare_frames(trace, list(copy_baseline(trace)), given=1) for trace in traces]


def trained_in_words(measured: Mapping[str, Sequence[Comparison]], losses: Sequence[LossPoint]) -> str:
    before, after = (estimates(measured[name])["frame_exact"] for name in (BEFORE, AFTER))
    change = after.mean - before.mean
    if max(before.low, after.low) <= min(before.mean, after.mean):
        verdict = "no clear change"
    else:
        verdict = "it got better" if change > 0 else "it got worse"
    speed = f"{losses[-1].tokens_per_s:,.0f} tokens per second. " if losses else ""
    return (
        f"{speed}Held-out frames right: {percent(before.mean)} before, {percent(after.mean)} after "
        f"({percent(after.low)} to {percent(after.high)}): {verdict}."
    )


# ---- 3. predict, 4. compare


def predict_freely(engine: "Engine", traces: Sequence[Trace], patience_s: float, say: Say) -> list["Prediction"]:
    """From the call to the end, of as many traces as patience allows."""
    from opencwm.prediction import predict_many

    predictions: list[Prediction] = []
    for chunk in chunks(traces, patience_s):
        calls = [(source, call or "") for source, call in map(program_of, chunk)]
        predictions += predict_many(calls, engine, max_frames=max(len(trace.frames) for trace in chunk) + 20)
        say(f"   {len(predictions)} programs")
    return predictions


def run_for_real(traces: Sequence[Trace]) -> list[Trace]:
    """The same programs, recorded again, here and now."""
    results = record_many(map(program_of, traces), trusted=True)
    return [result.trace or trace for trace, result in zip(traces, results, strict=True)]


def compared_in_words(free: Sequence[Comparison]) -> str:
    num_right = sum(result.trace_exact for result in free)
    num_outputs = sum(result.output_exact for result in free)
    return f"{num_right} of {len(free)} executions right in every frame; {num_outputs} right outputs."


def means(results: Sequence[Comparison]) -> dict[str, float]:
    return {name: round(estimate.mean, 4) for name, estimate in estimates(results).items()}


def facts_of(config: DemoConfig, folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    return {
        "command": f"opencwm demo --model {config.model} --train-s {config.train_s:g} --seed {config.seed}",
        "model": f"{config.model}, weights {digest(folder / 'model.safetensors')}",
        "held-out set": digest(HELDOUT),
        "seeds": f"programs {manifest['recipe']['seed']}, order {config.seed}; decoding is greedy",
    }
