"""Two-dimensional dynamic programming over tables held in locals: edit distance, knapsack, grid paths."""


def distance(left, right):
    table = []
    for i in range(len(left) + 1):
        table.append([0] * (len(right) + 1))
        table[i][0] = i
    for j in range(len(right) + 1):
        table[0][j] = j
    for i in range(1, len(left) + 1):
        for j in range(1, len(right) + 1):
            cost = 0 if left[i - 1] == right[j - 1] else 1
            best = min(table[i - 1][j] + 1, table[i][j - 1] + 1)
            table[i][j] = min(best, table[i - 1][j - 1] + cost)
    return table[-1][-1]


def knapsack(weights, values, room):
    table = [[0] * (room + 1)]
    for i in range(1, len(weights) + 1):
        table.append([0] * (room + 1))
        for space in range(room + 1):
            table[i][space] = table[i - 1][space]
            if weights[i - 1] <= space:
                taken = table[i - 1][space - weights[i - 1]] + values[i - 1]
                table[i][space] = max(table[i][space], taken)
    return table[-1][room]


def paths(height, width):
    table = [[1] * width]
    for i in range(1, height):
        table.append([1] + [0] * (width - 1))
        for j in range(1, width):
            table[i][j] = table[i - 1][j] + table[i][j - 1]
    return table[-1][-1]


def run():
    steps = distance("kitten", "sitting")
    worth = knapsack([3, 4, 5, 6, 2, 7], [4, 5, 8, 9, 2, 11], 16)
    ways = paths(9, 10)
    return steps, worth, ways
