"""The doctor tells what is there, and survives what is not."""

import subprocess
import sys

import pytest

from opencwm.errors import SandboxError
from opencwm.sandbox import NamespaceSandbox, doctor
from opencwm.sandbox.interpreters import find_interpreters
from opencwm.sandbox.kernel import Kernel


def test_every_check_has_a_name_of_its_own_and_a_detail():
    checks = doctor.checks()
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"platform", "python", "sandbox", "sandbox: network", "limits", "torch", "python 3.8", "compiler"} <= set(
        names
    )
    assert all(check.detail and "\n" not in check.detail for check in checks)
    assert set(checks[0].to_dict()) == {"name", "ok", "detail"}


def test_this_interpreter_is_right_and_its_version_told():
    python = next(check for check in doctor.checks() if check.name == "python")
    assert python.ok
    assert sys.executable in python.detail


def test_a_refused_network_is_one_failed_line_and_a_sentence():
    real = NamespaceSandbox().kernel
    kernel = Kernel(is_root=real.is_root, refused={**real.refused, "network": "unshare: Operation not permitted"})
    checks = {check.name: check for check in doctor._sandbox(NamespaceSandbox(probe=lambda: kernel))}
    assert not checks["sandbox: network"].ok
    assert "network not isolated (unshare: Operation not permitted)" in checks["sandbox"].detail
    assert "--allow-unisolated" in checks["sandbox"].detail
    assert checks["sandbox: processes"].ok == ("processes" not in real.refused)
    assert checks["limits"].ok


def test_a_machine_without_a_sandbox_gets_one_line():
    def probe():
        raise SandboxError("the sandbox needs Linux namespaces, and this is Darwin", fix="use Linux")

    (check,) = doctor._sandbox(NamespaceSandbox(probe=probe))
    assert (check.ok, check.detail) == (False, "the sandbox needs Linux namespaces, and this is Darwin; use Linux")


@pytest.mark.parametrize(
    ("system", "machine", "word"),
    [
        ("Linux", "x86_64", "everything"),
        ("Linux", "aarch64", "nobody has run it"),
        ("Darwin", "arm64", "sandbox refuses"),
        ("Windows", "AMD64", "WSL"),
    ],
)
def test_every_common_platform_has_its_sentence(system, machine, word):
    assert word in doctor.platform_sentence(system, machine)


def test_an_unknown_platform_has_none():
    assert doctor.platform_sentence("Plan 9", "mips") is None


def test_found_interpreters_are_what_they_are_called():
    found = find_interpreters()
    assert found
    for version, path in found.items():
        told = subprocess.run(
            [path, "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=True
        )
        assert told.stdout.startswith(version + ".")


def test_looking_does_not_import_what_it_looks_for():
    source = "import sys; from opencwm.sandbox import doctor; doctor.checks(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("version", "path"), sorted(find_interpreters().items()))
def test_every_interpreter_that_is_found_runs_in_the_sandbox_with_its_library(version, path):
    source = "import json, sys; print('%d.%d' % sys.version_info[:2])"
    result = NamespaceSandbox().run([str(path), "-I", "-c", source], trusted=True)
    assert (result.stdout.decode(), result.stderr) == (f"{version}\n", b"")
