import random

from opencwm.infer.drafts import LENGTHS, Drafter


def test_a_draft_is_what_followed_the_last_time():
    drafter = Drafter([1, 2, 3, 4, 5, 9, 1, 2, 7, 7, 8, 1, 2])
    assert drafter.draft(3) == [7, 7, 8]  # the most recent (1, 2)
    longer = Drafter([0, 1, 2, 3, 4, 5, 6, 2, 3, 9, 0, 1, 2, 3])
    assert longer.draft(3) == [4, 5, 6]  # four tokens agree; the later (2, 3) does not count


def test_a_match_at_the_end_repeats_itself():
    assert Drafter([5, 6, 5, 6, 5, 6]).draft(5) == [5, 6, 5, 6, 5]
    assert Drafter([3, 3, 3]).draft(4) == [3, 3, 3, 3]


def test_without_a_match_there_is_no_draft():
    assert Drafter([]).draft(3) == []
    assert Drafter([1]).draft(3) == []
    assert Drafter([1, 2, 3, 4]).draft(3) == []
    assert Drafter([1, 2, 1, 2]).draft(0) == []


def test_growing_is_the_same_as_starting_whole():
    rng = random.Random(0)
    tokens = [rng.randrange(4) for _ in range(200)]
    grown = Drafter()
    for end in range(len(tokens)):
        grown.extend([tokens[end]])
        assert grown.draft(6) == Drafter(tokens[: end + 1]).draft(6) == by_definition(tokens[: end + 1], 6)


def by_definition(tokens: list[int], count: int) -> list[int]:
    for length in LENGTHS:
        for start in range(len(tokens) - length - 1, -1, -1):
            if len(tokens) >= length and tokens[start : start + length] == tokens[-length:]:
                line = tokens[:]
                for place in range(start + length, start + length + count):
                    line.append(line[place])
                return line[len(tokens) :]
    return []
