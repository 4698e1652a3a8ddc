def inner(d):
    return d["missing"]


def run():
    return inner({})
