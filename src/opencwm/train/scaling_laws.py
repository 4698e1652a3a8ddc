"""Scaling laws of the batch size and the learning rate: `opencwm train scaling-laws` (CWM, arXiv 2510.02387, 4.3).

    compute budgets --shape for each--> quasi-random (batch, rate) --train--> validation loss --fit--> a * C ** b

A budget of C FLOP fixes model and data: with M FLOP per token, D = ratio * M tokens and C = M * D. M counts the blocks'
matrices and the attention scores (6 N + 6 d L S), not embedding and head. For every budget the configurations are the
same points of a scrambled Sobol sequence, in the logarithms of batch and rate; those within `keep` of the best loss
give the points that the two power laws are fitted to, by least squares in logarithms. Intervals are of the bootstrap
over the runs. Every run is a line of RUN/results.jsonl; what is there is not run again.

The paper searches eight budgets from 2e18 to 2e20 FLOP at D / M = 40. Its laws must not be used below 1e18, and ours,
from budgets that a laptop has, not above them.
"""

import json
import math
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from opencwm.data.dataset import read_manifest
from opencwm.data.documents import trace_documents
from opencwm.data.pack import Batch, PackState, batches, pack
from opencwm.errors import ConfigError, DataError
from opencwm.model.config import ModelConfig, layer_pattern
from opencwm.model.transformer import Transformer
from opencwm.tokenizer import Tokenizer
from opencwm.train.loop import LoopConfig, check_run, loss_of, precision, train
from opencwm.train.optim import OptimConfig
from opencwm.train.schedule import ScheduleConfig

RESULTS, LAWS = "results.jsonl", "laws.json"
BOOTSTRAPS = 1000
HEAD_DIM = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingConfig:
    data: Path
    """A dataset folder; its last shard is the validation set."""
    tokenizer: Path
    run: Path
    budgets: tuple[float, ...]
    """FLOP of one run."""
    ratio: float = 40.0
    """Tokens per FLOP of one token: D / M."""
    runs_per_budget: int = 12
    rates: tuple[float, float] = (3e-4, 3e-2)
    """Range of AdamW's peak rate."""
    batch_tokens: tuple[int, int] = (1_024, 32_768)
    """Range of the batch, in tokens; a batch is a whole number of rows."""
    seq_len: int = 512
    num_layers: int = 4
    keep: float = 0.01
    """Configurations whose loss is at most this share above the budget's best are fitted."""
    validation_rows: int = 64
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if len(set(self.budgets)) < 2:
            raise ConfigError("a power law needs at least two budgets", fix="give budgets=1e11,1e12")
        if not 0 < self.rates[0] < self.rates[1] or not self.seq_len <= self.batch_tokens[0] < self.batch_tokens[1]:
            raise ConfigError(
                "rates and batch_tokens are ranges, from low to high; a batch holds at least one row of seq_len tokens"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """y = factor * C ** exponent; each with its 95% interval."""

    factor: float
    exponent: float
    factor_interval: tuple[float, float]
    exponent_interval: tuple[float, float]

    def __call__(self, compute: float) -> float:
        return float(self.factor * compute**self.exponent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One training run of the search."""

    budget: float
    rate: float
    batch_tokens: int
    loss: float
    """Mean over the validation set, in nats per trained token."""
    hidden_size: int
    flop_per_token: float
    tokens: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Laws:
    rate: Law
    batch: Law
    """In tokens."""
    runs: Sequence[Run] = field(repr=False)


def scaling_laws(config: ScalingConfig, *, say: Callable[[str], None]) -> Laws:
    """Run the search, or what is missing of it, and fit both laws; they are written to RUN/laws.json."""
    torch.set_num_threads(config.threads)
    check_run(config.run, json.loads(json.dumps(asdict(config) | {"threads": None}, default=str)))
    tokenizer = Tokenizer.load(config.tokenizer)
    held = validation_batches(config, tokenizer)
    done = read_runs(config.run / RESULTS)
    plan = [(budget, *point) for budget in sorted(config.budgets) for point in points(config)]
    missing = [item for item in plan if item not in {(run.budget, run.rate, run.batch_tokens) for run in done}]
    if done:
        say(f"{len(plan) - len(missing)} of {len(plan)} runs are there already")
    spent, started = 0.0, time.monotonic()
    left = sum(budget for budget, _, _ in missing)
    for number, (budget, rate, batch_tokens) in enumerate(missing, len(plan) - len(missing) + 1):
        run = one_run(config, tokenizer, held, budget=budget, rate=rate, batch_tokens=batch_tokens)
        with (config.run / RESULTS).open("a") as file:
            file.write(json.dumps(asdict(run)) + "\n")
        done.append(run)
        spent += budget
        eta = (time.monotonic() - started) / spent * (left - spent)
        say(
            f"run {number}/{len(plan)}  {budget:.1e} FLOP  width {run.hidden_size}  rate {rate:.1e}  "
            f"batch {batch_tokens}  loss {run.loss:.4f}  {run.seconds:.0f} s  eta {eta / 60:.0f} min"
        )
    laws = fit([run for run in done if run.budget in config.budgets], keep=config.keep, seed=config.seed)
    text = json.dumps({"rate": asdict(laws.rate), "batch": asdict(laws.batch), "ratio": config.ratio}, indent=1)
    (config.run / LAWS).write_text(text + "\n")
    return laws


def points(config: ScalingConfig) -> list[tuple[float, int]]:
    """(rate, batch in tokens): the search's points, spread evenly over the logarithms."""
    sobol = torch.quasirandom.SobolEngine(2, scramble=True, seed=config.seed)  # type: ignore[no-untyped-call]
    found = []
    for first, second in sobol.draw(config.runs_per_budget).tolist():
        low, high = (math.log(batch) for batch in config.batch_tokens)
        rows = max(1, round(math.exp(low + second * (high - low)) / config.seq_len))
        low, high = (math.log(rate) for rate in config.rates)
        found.append((float(f"{math.exp(low + first * (high - low)):.4g}"), rows * config.seq_len))
    return found


def flop_per_token(shape: ModelConfig, seq_len: int) -> float:
    """M = 6 N + 6 d L S (the paper's count: N without embeddings and head)."""
    inner = shape.num_attention_heads * shape.head_dim
    keys = shape.num_key_value_heads * shape.head_dim
    block = shape.hidden_size * (2 * inner + 2 * keys + 3 * shape.intermediate_size)
    return 6 * block * shape.num_hidden_layers + 6 * inner * shape.num_hidden_layers * seq_len


def shape_for(config: ScalingConfig, budget: float) -> ModelConfig:
    """The width whose training on ratio * M tokens costs nearest to the budget."""
    wanted = math.sqrt(budget / config.ratio)

    def shape(width: int) -> ModelConfig:
        heads = max(1, width // HEAD_DIM)
        return ModelConfig(
            vocab_size=1,  # replaced by the tokenizer's
            hidden_size=width,
            intermediate_size=3 * width,
            num_hidden_layers=config.num_layers,
            num_attention_heads=heads,
            num_key_value_heads=heads // 2 if heads % 2 == 0 else heads,
            head_dim=HEAD_DIM,
            layer_types=layer_pattern(config.num_layers),
            sliding_window=min(256, config.seq_len),
            max_position_embeddings=config.seq_len,
            rope_theta=10_000.0,
            qk_norm=True,
        )

    widths = [HEAD_DIM * n for n in range(1, 129)]
    return min(map(shape, widths), key=lambda each: abs(math.log(flop_per_token(each, config.seq_len) / wanted)))


def one_run(
    config: ScalingConfig,
    tokenizer: Tokenizer,
    held: Sequence[Batch],
    *,
    budget: float,
    rate: float,
    batch_tokens: int,
) -> Run:
    shape = replace(shape_for(config, budget), vocab_size=-(-tokenizer.vocab_size // 32) * 32)
    per_token = flop_per_token(shape, config.seq_len)
    num_rows = batch_tokens // config.seq_len
    num_steps = max(1, round(budget / per_token / batch_tokens))
    model = Transformer(shape)
    model.initialise(config.seed)
    loop = LoopConfig(
        num_steps=num_steps,
        seq_len=config.seq_len,
        num_rows=num_rows,
        # the paper's optimizer and schedule: the laws are of AdamW's rate
        optim=OptimConfig(kind="adamw", adam_lr=rate),
        schedule=ScheduleConfig(kind="cosine", warmup_steps=max(1, num_steps // 20), floor=0.01),
        threads=config.threads,
        log_every=num_steps + 1,
        save_every=num_steps + 1,
    )
    training = trace_documents(config.data, tokenizer, seed=config.seed, shards=slice(-1))

    def rows(state: PackState) -> Any:
        return batches(pack(training, config.seq_len, state, pad_id=tokenizer.pad_id), num_rows)

    started = time.monotonic()
    folder = config.run / "current"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        progress, _ = train(model, rows, loop, folder, log=lambda record: None)
        loss = validation_loss(model, held)
    except DataError:  # the gradient is not finite, again and again: this rate is far too high
        progress, loss = None, math.inf
    return Run(
        budget=budget,
        rate=rate,
        batch_tokens=batch_tokens,
        loss=loss,
        hidden_size=shape.hidden_size,
        flop_per_token=per_token,
        tokens=progress.num_tokens if progress else 0,
        seconds=round(time.monotonic() - started, 1),
    )


def validation_batches(config: ScalingConfig, tokenizer: Tokenizer) -> list[Batch]:
    """One row each, of the last shard."""
    if len(read_manifest(config.data)["shards"]) < 2:
        raise DataError(f"{config.data} has one shard, and the last is for validation", fix="build one of more shards")
    documents = trace_documents(config.data, tokenizer, epochs=1, shards=slice(-1, None))
    rows = pack(documents, config.seq_len, pad_id=tokenizer.pad_id)
    return [batch for batch, _ in islice(batches(rows, 1), config.validation_rows) if batch.trained.any()]


@torch.no_grad()
def validation_loss(model: Transformer, held: Sequence[Batch]) -> float:
    dtype, _ = precision("auto", model.device)
    losses = [loss_of(model, batch, dtype) for batch in held]
    total = sum(float(loss) * count for loss, count in losses) / sum(count for _, count in losses)
    return total if math.isfinite(total) else math.inf


def fit(runs: Sequence[Run], *, keep: float, seed: int = 0) -> Laws:
    """Both laws, from the configurations near each budget's best. Raises DataError for fewer than two budgets."""
    by_budget = grouped(runs)
    if len(by_budget) < 2:
        raise DataError("a power law needs runs of at least two budgets")
    rng = random.Random(seed)
    fitted = near_best(runs, keep)
    resampled = [
        near_best([run for group in by_budget.values() for run in rng.choices(group, k=len(group))], keep)
        for _ in range(BOOTSTRAPS)
    ]

    def law(value: Callable[[Run], float]) -> Law:
        log_factor, exponent = power_law(fitted, value)
        others = [power_law(sample, value) for sample in resampled]
        low, high = int(0.025 * BOOTSTRAPS), int(0.975 * BOOTSTRAPS) - 1
        factors, exponents = sorted(math.exp(a) for a, _ in others), sorted(b for _, b in others)
        return Law(
            factor=math.exp(log_factor),
            exponent=exponent,
            factor_interval=(factors[low], factors[high]),
            exponent_interval=(exponents[low], exponents[high]),
        )

    return Laws(rate=law(lambda run: run.rate), batch=law(lambda run: run.batch_tokens), runs=tuple(runs))


def grouped(runs: Iterable[Run]) -> dict[float, list[Run]]:
    groups: dict[float, list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.budget].append(run)
    return groups


def near_best(runs: Iterable[Run], keep: float) -> list[Run]:
    """The runs that a law is fitted to: those near the best of their budget."""
    groups = grouped(runs)
    best = {budget: min(run.loss for run in group) for budget, group in groups.items()}
    return [run for group in groups.values() for run in group if run.loss <= best[run.budget] * (1 + keep)]


def power_law(runs: Sequence[Run], value: Callable[[Run], float]) -> tuple[float, float]:
    """(log factor, exponent), least squares in logarithms; every budget weighs the same however many runs it keeps."""
    per_budget: dict[float, list[float]] = defaultdict(list)
    for run in runs:
        per_budget[run.budget].append(math.log(value(run)))
    xs = [math.log(budget) for budget in per_budget]
    ys = [sum(values) / len(values) for values in per_budget.values()]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    exponent = covariance / sum((x - mean_x) ** 2 for x in xs)
    return mean_y - exponent * mean_x, exponent


def read_runs(path: Path) -> list[Run]:
    """The finished runs; a line that a kill cut in half is not one."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        path.write_text("".join(whole))
    return [Run(**json.loads(line)) for line in whole]
