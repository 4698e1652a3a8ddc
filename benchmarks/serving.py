"""Serving: what HTTP costs, in tokens per second through `opencwm serve` and straight from its engine.

    python benchmarks/serving.py [--model FOLDER] [--requests 32] [--new 64] [--repeats 3]

The same requests go to a server process, streamed and whole, all at once, and to the engine in this process, which are
idle in turn; the best time of each counts. Greedy, prompts of random tokens, no stop token. The processor time is that
of the server's process, or of this one for the engine: it tells more than the clock where a machine is shared, and
leaves out the clients. Then the time to the first token of a request that is alone, and of one whose prompt begins like
the one before. Linux only: a process's time is read from /proc.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from opencwm.infer.engine import Engine
from opencwm.infer.resolve import NANO
from opencwm.protocols import Request


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=NANO)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--prompt", type=int, default=64, help="tokens per prompt")
    parser.add_argument("--new", type=int, default=64, help="tokens to make per prompt")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    engine = Engine.load(arguments.model, threads=arguments.threads)
    rng = random.Random(0)
    vocab = engine.model.config.vocab_size
    prompts = [tuple(rng.randrange(20, vocab) for _ in range(arguments.prompt)) for _ in range(arguments.requests)]
    command = [sys.executable, "-m", "opencwm", "serve", "--port", "0", "--json", "--quiet", "--name", "m"]
    command += ["--model", str(arguments.model), "--threads", str(arguments.threads), "--max-queue", "10000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            url = json.loads(server.stdout.readline())["url"]
            compare(url, server.pid, engine, prompts, arguments)
        finally:
            server.terminate()


def compare(url: str, pid: int, engine: Engine, prompts: list[tuple[int, ...]], arguments: argparse.Namespace) -> None:
    def body(prompt: tuple[int, ...], *, stream: bool) -> dict[str, object]:
        sampling = {"temperature": 0, "max_tokens": arguments.new, "ignore_eos": True}
        return {"model": "m", "prompt": list(prompt), "stream": stream, **sampling}

    async def ask(client: httpx.AsyncClient, prompt: tuple[int, ...], *, stream: bool) -> float:
        """Seconds to the first piece of the answer, which is read to its end."""
        start, first = time.perf_counter(), 0.0
        async with client.stream("POST", f"{url}/completions", json=body(prompt, stream=stream)) as response:
            assert response.status_code == 200, await response.aread()
            async for _ in response.aiter_bytes():
                first = first or time.perf_counter() - start
        return first

    def all_at_once(*, stream: bool) -> Callable[[], object]:
        async def run(client: httpx.AsyncClient) -> None:
            await asyncio.gather(*(ask(client, prompt, stream=stream) for prompt in prompts))

        return lambda: asyncio.run(with_client(run))

    requests = [Request(prompt=prompt, max_tokens=arguments.new) for prompt in prompts]
    runs = {
        "engine": lambda: engine.generate(requests),
        "server, whole": all_at_once(stream=False),
        "server, streamed": all_at_once(stream=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    busy: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.repeats):
        for name, run in runs.items():
            worker = os.getpid() if name == "engine" else pid
            start, used = time.perf_counter(), processor_time(worker)
            run()
            seconds[name].append(time.perf_counter() - start)
            busy[name].append(processor_time(worker) - used)
    num_tokens = len(prompts) * arguments.new
    print(f"{len(prompts)} requests of {arguments.prompt}+{arguments.new} tokens, {arguments.threads} threads\n")
    print(f"{'':<18}{'tokens/s':>10}{'of the engine':>15}{'CPU ms/token':>14}{'of the engine':>15}")
    for name in runs:
        clock, cpu = min(seconds[name]), min(busy[name])
        print(
            f"{name:<18}{num_tokens / clock:>10.0f}{min(seconds['engine']) / clock:>15.2f}"
            f"{cpu / num_tokens * 1e3:>14.2f}{cpu / min(busy['engine']):>15.2f}"
        )

    async def alone(client: httpx.AsyncClient) -> None:
        fresh = [await ask(client, prompt, stream=True) for prompt in prompts[:8]]
        shared = [await ask(client, (*prompts[8 % len(prompts)], token), stream=True) for token in range(20, 28)]
        print(f"\nfirst token after {statistics.median(fresh) * 1e3:.1f} ms (median of 8 requests, one at a time),")
        print(f"after {statistics.median(shared) * 1e3:.1f} ms where all but the last token of the prompt is known")

    asyncio.run(with_client(alone))


def processor_time(pid: int) -> float:
    """Seconds that a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def with_client(run: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=None)) as client:
        await run(client)


if __name__ == "__main__":
    main()
