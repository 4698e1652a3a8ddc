import pytest

from opencwm.data.journal import Journal
from opencwm.errors import DataError


def upper(asked):
    return [item.upper() for item in asked]


def test_answers_come_in_portions_and_stay(tmp_path):
    path = tmp_path / "j.jsonl"
    assert list(Journal(path).ask("abcde", str, upper, portion=2)) == [2, 4, 5]
    assert Journal(path).answers == {letter: letter.upper() for letter in "abcde"}


def test_only_what_is_missing_is_asked_for_also_after_half_a_line(tmp_path):
    path = tmp_path / "j.jsonl"
    list(Journal(path).ask("abc", str, upper, portion=2))
    path.write_bytes(path.read_bytes()[:-3])
    asked = []
    journal = Journal(path)
    assert list(journal.ask("abcd", str, lambda items: asked.extend(items) or upper(items), portion=5)) == [4]
    assert asked == ["c", "d"]
    assert Journal(path).answers == journal.answers == {letter: letter.upper() for letter in "abcd"}


def test_a_whole_line_that_is_no_record_is_an_error(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text('["a", 1]\n{\n')
    with pytest.raises(DataError, match="line 2"):
        Journal(path)


def test_a_journal_that_is_done_is_gone(tmp_path):
    journal = Journal(tmp_path / "j.jsonl")
    list(journal.ask("a", str, upper, portion=1))
    journal.remove()
    journal.remove()
    assert list(tmp_path.iterdir()) == []
