"""OpenCWM: the open Code World Model stack.

    import opencwm
    trace = opencwm.record("def f(x):\\n    return x + 1\\n", call="f(3)")

Five calls: `record`, `render`, `parse`, `compare`, `predict` (see `opencwm.api`). They are loaded when first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opencwm.api import compare as compare
    from opencwm.api import parse as parse
    from opencwm.api import predict as predict
    from opencwm.api import record as record
    from opencwm.api import render as render

__all__ = ["compare", "parse", "predict", "record", "render"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from opencwm import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
