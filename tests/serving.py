"""A model that knows a few answers by heart, and the real command that serves it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import torch
from tiny_models import fresh, save_folder, shape_for

from opencwm.infer.server.bodies import ChatBody, CompletionBody
from opencwm.infer.server.completions import Served, plan_chat, plan_completion
from opencwm.model.transformer import Transformer
from opencwm.tokenizer import Tokenizer

CONTEXT = 2048
BASH = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Runs a command.",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}
ASK = [{"role": "user", "content": "why?"}]
CALL = {"messages": [{"role": "user", "content": "list"}], "tools": [BASH]}
THOUGHT, SAID = "it is easy", "Because — naïve ✓ words."
COUNTED = " one two three four five six seven eight nine ten"


class Run:
    """The command `opencwm serve`, in a process of its own."""

    def __init__(self, log: Path, *options: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "opencwm", "serve", "--port", "0", "--json", "--threads", "1", *options]
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )
        line = self.process.stdout.readline()
        assert line, log.read_text()
        ready = json.loads(line)
        self.url, self.name = ready["url"], ready["model"]
        self.root = self.url.removesuffix("/v1")
        self.http = httpx.Client(timeout=60)

    def count(self, name: str) -> float:
        """A number of `/metrics`."""
        page = self.http.get(f"{self.root}/metrics").text
        return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{name} "))

    def wait_for(self, name: str, value: float) -> None:
        """Until a number of `/metrics` is at least `value`; exactly that for 0."""
        for _ in range(600):
            now = self.count(name)
            if now == 0 if value == 0 else now >= value:
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} is {self.count(name)}, not {value}")

    def stop(self) -> int:
        """Its exit status, after a signal where it still runs."""
        self.http.close()
        self.process.stdout.close()
        self.process.terminate()
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()


def save_knowing_model(folder: Path) -> None:
    """A model of two layers that gives its answers greedily, token for token."""
    texts = [
        THOUGHT,
        SAID,
        COUNTED,
        "You are a helpful AI assistant. You always reason before responding, using the following format:",
        "your internal reasoning your external response You have access to the following tools: Runs a command.",
        "<think></think><tool: bash>ls -l</tool>count:user assistant system why? list",
    ]
    tokenizer = Tokenizer.train(texts * 3, 480)
    config = shape_for(tokenizer, hidden_size=48, intermediate_size=96, head_dim=12, max_position_embeddings=CONTEXT)
    served = Served(name="knowing", tokenizer=tokenizer, vocab_size=config.vocab_size, context=CONTEXT)
    ask, call = ({"model": "knowing", **each} for each in ({"messages": ASK}, CALL))
    prompts = [
        plan_chat(ChatBody.model_validate(ask), served),
        plan_chat(ChatBody.model_validate({**ask, "reasoning_effort": "none"}), served),
        plan_chat(ChatBody.model_validate(call), served),
        plan_completion(CompletionBody.model_validate({"model": "knowing", "prompt": "count:"}), served),
    ]
    answers = [
        f"{THOUGHT}\n</think>\n{SAID}",
        SAID,
        f"{THOUGHT}\n</think>\nI look.\n<tool: bash>\nls -l\n</tool>",
        COUNTED,
    ]
    eot = tokenizer.special["eot_id"]
    rows = [
        (list(plan.requests[0].prompt), [*tokenizer.encode(text), eot])
        for plan, text in zip(prompts, answers, strict=True)
    ]
    model = fresh(config)
    learn(model, rows)
    save_folder(folder, model, tokenizer)


def learn(model: Transformer, rows: list[tuple[list[int], list[int]]]) -> None:
    """Until every token of every answer is the likeliest one by far."""
    torch.set_num_threads(1)
    tokens = torch.tensor([token for prompt, answer in rows for token in prompt + answer])
    lengths = [len(prompt) + len(answer) for prompt, answer in rows]
    places, start = [], 0
    for prompt, answer in rows:
        places += range(start + len(prompt) - 1, start + len(prompt) + len(answer) - 1)
        start += len(prompt) + len(answer)
    at = torch.tensor(places)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(400):
        loss = torch.nn.functional.cross_entropy(model.score(tokens, lengths)[at], tokens[at + 1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.01:
            return
    raise AssertionError(f"not learnt: {loss.item()}")
