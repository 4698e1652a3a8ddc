"""Small classes with attributes: linked nodes, a stack, a bank account."""


class Node:
    def __init__(self, value, after=None):
        self.value = value
        self.after = after


class Chain:
    def __init__(self):
        self.first = None
        self.size = 0

    def push(self, value):
        self.first = Node(value, self.first)
        self.size += 1

    def reverse(self):
        before = None
        node = self.first
        while node is not None:
            after = node.after
            node.after = before
            before = node
            node = after
        self.first = before

    def total(self):
        total = 0
        node = self.first
        while node is not None:
            total += node.value
            node = node.after
        return total


class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        return self.items.pop()


class Account:
    def __init__(self, owner):
        self.owner = owner
        self.balance = 0
        self.history = []

    def deposit(self, amount):
        self.balance += amount
        self.history.append(amount)

    def withdraw(self, amount):
        if amount > self.balance:
            return False
        self.balance -= amount
        self.history.append(-amount)
        return True


def calculate(text):
    stack = Stack()
    for part in text.split():
        if part.isdigit():
            stack.push(int(part))
        else:
            right = stack.pop()
            left = stack.pop()
            stack.push(left + right if part == "+" else left * right)
    return stack.pop()


def run():
    chain = Chain()
    for i in range(12):
        chain.push(i * i)
    chain.reverse()
    total = chain.total()
    results = []
    for text in ("1 2 + 3 *", "4 5 6 + *", "1 2 3 4 + + +", "2 3 * 4 5 * +", "7 8 + 9 +"):
        results.append(calculate(text))
    account = Account("ada")
    for amount in (10, 25, 40, 5, 60, 15, 30, 8):
        account.deposit(amount)
        account.withdraw(amount * 2 // 3)
    return total, results, account.balance
