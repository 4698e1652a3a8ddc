def three(a, b=2,
          *c,
          d=4):
    return (a,
            b, c,
            d)


def run():
    x = (1 +
         2 +
         three(
             1,
             three(2)[0],
         )[0])
    y = {
        "a": x,
        "b": [
            x,
            x + 1,
        ],
    }
    s = """two
lines""" + \
        "more"
    if (x > 1 and
            x < 100):
        y["c"] = (
            s
        )
    z = "a".replace(
        "a", "b"
    ).upper(
    )
    try:
        three(
            1,
            [][0],
        )
    except IndexError as e:
        w = str(
            e)
    del (
        x
    )
    return (
        y, s,
        z, w
    )
