"""The package as a whole: who may import whom, what importing costs, what is public, what a wheel holds."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import opencwm

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "opencwm"

ARROWS = {
    "errors": set(),
    "config": {"errors"},
    "executors": {"errors"},
    "ledger": {"errors"},
    "trace.recording": set(),
    "trace": {"errors", "trace.recording"},
    "tokenizer": {"errors", "trace"},
    "chat": {"errors", "trace", "tokenizer"},
    "protocols": {"errors", "trace", "tokenizer"},
    "provider": {"errors", "trace", "tokenizer", "protocols"},
    "fakes": {"errors", "trace", "tokenizer", "protocols", "sandbox"},
    "sandbox": {"errors"},
    "data": {
        "errors",
        "config",
        "executors",
        "ledger",
        "trace",
        "trace.recording",
        "tokenizer",
        "chat",
        "protocols",
        "provider",
        "sandbox",
    },
    "model": {"errors"},
    "infer": {"errors", "trace", "trace.recording", "tokenizer", "chat", "protocols", "provider", "model"},
    "train": {"errors", "trace", "tokenizer", "data", "model"},
    "evals": {"errors", "trace", "trace.recording", "tokenizer", "protocols", "data", "sandbox"},
    "report": {"errors", "trace", "trace.recording"},
    "prediction": {"errors", "trace", "trace.recording", "tokenizer", "protocols", "infer"},
    "guarded": {"errors", "trace", "trace.recording", "data", "sandbox", "prediction"},
}
"""Part -> the parts that it may import from. What is not listed is at the top and may use everything but `cli`."""
TORCH_PARTS = {"model", "train", "infer"}


def part_of(module: str) -> str:
    """`opencwm.trace.text` -> `trace`."""
    names = module.split(".")[1:]
    if names[:2] == ["trace", "recording"]:
        return "trace.recording"
    return names[0] if names else "opencwm"


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        names = ("opencwm", *path.relative_to(SOURCE).with_suffix("").parts)
        yield ".".join(names[:-1] if names[-1] == "__init__" else names), path


def imports_of(path: Path, module: str) -> Iterator[str]:
    """Every module of ours that a file imports, also inside functions; its own `main`, a program, may use anything."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == "main")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "opencwm")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            if base.split(".")[0] == "opencwm":
                yield from (f"{base}.{alias.name}" if base == "opencwm" else base for alias in node.names)


def forbidden_imports() -> Iterator[str]:
    for module, path in modules():
        part = part_of(module)
        for imported in imports_of(path, module):
            target = part_of(imported)
            if target in (part, "__version__", "opencwm") and part != "trace.recording":
                continue
            if target == part:
                continue
            allowed = ARROWS.get(part)
            if (allowed is not None and target not in allowed) or (target == "cli" and part != "__main__"):
                yield f"{module} imports {imported}"


def test_imports_follow_the_arrows():
    assert list(forbidden_imports()) == []


def run(code: str, *, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **(env or {})}
    )


def test_everything_but_models_training_and_inference_imports_without_torch():
    names = [name for name, path in modules() if part_of(name) not in TORCH_PARTS and "guard" not in name.split(".")]
    names = [name for name in names if part_of(name) != "trace.recording" or name.endswith("recording")]
    names = [name for name in names if "pytest_plugin" not in name.split(".")]  # never imported under these names
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers'): raise ImportError('refused: ' + name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr[-2000:]


def test_importing_prints_nothing_and_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pyarrow', 'tokenizers', 'transformers', 'rich', 'typer', 'httpx', 'hypothesis'}"
    done = run(f"import sys, opencwm, opencwm.api; print(sorted({heavy} & set(sys.modules)))")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_help_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pyarrow', 'tokenizers', 'transformers', 'httpx', 'hypothesis'}"
    done = run(
        "import sys\nfrom opencwm.cli.main import run\n"
        f"status = run(['--help'])\nprint(sorted({heavy} & set(sys.modules)), status, file=sys.stderr)"
    )
    assert done.stderr.strip() == "[] 0"


def test_recording_imports_nothing_of_ours_and_nothing_installed():
    standard = sys.stdlib_module_names
    for module, path in modules():
        if part_of(module) != "trace.recording":
            continue
        siblings = {each.stem for each in path.parent.glob("*.py")} | {"_opencwm_recording"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] in standard | siblings, f"{module} imports {name}"


def test_public_names_are_there_sorted_and_documented():
    assert opencwm.__all__ == sorted(opencwm.__all__)
    assert set(opencwm.__all__) == {"record", "render", "parse", "compare", "predict"}
    done = run(
        "import opencwm, opencwm.prediction, opencwm.cli.predict, opencwm.trace.compare\n"
        "for name in opencwm.__all__:\n"
        "    value = getattr(opencwm, name)\n"
        "    assert callable(value) and value.__doc__, name\n"
        "from opencwm import *\n"
    )
    assert done.returncode == 0, done.stderr


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        opencwm.nothing  # noqa: B018


def test_every_module_says_what_it_is():
    silent = [
        module
        for module, path in modules()
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_constraints_pin_every_requirement():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.match(r"[\w.-]+", each)[0].lower() for group in groups for each in group} - {"opencwm"}
    assert names - pins == set()
    assert "torch==2.13.0" in lines


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"opencwm", f"opencwm-{opencwm.__version__}.dist-info"}
    nano = [f"nano/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json", "optimizer.safetensors")]
    for name in ("py.typed", "report/page.css", "report/page.js", "trace/recording/child.py", *nano):
        assert f"opencwm/{name}" in names
    files = (path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {str(path.relative_to(SOURCE.parent)) for path in files} <= set(names)


def test_the_wheel_runs_where_only_its_dependencies_are(wheel, tmp_path):
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target), str(wheel)],
        check=True,
        timeout=240,
    )
    dependencies = tmp_path / "dependencies"
    copy_requirements("opencwm", dependencies)
    env = {"PYTHONPATH": f"{target}:{dependencies}", "PATH": "/usr/bin:/bin"}

    def opencwm_run(*argv: str) -> subprocess.CompletedProcess[str]:
        python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
        command = [str(python), "-S", "-m", "opencwm", *argv]  # -S: nothing that happens to be installed
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=120)

    version = opencwm_run("--version")
    assert (version.stdout, version.returncode) == (f"opencwm {opencwm.__version__}\n", 0), version.stderr
    doctor = opencwm_run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(doctor.stdout)["checks"]}
    assert checks["python"]["ok"]
    assert not checks["torch"]["ok"]
    (tmp_path / "my.py").write_text("def f(x):\n    return x + 1\n")
    traced = opencwm_run("trace", "run", "my.py", "--call", "f(3)", "--json")
    assert json.loads(traced.stdout)["frames"][-1]["value"] == "4", traced.stderr
    missing = opencwm_run("predict", "my.py", "--call", "f(3)")
    assert (missing.returncode, "Traceback" in missing.stderr) == (2, False), missing.stderr


def copy_requirements(name: str, folder: Path) -> None:
    """Put what a distribution requires, without extras, and what that requires in turn, into `folder`."""
    waiting, done = [name], set()
    while waiting:
        distribution = metadata.distribution(waiting.pop())
        for requirement in map(Requirement, distribution.requires or ()):
            is_wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if is_wanted and requirement.name not in done:
                done.add(requirement.name)
                waiting.append(requirement.name)
                for file in metadata.distribution(requirement.name).files or ():
                    if ".." not in file.parts:
                        target = folder / file
                        target.parent.mkdir(parents=True, exist_ok=True)
                        if file.locate().is_file():
                            shutil.copy(file.locate(), target)
