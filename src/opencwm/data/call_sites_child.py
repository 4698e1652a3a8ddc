"""Run test suites and scripts, and note what the functions of given folders are called with; run in the sandbox by
`call_sites.py`.

    job.json --pytest | script, watched--> calls.jsonl, one line per new call: {"file", "line", "arguments": [...]}

A function counts if it stands directly in its module. Its arguments are written by the recorder's own writer when it
starts, so no code of theirs runs for it; a value that is cut, or is no value of Python's own, makes the call unusable
there. After `most` different calls, or `TRIES` of any, a function is no longer looked at. No dependencies but the
recorder's folder, and pytest for suites.
"""

import ast
import importlib
import importlib.machinery
import importlib.util
import json
import os
import runpy
import sys
import threading
from types import CodeType, FrameType
from typing import Any

PACKAGE = "_opencwm_recording"
TRIES = 200


def main() -> None:
    with open("job.json", encoding="utf-8") as file:
        job = json.load(file)
    sys.path[:0] = job["path"]
    recording = load(job["recording"])
    values = importlib.import_module(PACKAGE + ".values")
    watch = Watch(job, values.Writer(recording.Options.from_dict(job["options"])))
    os.environ["HOME"] = os.getcwd()
    for target in job["targets"]:
        watch.start()
        try:
            run(target)
        except BaseException as exc:  # the target's own: it says nothing about the calls that it has made
            print(f"{target}: {type(exc).__name__}: {exc}", file=sys.stderr)
        finally:
            watch.stop()
    watch.out.close()
    os._exit(0)  # a thread that a target left behind keeps nobody waiting


def load(folder: str) -> Any:
    """The recorder's folder as a package under a name that no program uses."""
    spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [folder]
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(PACKAGE + ".recorder")


def run(target: str) -> None:
    """A script, or what pytest collects in a file or folder; its own settings (coverage, plugins) are left out."""
    name = os.path.basename(target)
    if os.path.isfile(target) and not name.startswith("test_") and not name.endswith("_test.py"):
        sys.argv = [target]
        sys.path.insert(0, os.path.dirname(target))
        runpy.run_path(target, run_name="__main__")
        return
    import pytest

    root = target if os.path.isdir(target) else os.path.dirname(target)
    options = ["-q", "-x", "--maxfail=1000000", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
    pytest.main([*options, "-o", "addopts=", "--rootdir", root, target])


class Watch:
    """A trace function that sees each call of a Python function, looks at few, and follows none."""

    def __init__(self, job: dict[str, Any], writer: Any) -> None:
        self.out = open("calls.jsonl", "w", encoding="utf-8")  # noqa: SIM115 (for as long as the process lives)
        self._most = job["most"]
        self._roots = tuple(job["roots"])
        self._writer = writer
        self._known: dict[CodeType, Calls | None] = {}

    def start(self) -> None:
        threading.settrace(self._on_call)
        sys.settrace(self._on_call)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _on_call(self, py_frame: FrameType, event: str, _: Any) -> None:
        code = py_frame.f_code
        calls = self._known.get(code, MISSING)
        if calls is MISSING:
            calls = self._known[code] = self._calls_of(code)
        if calls is not None:
            self._note(code, calls, py_frame)

    def _calls_of(self, code: CodeType) -> "Calls | None":
        """None where the function is none of those that are watched."""
        is_nested = code.co_name.startswith("<") or getattr(code, "co_qualname", code.co_name) != code.co_name
        if is_nested or not code.co_filename.endswith(".py") or code.co_flags & 0x2A0:  # generators, coroutines
            return None
        path = os.path.realpath(code.co_filename)
        is_below = any(path == root or path.startswith(root + os.sep) for root in self._roots)
        return Calls(path) if is_below else None

    def _note(self, code: CodeType, calls: "Calls", py_frame: FrameType) -> None:
        calls.num_tries += 1
        if calls.num_tries == TRIES:
            self._known[code] = None
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
        arguments = []
        for name in code.co_varnames[:count]:
            value = py_frame.f_locals.get(name, MISSING)
            text, is_cut = ("", True) if value is MISSING else self._writer.text(value)
            if is_cut or not is_expression(text):
                return
            arguments.append([name, text])
        key = json.dumps(arguments)
        if key in calls.seen:
            return
        calls.seen.add(key)
        line = {"file": calls.file, "line": code.co_firstlineno, "arguments": arguments}
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()
        if len(calls.seen) >= self._most:
            self._known[code] = None


def is_expression(text: str) -> bool:
    """Whether a value's text could be written in a program: those of other objects begin with `<`."""
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


class Calls:
    """What is known of one function."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.num_tries = 0
        self.seen: set[str] = set()


MISSING: Any = object()

if __name__ == "__main__":
    main()
