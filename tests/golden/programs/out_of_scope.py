import functools
import json
import re


def key(pair):
    return -pair[1]


class Encoder(json.JSONEncoder):
    def default(self, o):
        return sorted(o)


def run():
    pairs = sorted([("a", 1), ("b", 2)], key=key)
    total = functools.reduce(lambda a, b: a + b, [1, 2, 3])
    text = json.dumps({"s": {1, 2}}, cls=Encoder)
    upper = re.sub("[a-z]", lambda m: m.group().upper(), "ab")
    made = list(map(key, pairs))
    made += filter(None, (key(p) for p in pairs))
    scope = {"y": 2}
    exec("def hidden(): return key(('k', 5))\nz = y + 1", {"key": key}, scope)
    value = scope["hidden"].__call__() if False else eval("key(('e', 7))")
    return pairs, total, text, upper, made, scope["z"], value
