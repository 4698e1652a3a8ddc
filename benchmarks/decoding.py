"""Traces decoded: our engine with and without drafts, and transformers' `generate`, same weights, same run.

    python benchmarks/decoding.py [--model FOLDER] [--traces 8] [--tokens 300] [--dtype float32]

Held-out traces from their first frame on, greedy, on one thread. Every side makes the same number of tokens at most and
ends with the trace; frames count once, however many tokens a side takes for them. Times are of the processor, so that
other programs on the machine matter less. transformers drafts by prompt lookup where it makes one sequence at a time;
with several it cannot, and makes one token per pass.

    single    tokens per pass, frames per second, and whether all made the same tokens
    kinds     of each kind of token, how many were there before the model was asked
    grammar   how many tokens the grammar changes
    batch     16 at a time
    memory    what the caches take at 32,768 tokens
    prefix    time to the first token of a prompt whose beginning is known
"""

import argparse
import gc
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers

from opencwm.errors import DataError
from opencwm.evals.traces import load_traces
from opencwm.infer import scheduler
from opencwm.infer.engine import Engine
from opencwm.infer.grammar import TraceGrammar
from opencwm.infer.kv_cache import KVCache, cache_bytes
from opencwm.infer.resolve import NANO
from opencwm.infer.trace_drafts import Reading
from opencwm.protocols import Request
from opencwm.recipes.nano import HELDOUT
from opencwm.tokenizer import Tokenizer
from opencwm.trace.recording.frame import Trace
from opencwm.trace.tokens import render_frames

SECTIONS = ("single", "kinds", "grammar", "batch", "memory", "prefix")
DRAFTED = 24
"""The engine's default."""
clock = time.process_time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=NANO)
    parser.add_argument("--traces", type=int, default=8, help="of the held-out set, where they are made one at a time")
    parser.add_argument("--tokens", type=int, default=300, help="most tokens to make per trace")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--lookup", type=int, default=10, help="prompt_lookup_num_tokens of transformers")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    bench = Bench(given)
    for section in given.only:
        getattr(bench, section)()
        gc.collect()


class Bench:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.dtype = getattr(torch, given.dtype)
        self.engine = Engine.load(given.model, dtype=self.dtype, threads=1)
        assert self.engine.tokenizer is not None
        self.tokenizer: Tokenizer = self.engine.tokenizer
        special = self.tokenizer.special
        self.frame_sep, self.end = special["frame_sep"], special["end_of_text"]
        self.traces = load_traces(HELDOUT, limit=max(16, given.traces), seed=0)
        self.requests = [self.request_of(trace) for trace in self.traces]
        kind = transformers.Qwen3ForCausalLM if self.engine.model.config.qk_norm else transformers.CwmForCausalLM
        self.theirs = kind.from_pretrained(given.model, attn_implementation="sdpa", dtype=self.dtype).eval()
        print(f"{given.model.name}, {given.dtype}, at most {given.tokens} tokens per trace, one thread, processor time")

    def request_of(self, trace: Trace) -> Request:
        item = render_frames(trace, self.tokenizer)
        prompt = tuple(item.ids[: item.frame_starts[1]])
        return Request(prompt=prompt, max_tokens=self.given.tokens, stop_ids=frozenset({self.end}))

    def ours(self, num_drafted: int, *, max_batch: int = 1, reads_traces: bool = True) -> Engine:
        tokenizer = self.tokenizer if reads_traces else None
        return Engine(self.engine.model, tokenizer, max_batch=max_batch, num_drafted=num_drafted, prefix_bytes=0)

    def generate(self, prompts: Sequence[Sequence[int]], **settings: Any) -> list[list[int]]:
        """transformers; several prompts are padded on the left."""
        longest = max(len(prompt) for prompt in prompts)
        pad = self.theirs.config.pad_token_id or 0
        ids = torch.tensor([[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        with torch.inference_mode():
            made = self.theirs.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=self.given.tokens,
                do_sample=False,
                eos_token_id=self.end,
                pad_token_id=pad,
                **settings,
            )
        rows = made[:, longest:].tolist()
        return [row[: row.index(self.end) + 1] if self.end in row else row for row in rows]

    def single(self) -> None:
        requests = self.requests[: self.given.traces]
        passes = Counter[str]()

        def counted(name: str, engine: Engine) -> Callable[[], list[list[int]]]:
            def run() -> list[list[int]]:
                with counting(Engine, "logits", lambda: passes.update([name])):
                    return [list(engine.generate([request])[0].tokens) for request in requests]

            return run

        def theirs(name: str, **settings: Any) -> Callable[[], list[list[int]]]:
            def run() -> list[list[int]]:
                with counting(type(self.theirs), "forward", lambda: passes.update([name])):
                    return [self.generate([request.prompt], **settings)[0] for request in requests]  # type: ignore[list-item]

            return run

        runs = {
            "ours, trace drafts": counted("ours, trace drafts", self.ours(DRAFTED)),
            "ours, prompt lookup": counted("ours, prompt lookup", self.ours(DRAFTED, reads_traces=False)),
            "ours, no drafts": counted("ours, no drafts", self.ours(0)),
            "generate, prompt lookup": theirs("generate, prompt lookup", prompt_lookup_num_tokens=self.given.lookup),
        }
        print(f"\n{len(requests)} traces one after the other")
        print(f"{'':<26}{'tokens/pass':>12}{'frames/s':>10}{'tokens/s':>10}{'ours is':>10}   same tokens")
        results = {name: timed(run) for name, run in runs.items()}
        expected = results["ours, no drafts"][0]
        fastest = results["ours, trace drafts"][1]
        for name, (made, seconds) in results.items():
            tokens, frames = sum(map(len, made)), sum(row.count(self.frame_sep) for row in made)
            same = sum(a == b for a, b in zip(made, expected, strict=True))
            print(
                f"{name:<26}{tokens / passes[name]:>12.2f}{frames / seconds:>10.1f}{tokens / seconds:>10.0f}"
                f"{seconds / fastest:>9.2f}x   {same}/{len(made)}",
                flush=True,
            )

    def kinds(self) -> None:
        """Which tokens were drafted rightly, over what the model itself makes of the traces."""
        print("\nkind            tokens   drafted   right of those drafted   made without a pass of their own")
        counts = {name: Counter[str]() for name in ("tokens", "drafted", "right")}
        for request in self.requests[: self.given.traces]:
            reading = Reading(self.tokenizer)
            for token in request.prompt:
                reading.push(token)  # type: ignore[arg-type]
            for draft, kept in self.steps(request):
                for place, token in enumerate(kept):
                    kind = kind_of(reading, token, self.tokenizer)
                    counts["tokens"][kind] += 1
                    counts["drafted"][kind] += place < len(draft)
                    counts["right"][kind] += place < len(draft) and draft[place] == token
                    reading.push(token)
        for kind in [*sorted(counts["tokens"]), "all"]:
            tokens, drafted, right = (count.total() if kind == "all" else count[kind] for count in counts.values())
            print(
                f"{kind:<14}{tokens:>8}{drafted / tokens:>10.1%}{right / max(1, drafted):>25.1%}{right / tokens:>25.1%}"
            )

    def steps(self, request: Request) -> Iterator[tuple[list[int], list[int]]]:
        """What each step drafts, and what it makes."""
        found: list[tuple[list[int], list[int]]] = []
        keep = scheduler.keep

        def watched(item: Any, drafted: list[int], *logits: Any) -> list[int]:
            kept = keep(item, drafted, *logits)
            found.append((drafted, kept))
            return kept

        scheduler.keep = watched
        try:
            self.ours(DRAFTED).generate([request])
        finally:
            scheduler.keep = keep
        yield from found

    def grammar(self) -> None:
        """What it changes of what the model would have written."""
        changed, made, traces = Counter[str](), 0, 0
        choose = scheduler.choose
        for trace, request in zip(self.traces[: self.given.traces], self.requests, strict=False):
            item = render_frames(trace, self.tokenizer)
            try:
                grammar = TraceGrammar(trace.context, self.tokenizer, prefix=request.prompt[item.context_end :])  # type: ignore[arg-type]
            except DataError:
                continue
            places: list[str] = []

            def watched(*given: Any, places: list[str] = places) -> int:
                places.append("")
                return choose(*given)

            scheduler.choose = watched
            try:
                completion = self.ours(DRAFTED).generate([replace(request, grammar=grammar)])[0]
            finally:
                scheduler.choose = choose
            plain = self.ours(DRAFTED).generate([request])[0]
            changed["tokens"] += len(places)
            changed["traces"] += bool(places)
            changed["whole"] += completion.tokens[-1:] == (self.end,)
            changed["whole without"] += plain.tokens[-1:] == (self.end,)
            made, traces = made + len(completion.tokens), traces + 1
        print(
            f"\nthe grammar changes {changed['tokens']} of {made} tokens, in {changed['traces']} of {traces} traces; "
            f"{changed['whole']} end within {self.given.tokens} tokens, without it {changed['whole without']}"
        )

    def batch(self) -> None:
        requests = self.requests[:16]
        prompts = [list(request.prompt) for request in requests]
        runs: dict[str, Callable[[], list[list[int]]]] = {
            f"ours, {what}": lambda n=num_drafted: [  # type: ignore[misc]
                list(done.tokens) for done in self.ours(n, max_batch=16).generate(requests)
            ]
            for what, num_drafted in (("trace drafts", DRAFTED), ("no drafts", 0))
        }
        runs["generate"] = lambda: self.generate(prompts)
        print(f"\n{len(requests)} traces together\n{'':<26}{'frames/s':>10}{'tokens/s':>10}{'ours is':>10}")
        results = {name: timed(run) for name, run in runs.items()}
        fastest = results["ours, trace drafts"][1]
        for name, (made, seconds) in results.items():
            tokens, frames = sum(map(len, made)), sum(row.count(self.frame_sep) for row in made)
            print(f"{name:<26}{frames / seconds:>10.1f}{tokens / seconds:>10.0f}{seconds / fastest:>9.2f}x", flush=True)

    def memory(self, length: int = 32_768) -> None:
        """Caches filled with zeros: what is held does not depend on the values."""
        config = self.engine.model.config
        ours = KVCache(config, dtype=self.dtype, device=torch.device("cpu"))
        theirs = transformers.DynamicCache(config=self.theirs.config)
        zeros = torch.zeros(ours.spare, config.num_key_value_heads, config.head_dim, dtype=self.dtype)
        while ours.length < length:
            ours.reserve(ours.length + ours.spare)
            ours.length += ours.spare
            for layer in range(config.num_hidden_layers):
                theirs.update(zeros.transpose(0, 1)[None], zeros.transpose(0, 1)[None], layer)
        held = sum(storage_bytes(layer.keys) + storage_bytes(layer.values) for layer in theirs.layers)
        size = self.dtype.itemsize
        needed = cache_bytes(config, length, bytes_per_value=size)
        whole = cache_bytes(config, length, bytes_per_value=size, has_windows=False)
        print(f"\ncache at {length} tokens: ours {ours.num_bytes / 1e6:.1f} MB, transformers {held / 1e6:.1f} MB; "
              f"needed {needed / 1e6:.1f} MB, without windows {whole / 1e6:.1f} MB")  # fmt: skip

    def prefix(self, length: int = 2048) -> None:
        """16 branches of one context: each has the context and a few tokens of its own."""
        context = [token for request in self.requests for token in request.prompt][:length]
        branches = [(*context, *request.prompt[-8:]) for request in self.requests[:16]]
        requests = [Request(prompt=branch, max_tokens=1) for branch in branches]  # type: ignore[arg-type]
        seconds: dict[str, list[float]] = {"ours": [], "ours, known": [], "generate": []}
        for request in requests[:3]:
            engine = Engine(self.engine.model, self.tokenizer, max_batch=1)
            seconds["ours"].append(timed(lambda engine=engine, request=request: engine.generate([request]))[1])  # type: ignore[misc]
            tokens = torch.tensor([request.prompt])
            call = lambda tokens=tokens: self.theirs.generate(tokens, max_new_tokens=1, do_sample=False)  # noqa: E731
            with torch.inference_mode():
                seconds["generate"].append(timed(call)[1])
        for request in requests:
            call = lambda request=request: engine.generate([request])  # noqa: E731
            seconds["ours, known"].append(timed(call)[1])
        print(f"\nfirst token of {length + 8} tokens, {length} of which are shared")
        for name, values in seconds.items():
            print(f"{name:<26}{statistics.median(values) * 1e3:>8.1f} ms")


def kind_of(reading: Reading, token: int, tokenizer: Tokenizer) -> str:
    """Of a token that comes next: `event`, `separator`, `name`, `unchanged`, `value`, `source` or `returned`."""
    if token in tokenizer.special.values():
        return "event" if reading.place == "event" else "separator"
    if reading.place == "source":
        return "source"
    if reading.place == "value":
        return "returned"
    before = tokenizer.decode(reading.field)
    if ".." in tokenizer.decode([token]):
        return "unchanged"
    return "value" if before.count('"') % 4 == 3 else "name"


class counting:
    """While it is open, `count` is called whenever a method of a class is."""

    def __init__(self, owner: type, name: str, count: Callable[[], None]) -> None:
        self.owner, self.name, self.count = owner, name, count

    def __enter__(self) -> None:
        self.method = method = getattr(self.owner, self.name)
        count = self.count

        def counted(*args: Any, **kwargs: Any) -> Any:
            count()
            return method(*args, **kwargs)

        setattr(self.owner, self.name, counted)

    def __exit__(self, *error: object) -> None:
        setattr(self.owner, self.name, self.method)


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = clock()
    made = run()
    return made, clock() - start


def storage_bytes(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes()


if __name__ == "__main__":
    main()
