"""Values as text that gives them back, the same in every process: sets are sorted, as hashes may differ."""

from typing import Any


def literal_text(value: Any) -> str:
    """`repr`, but for sets within it; for other types than Python's own literals it is `repr`."""
    kind = type(value)
    if kind is list:
        return f"[{_joined(value)}]"
    if kind is tuple:
        return f"({literal_text(value[0])},)" if len(value) == 1 else f"({_joined(value)})"
    if kind is dict:
        return "{" + ", ".join(f"{literal_text(key)}: {literal_text(item)}" for key, item in value.items()) + "}"
    if kind in (set, frozenset) and value:
        text = "{" + ", ".join(sorted(map(literal_text, value))) + "}"
        return text if kind is set else f"frozenset({text})"
    return repr(value)


def _joined(items: Any) -> str:
    return ", ".join(map(literal_text, items))
