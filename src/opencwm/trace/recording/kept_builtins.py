"""The builtins as they were when the recorder was loaded: a program may replace its own, or delete them.

A module that begins with `from .kept_builtins import __builtins__ as __builtins__` looks them up here, as the
interpreter finds a function's builtins in its globals.
"""

import builtins

__builtins__ = dict(vars(builtins))  # type: ignore[assignment,unused-ignore]
