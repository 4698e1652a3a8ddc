"""CRUXEval: what does `f(INPUT)` return (O), or which input gives OUTPUT (I)? 800 small functions (arXiv 2401.03065).

    items --prompt of the mode--> model --answer--> score: assert OUTPUT == ANSWER (cruxeval_scoring.py)

Modes of a trace model: `trace` (every frame; the entry's return value is the answer) and `one_shot` (`return_sep`
forced right after the entry's `call`), each also with a grammar; behind a server they are asked as text. Modes of a
model that speaks language: `direct` (one more assertion after a few worked ones) and `reasoning` (a chat). The items
are not part of the package: give the path of cruxeval.jsonl.
Deviation: the prompts are our own, so language scores compare with each other more than with published ones.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from opencwm.data.views.questions import answer_in, input_question, output_question
from opencwm.errors import ConfigError
from opencwm.evals.base import EvalResult, Ledger, Progress, chunks, estimate_to_dict
from opencwm.evals.cruxeval_scoring import Direction, Item, score
from opencwm.evals.forced import MakeGrammar
from opencwm.evals.judge import Verdict
from opencwm.protocols import Completion, Message, Model, Request
from opencwm.sandbox import Sandbox
from opencwm.tokenizer import Tokenizer
from opencwm.trace.compare import Outcome, estimate
from opencwm.trace.recording.frame import Frame, Locals
from opencwm.trace.stream import START_MARKER, Parsed, Special
from opencwm.trace.text import parse_text, render_text
from opencwm.trace.tokens import parse, render_frames
from opencwm.trace.view import output_of, view

Mode = Literal["trace", "trace_grammar", "one_shot", "one_shot_grammar", "direct", "reasoning"]
MODES: tuple[Mode, ...] = ("trace", "trace_grammar", "one_shot", "one_shot_grammar", "direct", "reasoning")
MAX_TOKENS: Mapping[str, int] = {"trace": 8192, "one_shot": 512, "direct": 256, "reasoning": 8192}


# ---- prompts and answers of a trace model


def context_of(item: Item) -> str:
    """The item's source with the wrapper that calls it, as the recorder would write it."""
    code = item.code.strip("\n")
    return f"\n{code}\n\ndef main():{START_MARKER}\n    return f({item.input})\n"


ENTRY = Frame(event="call", depth=0, file="", line_no=0, source_line="def main():", locals=Locals({}))
"""The first frame of every trace, which is given."""


def trace_request(
    item: Item, tokenizer: Tokenizer | None, *, one_shot: bool, grammar: MakeGrammar | None, max_tokens: int
) -> Request:
    """Context and entry, and `return_sep` to step over it; as text where a server has the tokenizer."""
    begun = Parsed(context=context_of(item), frames=[ENTRY])
    stops = (Special.END_OF_TEXT, Special.FRAME_SEP) if one_shot else (Special.END_OF_TEXT,)
    if tokenizer is None:
        text = render_text(begun) + (Special.RETURN_SEP.value if one_shot else "")
        return Request(prompt=text, max_tokens=max_tokens, stop_texts=tuple(special.value for special in stops))
    rendered = render_frames(begun, tokenizer)
    prompt = [*rendered.ids, *([tokenizer.special[Special.RETURN_SEP.key]] if one_shot else [])]
    return Request(
        prompt=tuple(prompt),
        max_tokens=max_tokens,
        stop_ids=frozenset(tokenizer.special[special.key] for special in stops),
        grammar=None if grammar is None else grammar(begun.context, prompt[rendered.context_end :]),
    )


def trace_answer(request: Request, completion: Completion, tokenizer: Tokenizer | None) -> str | None:
    """What the entry point returns in the predicted trace; None where the trace does not get there.

    An exception that leaves it is an answer too, and no Python: what cannot be right is not malformed for it.
    """
    if tokenizer is None:
        parsed = parse_text(f"{request.prompt}{completion.text}")
    else:
        ids = [token for token in (*request.prompt, *completion.tokens) if isinstance(token, int)]
        parsed = parse(ids, tokenizer)
    left = output_of(list(view(parsed).frames))
    if left is None:
        return None
    return left[1] if left[0] == "returned" else f"raises {left[1]}"


# ---- prompts and answers of a model that speaks language

SHOTS = (
    (
        "def f(words, limit):\n    kept = [word for word in words if len(word) <= limit]\n"
        "    kept.reverse()\n    return '-'.join(kept)",
        "['oak', 'willow', 'elm'], 4",
        "'elm-oak'",
    ),
    (
        "def f(table, key):\n    table[key] = table.get(key, 0) + len(table)\n    return sorted(table.items())",
        "{'b': 2, 'a': 5}, 'c'",
        "[('a', 5), ('b', 2), ('c', 2)]",
    ),
    (
        "def f(n):\n    total = 0\n    while n > 1:\n        n = n // 2 if n % 2 == 0 else 3 * n + 1\n"
        "        total += 1\n    return (total, n)",
        "6",
        "(8, 1)",
    ),
)
"""Worked examples of our own: code, input, output."""


def direct_prompt(item: Item, direction: Direction) -> str:
    """Worked assertions and one to complete: its right side for an output, the arguments of its call for an input."""
    wanted = "the value that the call returns" if direction == "output" else "arguments for which it holds"
    parts = [f"# Each program ends with an assertion that holds. In the last one, {wanted} must be filled in.\n"]
    for number, (code, given, result) in enumerate(SHOTS, start=1):
        line = f"assert f({given}) == {result}" if direction == "output" else f"assert {result} == f({given})"
        parts.append(f"# program {number}\n{code}\n{line}\n")
    begun = f"assert f({item.input}) ==" if direction == "output" else f"assert {item.output} == f("
    parts.append(f"# program {len(SHOTS) + 1}\n{item.code.strip(chr(10))}\n{begun}")
    return "\n".join(parts)


def reasoning_prompt(item: Item, direction: Direction) -> tuple[Message, ...]:
    if direction == "output":
        text = output_question(item.code, f"f({item.input})", steps=True)
    else:
        text = input_question(item.code, "f", item.output, steps=True)
    return (Message(role="user", content=text),)


def language_answer(mode: Mode, direction: Direction, text: str) -> str | None:
    """What the model answered; None where the reply does not have the asked form."""
    if mode == "direct":
        line = text.strip().split("\n")[0].strip()
        return (f"f({line}" if direction == "input" else line) if line else None
    return answer_in(text)


def language_request(item: Item, mode: Mode, direction: Direction, max_tokens: int) -> Request:
    if mode == "direct":
        return Request(prompt=direct_prompt(item, direction), max_tokens=max_tokens, stop_texts=("\n",))
    return Request(prompt=reasoning_prompt(item, direction), max_tokens=max_tokens)


# ---- a run


def evaluate(
    model: Model,
    items: Sequence[Item],
    *,
    mode: Mode,
    sandbox: Sandbox,
    direction: Direction = "output",
    grammar: MakeGrammar | None = None,
    max_tokens: int | None = None,
    ledger: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> EvalResult:
    """One greedy answer per item in one mode. Raises ConfigError for a mode that the model or direction cannot do."""
    check(model, mode, direction, grammar)
    limit = max_tokens or MAX_TOKENS[mode.removesuffix("_grammar")]
    digest = hashlib.sha256(repr(list(items)).encode()).hexdigest()[:16]
    settings = {"task": "cruxeval", "model": model.name, "mode": mode, "direction": direction, "max_tokens": limit}
    settings |= {"n": len(items), "items": digest}
    with Ledger(ledger, settings) as book:
        left = [item for item in items if item.id not in book.done]
        for chunk in chunks(left, len(items), progress):
            for item, result in ask(model, chunk, mode, direction, grammar, limit, sandbox):
                book.add(item.id, result)
        results = [book.done[item.id] for item in items]
    return EvalResult(
        task="cruxeval",
        model=model.name,
        n=len(items),
        metrics=metrics_of(results),
        outcomes=Counter(Outcome(result["outcome"]) for result in results),
        settings=settings,
    )


def check(model: Model, mode: Mode, direction: Direction, grammar: MakeGrammar | None) -> None:
    if mode not in MODES:
        raise ConfigError(f"there is no mode {mode!r} of cruxeval", fix=f"choose one of {', '.join(MODES)}")
    if mode in ("direct", "reasoning"):
        return
    if direction == "input":
        raise ConfigError(
            "a trace starts from its input, so trace modes cannot look for one", fix="use direct or reasoning"
        )
    if mode.endswith("_grammar") and grammar is None:
        raise ConfigError(f"mode {mode} needs a grammar, which {model.name} cannot take", fix="use the mode without")


def ask(
    model: Model,
    items: Sequence[Item],
    mode: Mode,
    direction: Direction,
    grammar: MakeGrammar | None,
    limit: int,
    sandbox: Sandbox,
) -> list[tuple[Item, dict[str, Any]]]:
    """What the model said about each item, and the outcome."""
    if mode in ("direct", "reasoning"):
        requests = [language_request(item, mode, direction, limit) for item in items]
    else:
        one_shot, make = mode.startswith("one_shot"), grammar if mode.endswith("_grammar") else None
        requests = [
            trace_request(item, model.tokenizer, one_shot=one_shot, grammar=make, max_tokens=limit) for item in items
        ]
    completions = model.generate(requests)
    answers = [
        answer_of(model, mode, direction, request, completion)
        for request, completion in zip(requests, completions, strict=True)
    ]
    verdicts = score(items, [[] if answer is None else [answer] for answer in answers], direction, sandbox)
    results = []
    for item, completion, answer, verdict in zip(items, completions, answers, verdicts, strict=True):
        result = {
            "outcome": outcome_of(mode, completion, verdict).value,
            "answer": answer,
            "tokens": len(completion.tokens),
        }
        results.append((item, result | ({"error": completion.error} if completion.error else {})))
    return results


def answer_of(model: Model, mode: Mode, direction: Direction, request: Request, completion: Completion) -> str | None:
    if completion.finish != "stop":
        return None
    if mode in ("direct", "reasoning"):
        return language_answer(mode, direction, completion.text)
    return trace_answer(request, completion, model.tokenizer)


def outcome_of(mode: Mode, completion: Completion, verdict: Sequence[Verdict]) -> Outcome:
    if completion.finish == "failed":
        return Outcome.INFRASTRUCTURE
    if completion.finish == "length":
        return Outcome.BUDGET
    if not verdict:
        return Outcome.MALFORMED
    is_language = mode in ("direct", "reasoning")
    # a trace that returns <a thing without a literal> is well-formed, and wrong
    return Outcome(verdict[0]) if is_language or verdict[0] == "right" else Outcome.WRONG


def metrics_of(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy over the items that could be judged, and tokens per answer where they are known."""
    judged = [result for result in results if result["outcome"] != Outcome.INFRASTRUCTURE.value]
    tokens = [result["tokens"] for result in judged if result["tokens"]]
    right = [float(result["outcome"] == Outcome.RIGHT.value) for result in judged]
    return {
        "pass_at_1": estimate_to_dict(estimate(right)) if right else None,
        "mean_tokens": round(sum(tokens) / len(tokens), 1) if tokens else None,
    }
