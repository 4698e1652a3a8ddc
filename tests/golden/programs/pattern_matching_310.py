def kind(value):
    match value:
        case []:
            return "empty"
        case [x, *rest] if rest:
            return "list", x, rest
        case {"k": v, **others}:
            return v, others
        case int() | float() as number:
            return number
        case _:
            pass
    return "other"


def run():
    out = [kind(v) for v in ([], [1, 2], {"k": 1, "l": 2}, 3, "s", [4])]
    with (open("/dev/null") as a, open("/dev/null") as b):
        out.append(a.read() + b.read())
    return out
