import json
from collections import Counter
from pathlib import Path

import pytest

from opencwm.data.build import build
from opencwm.data.finish import shard_paths
from opencwm.data.recipe import Recipe
from opencwm.data.sources.contests import PROBLEMS, Contests
from opencwm.data.sources.generated import Generated
from opencwm.errors import ConfigError, ProviderError
from opencwm.trace.files import read_rows

EXAMPLES = Path(__file__).parents[3] / "examples" / "contests.jsonl"
LEETCODE = Path(__file__).parents[1] / "contests" / "leetcode_100.jsonl.gz"


def recipe(*problems, num_shards=1, **settings):
    files = tuple(map(str, problems or (EXAMPLES,)))
    source = Contests(weight=1.0, problems=files, **settings)
    return Recipe(
        contests=source,
        generated=Generated(weight=0.0),
        num_programs=20 * num_shards,
        shard_size=20,
        max_frames=500,
        near_duplicates=None,
    )


def rows_of(folder, num_shards=1):
    return [row for path in shard_paths(folder, num_shards) for row in read_rows(path)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contests")
    manifest = build(recipe(), folder, say=lambda line: None)
    return manifest, rows_of(folder)


def test_right_and_wrong_solutions_are_traced_in_equal_numbers(built):
    manifest, rows = built
    solutions = {(row.source, row.trace.context.partition("sys.stdin")[0]) for row in rows}
    assert manifest["kept"]["correct"] >= 8
    assert manifest["kept"]["incorrect"] >= 8
    assert Counter(source.partition(" ")[0] for source, _ in solutions)["incorrect"] >= 4
    assert {row.source.partition(" ")[2] for row in rows} == {"longest-streak", "change", "brackets", "merge"}


def test_a_solution_is_traced_as_a_script_with_its_input_or_by_its_call(built):
    _, rows = built
    entries = {row.source.partition(" ")[2]: row.trace.header["entry"] for row in rows}
    assert entries == {"longest-streak": "<module>", "change": "<module>", "brackets": "<module>", "merge": "main"}
    streaks = [row.trace for row in rows if row.source == "correct longest-streak"]
    assert any("sys.stdin = io.StringIO('3\\n0 0 0\\n')" in trace.context for trace in streaks)
    assert all(
        frame.locals.set.get("n") == "3" for frame in streaks[0].frames if frame.locals and "n" in frame.locals.set
    )


def test_no_more_traces_of_a_solution_than_asked_for(built):
    _, rows = built
    programs = Counter(row.source + row.trace.context.rpartition("sys.stdin")[2].partition("\n")[2] for row in rows)
    assert max(programs.values()) <= 2


def test_the_same_again_and_in_shards(built, tmp_path):
    build(recipe(), tmp_path / "again", say=lambda line: None)
    assert rows_of(tmp_path / "again") == built[1]
    build(recipe(num_shards=2), tmp_path / "two", say=lambda line: None)
    names = [{row.source.partition(" ")[2] for row in read_rows(path)} for path in shard_paths(tmp_path / "two", 2)]
    assert names == [{"longest-streak", "brackets"}, {"change", "merge"}]


def test_a_model_writes_solutions_once(chat_server, tmp_path):
    right = "```python\nprint(sum(map(int, input().split())))\n```"
    wrong = "```python\nprint(input()[0])\n```"
    answers = [right, wrong] * 2
    url, asked = chat_server(lambda message: answers.pop())
    problem = {"problem": "Add.", "tests": [{"input": "1 2\n", "output": "3\n"}, {"input": "5 5\n", "output": "10\n"}]}
    (tmp_path / "sums.jsonl").write_text(json.dumps(problem) + "\n")
    wanted = recipe(tmp_path / "sums.jsonl", model=f"{url}#writer")
    said = []
    build(wanted, tmp_path / "out", say=said.append)
    assert {row.source for row in rows_of(tmp_path / "out")} == {"correct sums/1", "incorrect sums/1"}
    assert len(asked) == 4
    assert "writer has written solutions to 1 of 1 problems" in said
    build(wanted, tmp_path / "out", say=said.append)
    assert len(asked) == 4


def test_what_a_model_has_written_before_a_kill_is_not_asked_for_again(chat_server, tmp_path, monkeypatch):
    monkeypatch.setattr("opencwm.data.sources.contests.PORTION", 2)
    tests = [{"input": "1 2\n", "output": "3\n"}]
    lines = [json.dumps({"problem": f"Number {n}.", "tests": tests}) + "\n" for n in range(5)]
    (tmp_path / "five.jsonl").write_text("".join(lines))
    url, asked = chat_server(lambda message: "```python\nprint(3)\n```")
    source = Contests(weight=1.0, problems=(str(tmp_path / "five.jsonl"),), model=f"{url}#writer", attempts=1)

    class Killed(BaseException):
        pass

    def die(line):
        raise Killed

    with pytest.raises(Killed):
        source.prepare(tmp_path, die)
    assert len(asked) == 2
    with (tmp_path / "contests-written.jsonl").open("a") as file:
        file.write('["five/3", ["half a li')
    source.prepare(tmp_path, lambda line: None)
    assert len(asked) == 5
    written = [json.loads(line) for line in (tmp_path / PROBLEMS).read_text().splitlines()]
    assert [each["solutions"] for each in written] == [["print(3)\n"]] * 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contests.jsonl", "five.jsonl"]


def test_a_server_that_is_not_there_is_an_error_and_nothing_is_half_written(tmp_path, monkeypatch):
    monkeypatch.setattr("opencwm.provider.FIRST_PAUSE_S", 0.0)
    source = Contests(weight=1.0, problems=(str(EXAMPLES),), model="http://127.0.0.1:9#none")
    with pytest.raises(ProviderError):
        source.prepare(tmp_path, lambda line: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"problems": ()}, "names no file"),
        ({"problems": ("none.jsonl",)}, "no file none"),
        ({"problems": (str(EXAMPLES), str(EXAMPLES))}, "two problems called 'longest-streak'"),
        ({"problems": (str(LEETCODE.with_name("codeforces.jsonl.gz")),)}, "no Python solutions"),
        ({"problems": (str(EXAMPLES),), "model": "http://localhost:1"}, "which of the server's models"),
        ({"problems": (str(EXAMPLES),), "calls": 0}, r"contests\.calls is 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said, tmp_path):
    with pytest.raises(Exception, match=said) as caught:
        Contests(weight=1.0, **settings).prepare(tmp_path, lambda line: None)
    assert caught.value.exit_status == 2
    assert isinstance(caught.value, ConfigError) or "two problems" in said
