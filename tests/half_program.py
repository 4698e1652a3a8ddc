"""The program that many tests record: calls, a loop, an exception that is caught, and a comprehension."""

HALF = """\
def half(n):
    if n % 2:
        raise ValueError("odd")
    return n // 2

def g(xs):
    out = []
    for x in xs:
        try:
            out.append(half(x))
        except ValueError as e:
            out.append(None)
    return [y for y in out if y]
"""
TRACED = f"""
{HALF}
def main():  # << START_OF_TRACE
    return g([3, 4])
"""
"""The context of its trace."""
