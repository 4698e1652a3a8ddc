class Base:
    kind = "base"

    def __init__(self, x):
        self.x = x
        self.more = None

    def __repr__(self):
        raise RuntimeError("the recorder must not call this")

    def __getattribute__(self, name):
        global READS
        READS += 1
        return object.__getattribute__(self, name)

    def show(self):
        return self.x


class Child(Base):
    __slots__ = ("y", "__hidden")

    def __init__(self, x, y):
        super().__init__(x)
        self.y = y
        self.__hidden = y + 1

    def show(self):
        return super().show() + self.y


class Numbers(list):
    def __iter__(self):
        raise RuntimeError("nor this")


READS = 0


def built():
    class Local:
        a = 1
        b = [a, 2]

        def method(self):
            return self.b
        c = len(b)
        del a
    return Local().method(), Local.c


def run():
    c = Child(1, 2)
    numbers = Numbers([1, 2])
    numbers.append(3)
    numbers.label = "n"
    c.more = c
    value = c.show()
    reads = READS
    c.x = [value]
    return value, reads, len(numbers), built()
