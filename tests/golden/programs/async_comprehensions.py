class Pause:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        got = yield self.value
        return got


async def add(a, b):
    c = await Pause(a)
    return a + b + c


async def ticks(n):
    for i in range(n):
        await Pause(i)
        yield i


async def work():
    squares = [t * t async for t in ticks(2)]
    both = [await add(y, y) for y in (1, 2)]
    return squares, both


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
