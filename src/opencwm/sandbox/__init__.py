"""Programs under limits: `NamespaceSandbox().run(argv, ...)`; the contract is `base.Sandbox`."""

from opencwm.sandbox.base import Enforced, ExecResult, Limits, Sandbox
from opencwm.sandbox.namespaces import NamespaceSandbox

__all__ = ["Enforced", "ExecResult", "Limits", "NamespaceSandbox", "Sandbox"]
