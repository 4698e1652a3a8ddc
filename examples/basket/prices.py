"""Prices in cents, and the discount for many of a kind."""

PRICES = {"apple": 30, "bread": 250, "tea": 420}
DISCOUNT_FROM = 5


def price_of(name, count):
    price = PRICES[name] * count
    if count >= DISCOUNT_FROM:
        price -= discount(price)
    return price


def discount(price):
    percent = 10 if price < 1000 else 15
    return price * percent // 100
