"""The documentation is run: every command exists, the cheap ones work, the Python does what it says."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opencwm.cli.main import run

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = (
    "trace run examples",
    "trace show",
    "trace compare",
    "weights inspect",
    "trace pytest -o basket",
    "data episodes basket",
    "data build contests -o runs/contests",
    "data build functions -o runs/functions",
)
"""Commands that are run as they stand, one after the other, page by page; of the others, that they exist."""


def blocks(page: Path, language: str) -> Iterator[str]:
    for name, options, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if name == language and "no-run" not in options:
            yield text


def commands(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]


def opencwm_commands(page: Path) -> list[list[str]]:
    return [words[1:] for words in commands(page) if words[0] in ("opencwm", ".venv/bin/opencwm")]


def test_every_page_is_reached_from_the_readme():
    linked = set(re.findall(r"\]\(([\w/.-]+\.md)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
    there = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")}
    assert there <= linked
    assert all((ROOT / link).is_file() for link in linked)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_every_command_is_in_the_documentation(capsys):
    from cli_commands import COMMANDS

    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"opencwm {' '.join(command)}" in text, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_with_the_options_that_are_shown(page, capsys):
    for words in opencwm_commands(page):
        nouns = words[: 1 if words[0] in ("demo", "doctor", "predict", "serve", "train") else 2]
        assert run([*nouns, "--help"]) == 0, words
        shown = capsys.readouterr().out
        own = words[: words.index("--")] if "--" in words else words
        for word in own:
            if word.startswith("-"):
                assert word in shown, f"opencwm {' '.join(nouns)} has no {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_cheap_commands_work_as_they_stand(page, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for words in opencwm_commands(page):
        if " ".join(words).startswith(RUN):
            done = subprocess.run(
                [sys.executable, "-m", "opencwm", *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, f"{words}: {done.stderr}"


def test_make_targets_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for words in commands(page):
            if words[0] == "make":
                assert words[1] in targets, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_does_what_it_says(page, tmp_path):
    code = "\n".join(blocks(page, "python"))
    if code:
        script = tmp_path / "page.py"
        script.write_text(code, encoding="utf-8")
        done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_s_table_is_what_the_command_prints(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = next(text for name, _, text in BLOCK.findall(readme) if not name and "what is new before it runs" in text)
    done = subprocess.run(
        [sys.executable, "-m", "opencwm", "trace", "run", "examples/half.py", "--call", "g([3, 4])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    printed = {line.rstrip() for line in done.stdout.splitlines()}
    for line in shown.splitlines():
        assert line.strip() == "..." or line.rstrip() in printed, line
