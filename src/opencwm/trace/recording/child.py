"""The program of the child in which foreign code is recorded: reads a job, writes the trace.

    python child.py JOB.json OUT.jsonl

JOB is {"source" | "path", "call", "filename", "argv", "options", "sys_path"}, or {"jobs": [...]}, which are recorded one
after the other; `sys_path` are folders that the program may import from. OUT gets one line per job, flushed: a trace, or {"error": sentence}. The program's own output and
input are left alone. Needs nothing but this folder.
"""

import json
import os
import sys
from typing import Any, Dict

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from frame import dump  # noqa: E402
from engine import Options  # noqa: E402
from recorder import Session, record_source  # noqa: E402

sys.path.pop(0)


def main(job_path: str, out_path: str) -> None:
    with open(job_path, encoding="utf-8") as file:
        job = json.load(file)
    with open(out_path, "a", encoding="utf-8") as out:
        for one in job.get("jobs", [job]):
            out.write(record(one, out) + "\n")
            out.flush()


def record(job: Dict[str, Any], out: Any) -> str:
    options = Options(**job.get("options", {}))
    filename, source = job.get("filename", "program.py"), job.get("source")
    if source is None:
        try:
            with open(job["path"], encoding="utf-8") as file:
                source = file.read()
        except (OSError, UnicodeDecodeError) as exc:
            return dump({"error": "cannot read {}: {}".format(job["path"], exc)})

    sys.path[:0] = job.get("sys_path", [])

    def watch(session: Session) -> None:
        def stuck() -> None:
            out.write(session.trace().to_json() + "\n")
            out.flush()
            os._exit(0)

        session.on_stuck = stuck

    try:
        trace = record_source(
            source, call=job.get("call"), filename=filename, options=options, argv=job.get("argv", ()), on_session=watch
        )
    except (SyntaxError, ValueError) as exc:
        return dump({"error": "{}: {}".format(type(exc).__name__, exc)})
    return trace.to_json()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
