"""What the grammar of traces costs per token: our table against llguidance, on the same fields in the same run.

    python benchmarks/grammar.py [--model FOLDER] [--repeats 5]

Both walk over the LOCALS and VALUE fields of recorded traces, asking for the mask before every token and accepting the
true token after it. `whole` is our grammar over whole frames, SOURCE by its trie included. Without `--model` a small
tokenizer is trained on the traces. The share of tokens that the grammar leaves no choice about is printed beside it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import llguidance
import numpy as np

from opencwm.infer.grammar import JsonTable, TraceGrammar, json_table
from opencwm.tokenizer import Tokenizer
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.recorder import record_source
from opencwm.trace.text import render_text
from opencwm.trace.tokens import render_frames

PROGRAMS = [
    (
        "def f(xs):\n    out = []\n    for x in xs:\n        if x % 2:\n            out.append(x * 3)\n"
        "    return sorted(out)\n",
        "f([5, 2, 9, 1])",
    ),
    (
        "def count(text):\n    seen = {}\n    for c in text:\n        seen[c] = seen.get(c, 0) + 1\n    return seen\n",
        "count('mississippi')",
    ),
    ("def fib(n):\n    if n < 2:\n        return n\n    return fib(n - 1) + fib(n - 2)\n", "fib(6)"),
]
ESCAPE = r"\\u(00[89a-f][0-9a-f]|(0[1-9a-f]|[1-9a-f][0-9a-f])[0-9a-f]{2})"
NAME = rf"([A-Za-z_]|{ESCAPE})([A-Za-z0-9_]|{ESCAPE})*"
TEXT = r'([^"\\\x00-\x1f\x80-\U0010ffff]|\\["\\bfnrt]|\\u[0-9a-f]{4})*'
REGEX = {"locals": rf'\{{("{NAME}": "{TEXT}"(, "{NAME}": "{TEXT}")*)?\}}', "value": f'"{TEXT}"'}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="take the tokenizer of this model folder")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    traces = [record_source(source, call=call) for source, call in PROGRAMS]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model or trained(traces, Path(temporary))
        tokenizer = Tokenizer.load(folder)
        other = llguidance.LLTokenizer(
            (folder / "tokenizer.json").read_text(), eos_token=tokenizer.special["end_of_text"]
        )
        fields = [field for trace in traces for field in fields_of(trace, tokenizer)]
        whole = [whole_of(trace, tokenizer) for trace in traces]
        num_tokens = sum(len(tokens) for _, tokens in fields)
        num_whole = sum(len(tokens) for _, tokens in whole)
        table = json_table(tokenizer)
        matchers = {
            kind: llguidance.LLMatcher(other, llguidance.LLMatcher.grammar_from_regex(r)) for kind, r in REGEX.items()
        }
        print(
            f"{len(fields)} fields, {num_tokens} tokens of them, {num_whole} in all; vocabulary {tokenizer.vocab_size}"
        )
        report("table, fields", num_tokens, arguments.repeats, lambda: walk_table(table, fields))
        report("llguidance, fields", num_tokens, arguments.repeats, lambda: walk_llguidance(matchers, fields))
        report("ours, whole frames", num_whole, arguments.repeats, lambda: walk_whole(whole))
        start = time.perf_counter()
        json_table.__wrapped__(tokenizer)
        print(f"building the table, once per tokenizer: {time.perf_counter() - start:.2f} s")
        forced = sum(forced_tokens(grammar, tokens) for grammar, tokens in whole)
        print(f"tokens about which the grammar leaves no choice: {forced / num_whole:.1%}")


def report(name: str, num_tokens: int, repeats: int, walk: Callable[[], None]) -> None:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        walk()
        seconds.append(time.perf_counter() - start)
    print(f"{name:<20}{min(seconds) / num_tokens * 1e6:>8.2f} us per token")


def trained(traces: list[Trace], folder: Path) -> Path:
    Tokenizer.train([render_text(trace) for trace in traces] * 3, 600).save(folder)
    return folder


def fields_of(trace: Trace, tokenizer: Tokenizer) -> list[tuple[str, list[int]]]:
    """(kind, tokens) of every LOCALS and VALUE."""
    special = tokenizer.special
    item = render_frames(trace, tokenizer)
    fields = []
    for index, frame in enumerate(trace.frames):
        start, end = item.span(index)
        ids = item.ids[start:end]
        if frame.locals is not None:
            fields.append(("locals", ids[1 : ids.index(special["action_sep"])]))
        else:
            fields.append(("value", ids[ids.index(special["arg_sep"]) + 1 : -1]))
    return fields


def whole_of(trace: Trace, tokenizer: Tokenizer) -> tuple[TraceGrammar, list[int]]:
    item = render_frames(trace, tokenizer)
    return TraceGrammar(trace.context, tokenizer), item.ids[item.context_end :]


def walk_table(table: JsonTable, fields: list[tuple[str, list[int]]]) -> None:
    for kind, tokens in fields:
        state = table.locals_start if kind == "locals" else table.value_start
        for token in tokens:
            assert table.masks[state][token]
            state = int(table.following[state, token])


def walk_llguidance(matchers: dict[str, llguidance.LLMatcher], fields: list[tuple[str, list[int]]]) -> None:
    for kind, tokens in fields:
        matcher = matchers[kind]
        matcher.reset()
        for token in tokens:
            assert matcher.compute_bitmask()
            assert matcher.consume_token(token)


def walk_whole(whole: list[tuple[TraceGrammar, list[int]]]) -> None:
    for grammar, tokens in whole:
        state = grammar.start()
        for token in tokens:
            assert state.allowed()[token]
            state.accept(token)


def forced_tokens(grammar: TraceGrammar, tokens: list[int]) -> int:
    state, forced = grammar.start(), 0
    for token in tokens:
        forced += int(np.frombuffer(state.allowed(), dtype=np.uint8).sum()) == 1
        state.accept(token)
    return forced


if __name__ == "__main__":
    main()
