"""What is in a basket, and what it costs."""

from prices import price_of


class Basket:
    def __init__(self):
        self.items = {}

    def add(self, name, count=1):
        if count < 1:
            raise ValueError(f"{count} is not a number of items")
        self.items[name] = self.items.get(name, 0) + count

    def total(self):
        total = 0
        for name, count in self.items.items():
            total += price_of(name, count)
        return total
