"""`opencwm serve`: a model behind an OpenAI-compatible endpoint on this machine."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from opencwm.cli.options import Device, Dtype
from opencwm.cli.terminal import emit, say
from opencwm.errors import ConfigError


def serve(
    model: Annotated[str, typer.Option(metavar="M", help="nano, or a folder.")] = "nano",
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all of them.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes one that is free.", min=0, max=65535)] = 8000,
    api_key: Annotated[
        str | None, typer.Option(envvar="OPENCWM_API_KEY", help="What clients must show; better set in the variable.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What clients call it; the folder's name.")] = None,
    context: Annotated[int | None, typer.Option(help="Most tokens of prompt and answer; the model's.", min=2)] = None,
    max_batch: Annotated[int, typer.Option(help="Generations that run at the same time.", min=1)] = 32,
    max_queue: Annotated[int, typer.Option(help="Generations that may wait; others get status 429.", min=0)] = 128,
    max_body_mib: Annotated[int, typer.Option(help="Larger requests get status 413.", min=1)] = 8,
    drain_seconds: Annotated[int, typer.Option(help="How long what runs may go on after a signal.", min=0)] = 30,
    device: Device = "auto",
    dtype: Dtype = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads of the CPU; one for nano.", min=1)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object when it is ready.")] = False,
) -> None:
    """Serve a model over HTTP: /v1/completions, /v1/chat/completions, /v1/models, /health, /metrics.

    Ctrl-C stops it after what runs is finished. Try: opencwm serve --model nano
    """
    from opencwm.provider import is_address

    if is_address(model):
        raise ConfigError(f"{model} is served already", fix="give nano or a folder")
    if api_key is not None and (not api_key.isascii() or not api_key.strip()):
        raise ConfigError("the API key is empty or not ASCII", fix="choose another one")
    try:
        from opencwm.infer.server import run
        from opencwm.infer.server.app import Limits
    except ImportError as exc:
        raise ConfigError(f"serving needs {exc.name}", fix="pip install 'opencwm[serve]'") from exc
    from opencwm.infer.engine import Engine
    from opencwm.infer.resolve import open_model

    listener = run.listen(host, port)
    with listener:
        if threads is None and model == "nano":
            threads = 1  # too small to share
        engine = open_model(model, device=device, dtype=dtype, threads=threads, max_batch=max_batch)
        if not isinstance(engine, Engine):
            raise ConfigError(
                f"{model} is run by transformers, one request after the other: too slow to serve",
                fix="serve it with vLLM, or give a folder in the layout cwm or qwen3",
            )
        url, shown = run.address(listener), name or (Path(model).resolve().name if model != "nano" else model)

        def when_ready() -> None:
            size = sum(parameter.numel() for parameter in engine.model.parameters())
            weights = "int8" if dtype == "int8" else str(engine.dtype).removeprefix("torch.")
            kind = f"{weights} on {engine.device.type}"
            say(f"{shown}: {size / 1e6:,.1f}M parameters, {kind}; {max_batch} at a time, {max_queue} may wait")
            say(f"listening on {url}/v1, {'without a key' if api_key is None else 'with a key'}; Ctrl-C stops it")
            if api_key is None and not run.is_loopback(listener):
                say("warning: whoever reaches this machine can use it; set --api-key")
            key = "" if api_key is None else '-H "Authorization: Bearer $OPENCWM_API_KEY" '
            body = shlex.quote(f'{{"model": "{shown}", "prompt": "def f(x):", "max_tokens": 8}}')
            say(f"  try: curl {url}/v1/completions {key}-H content-type:application/json -d {body}")
            if as_json:
                emit({"url": f"{url}/v1", "model": shown})

        finished = run.serve(
            engine,
            listener,
            name=shown,
            context=context,
            api_key=api_key,
            limits=Limits(max_queue=max_queue, max_body_bytes=max_body_mib << 20),
            drain_s=drain_seconds,
            tell=say,
            tell_requests=(lambda line: None) if quiet else say,
            when_ready=when_ready,
        )
    if not finished:
        say("what still ran was cut off")
        raise typer.Exit(130)
    say("stopped, with everything finished")
