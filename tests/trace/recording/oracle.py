"""The recorder one writes first: `sys.settrace`, the text of every local at every event, a diff of strings.

Slow, short and obviously right: what the engine is held to. Shares nothing with it but the compiled program. It keeps
what the interpreter gives (`comprehensions="step"`), except that it can leave comprehension frames out.
"""

import gc
import sys
import types

MAX_DEPTH, MAX_ITEMS, MAX_CHARS = 6, 64, 512
BRACKETS = {list: "[]", dict: "{}", set: "{}", tuple: "()"}


def whole(value):
    """The text that tells whether a value has changed."""
    return text_of(value, None, None, None)


def cut(value):
    text = text_of(value, MAX_DEPTH, MAX_ITEMS, MAX_CHARS)
    if isinstance(value, (str, bytes)) and len(value) > MAX_CHARS:
        return text
    return text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + "..."


def text_of(value, depth, max_items, max_chars, outer=()):
    kind = type(value)

    def inner(item):
        return text_of(item, None if depth is None else depth - 1, max_items, max_chars, (*outer, value))

    if kind in BRACKETS:
        opening, closing = BRACKETS[kind]
        if any(value is one for one in outer):
            return f"{opening}...{closing}"
        if kind is set and not value:
            return "set()"
        if depth == 0 and value:
            return f"{opening}...(+{len(value)}){closing}"
        left_out = 0 if max_items is None else max(0, len(value) - max_items)
        items = list(value.items() if kind is dict else value)[: len(value) - left_out]
        parts = [f"{inner(k)}: {inner(v)}" for k, v in items] if kind is dict else [inner(item) for item in items]
        if left_out:
            parts.append(f"...(+{left_out})")
        elif kind is tuple and len(value) == 1:
            return f"({parts[0]},)"
        return opening + ", ".join(parts) + closing
    if kind is int:
        try:
            return repr(value)
        except ValueError:
            return hex(value)
    if isinstance(value, types.ModuleType):
        return f"<module {value.__name__}>"
    if kind in (str, bytes):
        if max_chars is not None and len(value) > max_chars:
            return f"{value[:max_chars]!r}...(+{len(value) - max_chars})"
        return repr(value)
    if isinstance(value, BaseException):
        return f"{kind.__name__}({', '.join(inner(item) for item in value.args)})"
    if isinstance(value, types.FunctionType):
        return f"<function {value.__qualname__}>"
    if isinstance(value, type):
        return f"<class {value.__name__}>"
    if isinstance(value, types.BuiltinFunctionType):
        return f"<built-in {value.__name__}>"
    if hasattr(value, "__dict__") and kind.__repr__ is object.__repr__:
        return "<" + " ".join([kind.__name__, *(f"{name}={inner(item)}" for name, item in vars(value).items())]) + ">"
    text = repr(value)
    return f"<{kind.__name__}>" if text.startswith("<") else text


def record(function, filename, source, *, skip=(), full_after_return=True, has_texts=True):
    """Run `function()`; the frames it gives in the file, as dicts with the keys of the trace format that matter."""
    frames = []
    stack = []
    lines = source.split("\n")
    full_text, shown_text = (whole, cut) if has_texts else (id, lambda value: "")

    def def_line(line_no):
        while lines[line_no - 1].lstrip().startswith(("@", "#", ")", "3")):
            line_no += 1
        return line_no

    def names_of(py_frame):
        code = py_frame.f_code
        names = list(dict.fromkeys([*code.co_varnames, *code.co_cellvars, *code.co_freevars]))
        values = py_frame.f_locals
        return {name: values[name] for name in names if name in values and name.isidentifier()}

    def show(event, py_frame, line_no):
        values = names_of(py_frame)
        full = {name: full_text(value) for name, value in values.items()}
        state = stack[-1]
        is_full = event == "call" or state["full_next"]
        changed = {name: shown_text(values[name]) for name in full if is_full or full[name] != state["last"].get(name)}
        removed = [name for name in state["last"] if name not in full]
        state.update(last=full, full_next=False, names=list(full))
        depth = len(stack) - 1
        frames.append({"event": event, "depth": depth, "line_no": line_no, "set": changed, "removed": removed})

    def on_call(py_frame, event, _):
        code = py_frame.f_code
        if code.co_filename != filename or code.co_name in skip:
            return None
        stack.append({"last": {}, "full_next": False})
        is_resumed = bool(code.co_flags & 0x2A0) and py_frame.f_lineno != code.co_firstlineno
        show("call", py_frame, py_frame.f_lineno if is_resumed else def_line(code.co_firstlineno))
        return on_event

    def on_event(py_frame, event, arg):
        if event == "line":
            show("line", py_frame, py_frame.f_lineno)
            return on_event
        depth = len(stack) - 1
        if type(arg).__name__ == "async_generator_wrapped_value":
            (arg,) = gc.get_referents(arg)
        value = shown_text(arg[1] if event == "exception" else arg)
        frames.append({"event": event, "depth": depth, "line_no": py_frame.f_lineno, "value": value})
        if event == "return":
            stack.pop()
            if stack:
                stack[-1]["full_next"] = full_after_return
        return on_event

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        function()
    except BaseException:  # the program's: the frames say so
        pass
    finally:
        sys.settrace(before)
    return frames
