"""What functions are called with when tests and scripts run.

    tests, scripts --call_sites_child.py in the sandbox--> arguments as text --call_text--> "f([1, 2], key='a')"

Tests know inputs that no literal call shows: values made by fixtures, parameters, and other functions. Each target runs
in a sandboxed child of its own, with its project readable, no network and no writable place but a temporary one; what a
test cannot do there, it fails at, and the calls made until then count.

Left out: methods (what their objects were is not written down), generators, and arguments that are not Python's own
values or are longer than the recorder shows.
"""

import ast
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from opencwm.data.literal_calls import MAX_CALL_CHARS, is_literal
from opencwm.data.record import finished_lines
from opencwm.errors import ConfigError
from opencwm.sandbox import Limits, NamespaceSandbox, Sandbox
from opencwm.sandbox.base import MIB
from opencwm.trace import recording
from opencwm.trace.recording.options import Options

CHILD = Path(__file__).with_name("call_sites_child.py")
RECORDING = Path(recording.__file__).parent
MEMORY_BYTES = 4096 * MIB
CALLS = "calls.jsonl"

Arguments = tuple[tuple[str, str], ...]
"""Name and text of each parameter, in order."""
CallSites = Mapping[tuple[str, int], Sequence[Arguments]]
"""(real path of a file, line at which the function's code starts) -> different calls of it."""


def observe(
    targets: Sequence[str],
    roots: Sequence[Path],
    *,
    path: Sequence[Path] = (),
    most: int = 12,
    wall_s: float = 600.0,
    sandbox: Sandbox | None = None,
) -> dict[tuple[str, int], list[Arguments]]:
    """Run the targets (scripts, files and folders of tests) and return the calls of functions in files below `roots`.

    `path` is where their imports are looked for first. Raises ConfigError for a target that does not exist.
    """
    sandbox = sandbox or NamespaceSandbox()
    found: dict[tuple[str, int], dict[Arguments, None]] = {}
    for target in targets:
        for line in _run(_checked(target), roots, path, most, wall_s, sandbox):
            data = json.loads(line)
            calls = found.setdefault((data["file"], data["line"]), {})
            if len(calls) < most:
                calls[tuple((name, text) for name, text in data["arguments"])] = None
    return {place: list(calls) for place, calls in found.items()}


def _checked(target: str) -> Path:
    if not Path(target).exists():
        raise ConfigError(f"there are no tests at {target!r}", fix="give a script, or a file or folder of tests")
    return Path(os.path.realpath(target))


def _run(
    target: Path, roots: Sequence[Path], path: Sequence[Path], most: int, wall_s: float, sandbox: Sandbox
) -> Sequence[bytes]:
    home = target if target.is_dir() else target.parent
    job = {
        "targets": [str(target)],
        "roots": [os.path.realpath(root) for root in roots],
        "path": [os.path.realpath(each) for each in path],
        "most": most,
        "recording": str(RECORDING),
        "options": Options().to_dict(),
    }
    result = sandbox.run(
        [sys.executable, "-s", "-P", "-B", str(CHILD)],
        files={"job.json": json.dumps(job).encode()},
        collect=[CALLS],
        limits=Limits(
            wall_s=wall_s, memory_bytes=MEMORY_BYTES, max_processes=64, open_files=256, output_bytes=64 * MIB
        ),
        readable=[CHILD, RECORDING, home, *roots, *path],
    )
    return finished_lines(result.files.get(CALLS, b""))


def call_text(function: ast.FunctionDef, arguments: Arguments) -> str | None:
    """The call that gives these arguments; None where one of them is no literal, or all together are too long."""
    values = {name: _literal(text) for name, text in arguments}
    if any(value is None for value in values.values()):
        return None
    taken = {name: value for name, value in values.items() if value is not None}
    args, keywords = _written(function.args, taken)
    if not args and not keywords:
        return None
    text = ast.unparse(ast.Call(func=ast.Name(id=function.name), args=args, keywords=keywords))
    return text if len(text) <= MAX_CALL_CHARS else None


def _literal(text: str) -> ast.expr | None:
    node = ast.parse(text, mode="eval").body
    return node if is_literal(node) else None


def _written(parameters: ast.arguments, values: Mapping[str, ast.expr]) -> tuple[list[ast.expr], list[ast.keyword]]:
    """Arguments as a person would write them: those that equal their default are left out."""
    places = [*parameters.posonlyargs, *parameters.args]
    defaults = [None] * (len(places) - len(parameters.defaults)) + list(parameters.defaults)
    rest = values.get(parameters.vararg.arg) if parameters.vararg else None
    extra = rest.elts if isinstance(rest, ast.Tuple) else []
    args: list[ast.expr] = []
    keywords: list[ast.keyword] = []
    for index, (place, default) in enumerate(zip(places, defaults, strict=True)):
        value = values.get(place.arg)
        if value is None:
            continue
        is_needed = bool(extra) or index < len(parameters.posonlyargs)
        if is_needed or not _is_default(value, default):
            if len(args) == index:
                args.append(value)
            else:
                keywords.append(ast.keyword(arg=place.arg, value=value))
    for place, default in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True):
        value = values.get(place.arg)
        if value is not None and not _is_default(value, default):
            keywords.append(ast.keyword(arg=place.arg, value=value))
    named = values.get(parameters.kwarg.arg) if parameters.kwarg else None
    if isinstance(named, ast.Dict):
        for key, value in zip(named.keys, named.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier():
                keywords.append(ast.keyword(arg=key.value, value=value))
    return [*args, *extra], keywords


def _is_default(value: ast.expr, default: ast.expr | None) -> bool:
    return default is not None and ast.dump(value) == ast.dump(default)
