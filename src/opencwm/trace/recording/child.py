"""The program that records programs, alone in a process of its own: what a sandbox starts.

    python -I .../recording/child.py JOB.json OUT.json      JOB.json --record--> OUT.json, one JSON line per trace

A job is {"source" | "path" | "module", "call", "filename", "argv", "options", "sys_path"} (folders to import from);
{"jobs": [...]} are done one after the other, one line each, written at once. A line is a trace, or {"error": sentence} where there is none. Standard input,
output and error are the program's. A trace is written before its process ends, however it ends: by `sys.exit`,
`os._exit`, an uncaught exception, or a budget that the program will not stop for.

It runs where nothing of ours is installed: this folder is all it needs. Only POSIX has the timer that stops a program
inside one long call; elsewhere a budget is noticed at the program's next frame.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import sys
from typing import Any, Dict

PACKAGE = "_opencwm_recording"
GRACE_S = 1.0
"""From the end of a budget to the end of the process."""


def _load_siblings() -> Any:
    """This folder as a package under a name that no program uses: it may not be installed, nor be on the path."""
    folder = os.path.dirname(os.path.abspath(__file__))
    spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [folder]
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    import importlib as library

    return library.import_module(PACKAGE + ".recorder")


def main(job_path: str, out_path: str) -> int:
    recorder = _load_siblings()
    with open(job_path, encoding="utf-8") as file:
        data = json.load(file)
    jobs = data["jobs"] if "jobs" in data else [data]
    with open(out_path, "w", encoding="utf-8", newline="\n") as out:
        for job in jobs:
            out.write(_line(recorder, job) + "\n")
            out.flush()
    return 0


def _line(recorder: Any, job: Dict[str, Any]) -> str:
    sys.path[:0] = job.get("sys_path", [])
    try:
        trace = recorder.record_source(
            job["source"],
            call=job.get("call"),
            filename=job.get("filename", "program.py"),
            options=recorder.Options.from_dict(job.get("options", {})),
            argv=job.get("argv", ()),
        )
    except (SyntaxError, ValueError) as exc:
        return json.dumps({"error": "{}: {}".format(type(exc).__name__, exc)})
    return str(trace.to_json())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
