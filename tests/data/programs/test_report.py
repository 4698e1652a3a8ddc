import pytest

from opencwm.data.programs import generate, measure
from opencwm.data.programs.constructs import CORE, RARE, constructs_of


@pytest.fixture(scope="module")
def report():
    return measure(1200, seed=10_000)


def test_each_core_construct_is_in_a_twentieth_of_the_programs(report):
    rare = {name: report.constructs.get(name, 0.0) for name in CORE if report.constructs.get(name, 0.0) < 0.05}
    assert rare == {}


def test_rare_constructs_occur(report):
    assert [name for name in RARE if name not in report.constructs] == []


def test_lengths_are_useful(report):
    assert 25 <= report.frames["p50"] <= 45
    assert 80 <= report.frames["p90"] <= 130
    assert report.frames["p99"] < 250
    assert list(report.length_classes) == ["1-10", "11-30", "31-100", ">100"]
    assert min(list(report.length_classes.values())[:3]) >= 0.08
    assert report.length_classes[">100"] >= 0.04


def test_programs_vary(report):
    assert report.duplicate_sources < 0.08
    assert report.duplicate_programs < 0.005
    assert report.distinct_ngrams["8"] > 0.8
    assert report.num_names > 1000


def test_some_programs_fail_and_few(report):
    assert 0.005 < report.failed < 0.06


def test_the_report_reads(report):
    assert "programs            1200" in report.text()
    assert report.to_dict()["num_programs"] == 1200


def test_equal_programs_are_counted(monkeypatch):
    monkeypatch.setattr("opencwm.data.programs.report.generate", lambda seed, dial: generate(seed // 2))
    assert measure(20).duplicate_programs == 0.5


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def f(n):\n    return f(n - 1) if n else 0\n", "recursion"),
        ("def f(n):\n    return n\n\ndef g(n):\n    return f(n)\n", "nested_calls"),
        ("def f(n):\n    for i in n:\n        while n:\n            n -= 1\n", "nested_loops"),
        ("def f(n):\n    if n:\n        return 1\n    return 2\n", "early_returns"),
        ("def f(n):\n    for x in n:\n        return x\n", "early_returns"),
        ("def f(n=1):\n    return n // 2\n", "default_arguments"),
        ("def f(n):\n    return 1 < n < 3\n", "chained_comparisons"),
        ("def f(n):\n    return sum(x for x in n)\n", "generators"),
        ("def f(n):\n    def g(x):\n        return x\n    return g(n)\n", "closures"),
        ("def f(a, b):\n    a, b = b, a\n    return a\n", "unpacking"),
        ("def f(n):\n    return n is None\n", "is_none"),
        ("def f(n):\n    raise ValueError(n)\n", "raise"),
        ("def f(n):\n    return f'{n}'\n", "f_strings"),
        ("def f(n):\n    return n[1:]\n", "slices"),
        ("def f(n):\n    return n.get(1)\n", "dict_methods"),
        ("def f(n):\n    if n:\n        n = 1\n    elif n == 2:\n        n = 3\n    return n\n", "elif"),
    ],
)
def test_constructs_are_read_off_the_source(source, name):
    assert name in constructs_of(source)
    assert name not in constructs_of("def f(n):\n    return n\n")
