"""A sieve of primes and long loops of arithmetic."""


def primes(limit):
    is_prime = [True] * limit
    is_prime[0] = is_prime[1] = False
    number = 2
    while number * number < limit:
        if is_prime[number]:
            for multiple in range(number * number, limit, number):
                is_prime[multiple] = False
        number += 1
    found = []
    for number in range(limit):
        if is_prime[number]:
            found.append(number)
    return found


def collatz(start):
    steps = 0
    number = start
    while number != 1:
        if number % 2:
            number = 3 * number + 1
        else:
            number //= 2
        steps += 1
    return steps


def power(base, exponent, modulus):
    result = 1
    base %= modulus
    while exponent:
        if exponent & 1:
            result = result * base % modulus
        base = base * base % modulus
        exponent >>= 1
    return result


def run():
    found = primes(200)
    longest = 0
    for start in range(1, 28):
        steps = collatz(start)
        if steps > longest:
            longest = steps
    total = 0
    for exponent in range(5, 40):
        total += power(7, exponent, 1009)
    return len(found), longest, total
