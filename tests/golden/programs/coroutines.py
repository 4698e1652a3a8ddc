class Pause:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        got = yield self.value
        return got


class Resource:
    async def __aenter__(self):
        await Pause("enter")
        return self

    async def __aexit__(self, *exc):
        await Pause("exit")
        return True


async def add(a, b):
    c = await Pause(a)
    return a + b + c


async def ticks(n):
    for i in range(n):
        await Pause(i)
        yield i


async def work():
    x = await add(1, 2)
    seen = []
    async for t in ticks(2):
        seen.append(t)
    async with Resource() as r:
        raise ValueError("swallowed")
    return x, seen


def drive(coroutine):
    waits = []
    send = 0
    while True:
        try:
            waits.append(coroutine.send(send or None))
        except StopIteration as e:
            return waits, e.value
        send = 10


def run():
    return drive(work())
