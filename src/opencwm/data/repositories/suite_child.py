"""Record a test suite inside the sandbox; run there by `suite.py`.

    python suite_child.py job.json      work/ (the repository) --pytest, recorded--> traces.jsonl.gz

A job is {"package_parent", "python", "arguments", "options", "cache", "scope", "environment"}: `scope` are the folders
that are recorded (none: work/), and `environment` is added to the tests'. What is printed goes to `log`.
"""

import gzip
import json
import os
import shutil
import sys
from pathlib import Path

HERE = Path.cwd()


def main() -> int:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.path.insert(0, job["package_parent"])
    from opencwm.trace.recording.options import Options
    from opencwm.trace.suites import record_suite

    work, home = HERE / "work", HERE / "home"
    home.mkdir()
    os.environ.update(HOME=str(home), LANG="C.UTF-8", PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=python_path(work))
    os.environ["PATH"] = os.pathsep.join([str(Path(job["python"]).parent), os.environ.get("PATH", os.defpath)])
    os.environ.update(job["environment"])
    if job["cache"]:
        os.environ["XDG_CACHE_HOME"] = job["cache"]
    log = os.open("log", os.O_CREAT | os.O_WRONLY, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    record_suite(
        HERE / "traces.jsonl",
        job["arguments"],
        scope=[Path(folder) for folder in job["scope"]] or [work],
        options=Options.from_dict(job["options"]),
        python=job["python"],
        folder=work,
        on_budget=job["options"]["on_budget"],
    )
    with open("traces.jsonl", "rb") as plain, gzip.open("traces.jsonl.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed)
    return 0


def python_path(work: Path) -> str:
    """The repository's own packages come before those that are installed."""
    return os.pathsep.join(str(folder) for folder in (work / "src", work) if folder.is_dir())


if __name__ == "__main__":
    sys.exit(main())
