"""A module-level recording."""
import math
from os import path

x = 1
total = 0
for i in range(2):
    total += i


def square(n):
    return n * n


class Config:
    name = "c"
    size = square(3)

    def show(self):
        return self.name


config = Config()
table = {k: square(k) for k in range(2)}
y = square(total)
del x
try:
    math.sqrt(-1)
except ValueError as error:
    message = str(error)
if __name__ == "__main__":
    print(y, table, config.show(), message)
