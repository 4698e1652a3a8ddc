def run():
    n = 3
    while n: n -= 1
    total = 0
    for i in range(3): total += i
    for i in range(2): n += 1; total -= n
    k = 0
    while True: k += 1; total += k; break
    for i in range(0): total = -1
    for i in range(2): pass
    for i in "ab": x = [j for j in i]
    for a in range(2):
        for b in range(2): total += a * b
    while n < 4: n += 1
    else: n = 0
    for i in range(3): k += i if i else 1
    while k: k = 0 if k > 2 else k - 1
    return n, total, k, x
