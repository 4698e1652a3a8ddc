import gzip
import json
from pathlib import Path

import pytest

from opencwm.data.decontaminate import Detector, inspect, read_items
from opencwm.errors import DataError

HERE = Path(__file__).parent
FILES = [
    HERE / "humaneval" / "HumanEval.jsonl.gz",
    HERE / "mbpp" / "mbpp_1_10_and_511_974.jsonl.gz",
    HERE / "cruxeval" / "cruxeval_0_199.jsonl",
]
INNOCENT = "def f(xs, k):\n    total = k\n    for x in xs:\n        total = total * 31 + x\n    return total % 1009\n"


@pytest.fixture(scope="module")
def items():
    return read_items(FILES)


@pytest.fixture(scope="module")
def sources():
    rows = []
    for path in FILES:
        data = path.read_bytes()
        lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
        rows += [json.loads(line) for line in lines if line]
    return [row.get("code") or row["prompt"] + row["canonical_solution"] for row in rows]


def test_every_item_is_read_with_its_functions_and_grams(items):
    assert len(items) == 164 + 474 + 200
    assert all(item.bodies for item in items)
    assert len({item.name for item in items}) == len(items)
    assert 0 < sum(item.is_too_short for item in items) < len(items) / 10


def test_every_item_is_found_as_it_is(items, sources):
    detector = Detector(items)
    assert all(detector.hit(source) for source in sources)


def test_an_item_with_other_names_and_more_code_around_it_is_found_by_its_body(items):
    code = "def renamed(alpha, beta):\n    return [gamma for gamma in alpha if beta in gamma]\n" + INNOCENT
    hit = Detector(items).hit(code)
    assert hit is not None
    assert (hit.item, hit.reason) == ("HumanEval.jsonl.gz HumanEval/7", "body")


def test_a_changed_copy_is_found_by_its_tokens(items, sources):
    item = next(n for n, item in enumerate(items) if item.name.endswith("HumanEval/129"))
    changed = sources[item].replace("ans = []", "ans = list()")
    hit = Detector(items).hit(changed)
    assert changed != sources[item]
    assert hit is not None
    assert (hit.item, hit.reason) == ("HumanEval.jsonl.gz HumanEval/129", "13-grams")
    assert 0.5 <= hit.share < 1


@pytest.mark.parametrize(("kept", "is_hit"), [(10, True), (9, False)])
def test_half_of_the_grams_is_the_border(tmp_path, kept, is_hit):
    tokens = [f"a{n}" for n in range(32)]
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({"id": "one", "code": " ".join(tokens)}))  # 20 different 13-grams
    hit = Detector(read_items([path])).hit(" ".join(tokens[: kept + 12]))
    assert (hit is not None) == is_hit


def test_the_report_says_what_was_found_and_what_could_not_be_judged(items, sources):
    report = inspect([("a", INNOCENT), ("b", sources[0]), ("c", sources[0])], items)
    assert [name for name, _ in report.hits] == ["b", "c"]
    assert not report.is_clean
    assert report.num_programs == 3
    assert report.too_short
    assert inspect([("a", INNOCENT)], items).is_clean


@pytest.mark.parametrize("content", [b"{", b'{"task_id": 1}\n', b"[1]\n", b"\xff"])
def test_a_file_that_is_not_a_benchmark_is_refused(tmp_path, content):
    path = tmp_path / "set.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"set\.jsonl"):
        read_items([path])


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_items([tmp_path / "none.jsonl.gz"])
