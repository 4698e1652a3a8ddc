"""The programs that run on the other side of the sandbox's pipes.

This folder is started by `python -I -S` with nothing of ours imported before it: it has no dependencies, imports only
cheap standard modules (each millisecond here is paid by every run) and speaks `marshal` with its parent, which runs
the same interpreter.
"""

TYPE_CHECKING = False  # `typing` itself would cost 10 ms at every run
if TYPE_CHECKING:
    from typing import Any

    Job = dict[str, Any]
