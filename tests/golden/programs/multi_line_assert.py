def run():
    x = 1
    assert (
        x
    ), "never"
    return x
