def double(x):
    return x * 2


def fail(x):
    if x > 1:
        raise ValueError(x)
    return x


def single_line(xs):
    a = [x for x in xs]
    b = {x: double(x) for x in xs if x > 1}
    c = {x % 2 for x in xs}
    d = [x for x in xs] + [y + 1 for y in xs]
    e = sum([double(x) for x in xs]) + len(a)
    return a, b, sorted(c), d, e


def multi_line(xs):
    a = [
        double(x)
        for x in xs
        if x > 1
    ]
    b = {
        k: [v for v in
            range(k)]
        for k in xs
    }
    c = sorted(
        [x for x in xs],
        key=lambda x: [
            -y
            for y in [x]
        ],
    )
    total = 0
    for z in [
        y + 1
        for y in xs
    ]:
        total += z
    return a, b, c, total


def nested(rows):
    flat = [x for row in rows for x in row]
    table = [[x * y for x in row] for y, row in enumerate(rows)]
    return flat, table, [sum(x for x in row) for row in rows]


def two_on_lines(a, b):
    z = [x for x in
         a] + [y for y in
               b]
    w = (len([x for x in a]),
         len([y for y in b]))
    return z, w


def in_loops(xs):
    out = []
    for x in xs: out += [y for y in range(x)]
    while len(out) < 12: out = out + [
        y for y in out[:2]
    ]
    for x in xs:
        out.append([
            y for y in range(x)
        ])
    return out


def first_iterable(xs):
    return [
        x
        for x in double(
            xs
        )
    ]


def leaving(xs):
    try:
        return [fail(x) for x in xs]
    except ValueError:
        pass
    try:
        return [
            x // (x - 1)
            for x in xs
        ]
    except ZeroDivisionError:
        pass
    try:
        return [x for x in
                xs.missing]
    except AttributeError as e:
        return str(e)


def in_finally(xs):
    for x in xs:
        try:
            if x == 2:
                break
        finally:
            ys = [
                y for y in range(x)
            ]
    return ys


def in_lambda(xs):
    f = lambda n: [y for y in range(n)]
    g = lambda n: [[z for z in range(y)] for y in range(n)]
    return f(2), g(2), [(lambda: [x for x in xs])() for _ in range(2)]


def in_generator(xs):
    yield [x for x in xs]
    got = [
        x
        for x in xs
    ]
    for ys in ([y for y in range(x)] for x in got):
        yield ys


def conditional(xs, flag):
    a = [x for x in xs] if flag else [
        -x for x in xs
    ]
    if [x for x in xs if x > 2]:
        a.append(0)
    assert [x for x in a]
    while [x for x in a if x > 1]:
        a.pop()
    return a


class Body:
    sizes = [len(w) for w in ("a", "bb")]
    table = {
        k: v
        for k, v in zip("ab", sizes)
    }


def run():
    xs = [1, 2, 3]
    out = [single_line(xs), multi_line(xs), nested([[1, 2], [3]]), two_on_lines([1], [2, 3]), in_loops([1, 2])]
    out += [first_iterable(xs), leaving(xs), leaving([1, 0]), leaving([]), in_finally(xs), in_lambda([5])]
    out += [list(in_generator([1, 2])), conditional(xs, True), conditional(xs, False)]
    return out, Body.table
