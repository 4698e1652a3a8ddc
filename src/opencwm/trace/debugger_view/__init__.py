"""The debugger view of a trace: states joined by debugger actions, forward in time or backward.

    trace --tree--> path of nodes --actions drawn by a policy--> Trajectory --render--> text --parse--> Trajectory

From "Towards a Neural Debugger for Python" (arXiv 2603.09951): callee states are children of the calling line; what a
model learns is the state after an action. Forward: `step_into` (the next node), `step_over` (the next one of this
activation), `step_return` (the `return` of this activation), `breakpoint LINE` (the first later `call` or `line` frame
with that source line), `continue` (how the program ends). Backward: `inv_step_into`, `inv_step_over`, `inv_step_call`
(the call of this activation: which arguments led here?). In the backward path a line that called something stands
twice, first as `line_call`, before the calls in it are undone.

    FRAME_SEP event SRC_SEP SOURCE ARG_SEP LOCALS|VALUE ACTION_SEP ACTION [SOURCE]  ...  FRAME_SEP EXIT TRACE_END

LOCALS are the names that changed against the state shown before, and one `"..": ".."` for all that did not. All names
are shown, without that entry, in a `call`, after a state of another activation, after a breakpoint, and where a name
has disappeared. The path of `step_into` alone is the trace: its states are those of `view(trace)`.

Ours, where the paper is silent or misprinted: the mixture's weights are scaled to 1 (as printed they sum to 0.80);
one half of the policy is chosen per trajectory; at a `return`, stepping over or returning goes to the next node; lines
for breakpoints are mostly ones that come; exceptions have backward states, too; `exit_never` is an exceeded budget.
"""

from opencwm.trace.debugger_view.path import Direction, Move, Path, entries, path_of
from opencwm.trace.debugger_view.stream import DebuggerSpecial, parse, pieces, render
from opencwm.trace.debugger_view.trajectory import Policy, State, Trajectory, follow, sample

__all__ = [
    "DebuggerSpecial",
    "Direction",
    "Move",
    "Path",
    "Policy",
    "State",
    "Trajectory",
    "entries",
    "follow",
    "parse",
    "path_of",
    "pieces",
    "render",
    "sample",
]
