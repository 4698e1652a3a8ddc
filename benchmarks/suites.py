"""Test suites of packages from the index, traced and untraced: are their results the same, and what does tracing cost?

    python benchmarks/suites.py [--python PYTHON] [--only toolz click] [--children] [--set KEY=VALUE ...]
                                [--pysnooper] [--work FOLDER] [--json OUT]

Each package of `suites/packages.toml` is taken as its source from the index, installed into an environment of its own
that has nothing of ours, below a throw-away folder (`--work` keeps it, and then takes what is there). Its tests are run
untraced and traced, and once more untraced where that made a difference. A row of the table:

    tests       how many have a result
    changed     tests whose result, phase by phase, is another one traced than untraced: there should be none
    flaky       tests that differed, but so they did between the two untraced runs
    untraced    CPU seconds of pytest's process and those it waits for
    traced      the same, traced, and how many times the untraced that is
    recorded    tests with a record, then the traces, frames and megabytes of all records

All runs have `PYTHONHASHSEED=0` and hypothesis's seed 0. `--children` records the processes that tests start, too.

`--pysnooper` runs each suite under PySnooper as well, test by test, in the same files and with as many events at most
(`suites/suite_pysnooper.py`), and prints what an event takes with either: the CPU time that tracing adds, shared out.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import opencwm

HERE = Path(__file__).resolve().parent / "suites"
SOURCE = Path(opencwm.__file__).resolve().parent.parent
PYTHON = Path("environment", "bin", "python")
PACKAGES = tomllib.loads((HERE / "packages.toml").read_text(encoding="utf-8"))
PYTEST = PACKAGES.pop("pytest")
COLUMNS = "{:<23}{:>7}{:>9}{:>7}{:>11}{:>9}{:>7}{:>10}{:>9}{:>11}{:>9}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to make the environments of")
    parser.add_argument("--only", nargs="+", choices=list(PACKAGES), default=list(PACKAGES), metavar="PACKAGE")
    parser.add_argument("--children", action="store_true", help="also record the processes that tests start")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="the recorder's options")
    parser.add_argument("--pysnooper", action="store_true", help="also run each suite under PySnooper")
    parser.add_argument("--work", type=Path, help="a folder for the packages; without: a temporary one")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    arguments = parser.parse_args()
    version = subprocess.run([arguments.python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version}; CPU seconds\n")
    print(
        COLUMNS.format(
            "package", "tests", "changed", "flaky", "untraced", "traced", "ratio", "recorded", "traces", "frames", "MB"
        ),
        flush=True,
    )
    own = ["--children"] * arguments.children + [word for pair in arguments.set for word in ("--set", pair)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="opencwm-suites-") as temporary:
        for name in arguments.only:
            work = (arguments.work or Path(temporary)).absolute() / name
            row = compare(name, work, arguments.python, own, with_pysnooper=arguments.pysnooper)
            rows.append(row)
            print(line_of(row), flush=True)
            if arguments.pysnooper:
                print(f"    {against_pysnooper(row)}", flush=True)
            for line in (*map("changed: {}".format, row["changed"]), *row["suite"]["notes"]):
                print(f"    {line}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"python": version, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def line_of(row: dict[str, Any]) -> str:
    suite = row["suite"]
    return COLUMNS.format(
        f"{row['package']} {row['version']}",
        row["num_tests"],
        len(row["changed"]),
        len(row["flaky"]),
        f"{row['untraced_s']:.2f}",
        f"{row['traced_s']:.2f}",
        f"{row['traced_s'] / row['untraced_s']:.2f}",
        suite["num_recorded"],
        suite["num_traces"],
        suite["num_frames"],
        f"{suite['num_bytes'] / 1e6:.1f}",
    )


def against_pysnooper(row: dict[str, Any]) -> str:
    ours = (row["traced_s"] - row["untraced_s"]) / row["suite"]["num_frames"] * 1e6
    theirs = (row["pysnooper"]["cpu_s"] - row["untraced_s"]) / row["pysnooper"]["num_events"] * 1e6
    whole = row["pysnooper"]["cpu_s"]
    return (
        f"microseconds an event: ours {ours:.1f}, PySnooper {theirs:.1f}, {theirs / ours:.1f} times as long"
        f" ({whole:.2f} s, {row['pysnooper']['num_events']:,} events)"
    )


def compare(name: str, work: Path, python: str, own: list[str], *, with_pysnooper: bool) -> dict[str, Any]:
    package = PACKAGES[name]
    if not (work / "ready").exists():
        prepare(name, package, work, python)
    results = work / "results.json"
    environment = {
        "SUITE_RESULTS": str(results),
        "PYTHONPATH": str(HERE),
        "PYTEST_ADDOPTS": "-p suite_results -p no:cacheprovider",
        "PYTHONHASHSEED": "0",
    }
    arguments = ["-q", *package["tests"]]
    if any(need.startswith("hypothesis") for need in package.get("needs", ())):
        arguments.append("--hypothesis-seed=0")

    def run(log_name: str, **more: str) -> dict[str, Any]:
        with open(work / log_name, "wb") as log:
            command = [work / PYTHON, "-m", "pytest", *arguments]
            with_more = {**os.environ, **environment, **more}
            subprocess.run(command, cwd=work / "source", env=with_more, stdout=log, stderr=log)
        return read(results)

    plain = run("untraced.log")
    suite = traced(work, arguments, environment, own)
    under_us = read(results)
    changed = [test for test in plain["results"] if under_us["results"].get(test) != plain["results"][test]]
    again = run("untraced.log")["results"] if changed else plain["results"]
    flaky = [test for test in changed if again.get(test) != plain["results"][test]]
    pysnooper = {}
    if with_pysnooper:
        snooped = work / "snooped.txt"
        plugins = f"{environment['PYTEST_ADDOPTS']} -p suite_pysnooper"
        cpu_s = run("pysnooper.log", PYTEST_ADDOPTS=plugins, SUITE_SNOOPED=str(snooped))["cpu_s"]
        pysnooper = {"cpu_s": cpu_s, "num_events": int(snooped.read_text(encoding="utf-8"))}
    return {
        "package": name,
        "version": package["version"],
        "num_tests": len(plain["results"]),
        "outcomes": suite["outcomes"],
        "flaky": flaky,
        "changed": [test for test in changed if test not in flaky]
        + [test for test in under_us["results"] if test not in plain["results"]],
        "untraced_s": plain["cpu_s"],
        "traced_s": under_us["cpu_s"],
        "suite": suite,
        "pysnooper": pysnooper,
    }


def traced(work: Path, arguments: list[str], environment: dict[str, str], own: list[str]) -> dict[str, Any]:
    """As by `opencwm trace pytest`: what it prints at its end."""
    command = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from opencwm.cli.main import main; main()"
    words = ["trace", "pytest", "--json", "-o", str(work / "traces.jsonl"), "--python", str(work / PYTHON)]
    words += [*own, "--", *arguments]
    with open(work / "traced.log", "wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", command, *words],
            cwd=work / "source",
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    suite: dict[str, Any] = json.loads(done.stdout)
    if "error" in suite:
        sys.exit(f"{suite['error']}; {suite['fix']}")
    return suite


def read(results: Path) -> dict[str, Any]:
    """What the run that has just ended left there."""
    if not results.exists():
        sys.exit(f"a run left no results: see {results.parent}/*.log")
    found: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    results.unlink()
    if not found["results"]:
        sys.exit(f"a run had no tests: see {results.parent}/*.log")
    return found


def prepare(name: str, package: dict[str, Any], work: Path, python: str) -> None:
    """The package's source, and an environment that has it and what its tests need."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    pinned = f"{name}=={package['version']}"
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name, "-d", str(work), pinned]
    subprocess.run(pip, check=True)
    (archive,) = work.glob("*.tar.gz")
    shutil.unpack_archive(archive, work / "unpacked", filter="data")
    (folder,) = (work / "unpacked").iterdir()
    folder.rename(work / "source")
    subprocess.run([python, "-m", "venv", "--without-pip", work / "environment"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(work / PYTHON), "install", "-q"]
    subprocess.run([*pip, *PYTEST, *package.get("needs", ()), "-e", work / "source"], check=True)
    (work / "ready").touch()


if __name__ == "__main__":
    main()
