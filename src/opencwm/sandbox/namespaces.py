"""The first backend: a guarded child in namespaces of its own, made by the kernel and the standard library.

    run: layout (what it sees) + limits + files --guard/launcher.py--> result, and what was really enforced

As root, the namespaces are made by root and the program runs as a made-up user that owns nothing; otherwise a user
namespace makes the others and the program keeps the caller's id, without capabilities. Either way the program ends up
in a user namespace of its own in which no further ones can be made. Where the kernel refuses some of this, code that
we trust runs with what is left, and anything else is refused.
Not here: memory and CPU limits over all processes of a run together (control groups), persistent processes, images.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from opencwm.errors import ConfigError, SandboxError
from opencwm.sandbox.base import DEFAULT_LIMITS, ISOLATION, NO_FILES, Enforced, ExecResult, Limits
from opencwm.sandbox.kernel import Kernel, fresh_uid, launcher_limits, mount_point, probe_kernel
from opencwm.sandbox.layout import PATH, WORKDIR, find_program, is_open_to_others, layout
from opencwm.sandbox.pipes import Conversation, converse, launch

ENVIRONMENT = {"PYTHONHASHSEED": "0", "PATH": PATH}
GRACE_S = 20.0
"""How long after its time a run may take to be killed, collected and reported, on a loaded machine."""


class NamespaceSandbox:
    """A `Sandbox` (see `base.py`) on this machine's own kernel."""

    def __init__(self, *, allow_unisolated: bool = False, probe: Callable[[], Kernel] = probe_kernel) -> None:
        """`allow_unisolated` runs untrusted code even where it cannot be isolated: the user's own decision."""
        self.allow_unisolated = allow_unisolated
        self._probe = probe

    @cached_property
    def kernel(self) -> Kernel:
        return self._probe()

    def enforced(self, program: str = "/usr/bin/env", readable: Sequence[str | Path] = ()) -> Enforced:
        """What a run of `program` would be surrounded by."""
        missing = dict(self.kernel.refused)
        held = {name: name not in missing for name in (*ISOLATION, "syscalls")}
        non_root = "non_root" not in missing  # a caller who is not root stays what it is
        if self.kernel.is_root and not held["filesystem"]:
            # without our own view of the files, a made-up user sees only what the modes let it see
            hidden = [path for path in (find_program(program), *readable) if not is_open_to_others(str(path))]
            if hidden:
                non_root = False
                missing["non_root"] = f"{hidden[0]} is closed to other users"
        if not held["filesystem"]:
            missing["disk_bytes"] = missing["filesystem"]
        if not held["user"] and not (self.kernel.is_root and non_root):
            missing["max_processes"] = missing["user"]  # the kernel counts per user, and this one is shared
        return Enforced(**held, non_root=non_root, missing=missing)

    def run(
        self,
        argv: Sequence[str],
        *,
        files: Mapping[str, bytes] = NO_FILES,
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        limits: Limits = DEFAULT_LIMITS,
        trusted: bool = False,
        readable: Sequence[str | Path] = (),
    ) -> ExecResult:
        _check(argv, files, collect)
        enforced = self.enforced(argv[0], readable)
        if not (trusted or self.allow_unisolated or enforced.is_isolated):
            raise ConfigError(
                "code that is not trusted does not run here, because this machine cannot isolate it: "
                + enforced.sentence,
                fix="--allow-unisolated runs it all the same, with your rights and your network",
            )
        job = self._job(argv, files, collect, limits, readable, enforced)
        with ExitStack() as stack:
            if not enforced.filesystem:
                folder = tempfile.TemporaryDirectory(prefix="opencwm-", ignore_cleanup_errors=True)
                job["workdir"] = stack.enter_context(folder)
            conversation = converse(
                stack.enter_context(launch()),
                job,
                stdin=stdin,
                output_bytes=limits.output_bytes,
                patience_s=limits.wall_s + GRACE_S,
            )
        return _result(conversation, enforced, argv[0])

    def _job(
        self,
        argv: Sequence[str],
        files: Mapping[str, bytes],
        collect: Sequence[str],
        limits: Limits,
        readable: Sequence[str | Path],
        enforced: Enforced,
    ) -> dict[str, Any]:
        view = layout(argv[0], readable)
        held = {name: getattr(enforced, name) for name in ISOLATION}
        uid = fresh_uid(is_root=self.kernel.is_root) if enforced.non_root else os.geteuid()
        return {
            "argv": [find_program(argv[0]), *argv[1:]],
            "env": ENVIRONMENT,
            "namespaces": [name for name in ISOLATION if held[name]],
            "syscalls": enforced.syscalls,
            "uid": uid,
            "is_root": self.kernel.is_root,
            "is_dropped": self.kernel.is_root and enforced.non_root,
            "binds": [list(bind) for bind in view.binds],
            "links": [list(link) for link in view.links],
            "mountpoint": mount_point(),
            "workdir": WORKDIR,
            "files": dict(files),
            "collect": list(collect),
            "limits": launcher_limits(limits),
        }


def _check(argv: Sequence[str], files: Mapping[str, bytes], collect: Sequence[str]) -> None:
    if not argv:
        raise ConfigError("the sandbox was given nothing to run", fix="name a program")
    for text in argv:
        if "\0" in text:
            raise ConfigError(f"the argument {text!r} for the sandbox contains a null character")
    for name in (*files, *collect):
        if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise ConfigError(
                f"{name!r} is not the name of a file inside the sandbox", fix="names are relative: a/b.txt"
            )


def _result(conversation: Conversation, enforced: Enforced, program: str) -> ExecResult:
    report = conversation.report
    if "not_started" in report:
        _, _, text = report["not_started"]
        raise SandboxError(f"the sandbox could not start {program}: {text}")
    if "failed" in report:
        raise SandboxError(f"the sandbox failed while {report['failed']}")
    code: int | None = report["code"]
    ended: Literal["exited", "signalled", "timeout", "output"]
    if conversation.is_flooded:
        ended, code = "output", None
    elif code is None:
        assert report["ended"] == "timeout", report["ended"]
        ended = "timeout"
    else:
        ended = "signalled" if code < 0 else "exited"
    return ExecResult(
        ended=ended,
        status=code if ended == "exited" else None,
        signal=-code if code is not None and ended == "signalled" else None,
        stdout=conversation.stdout,
        stderr=conversation.stderr,
        files=report["files"],
        wall_s=report["wall_s"],
        cpu_s=report["cpu_s"],
        max_rss_bytes=report["max_rss_bytes"],
        enforced=enforced,
    )
