"""Packing loses nothing, doubles nothing, and goes on where it stopped."""

import dataclasses
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opencwm.data.pack import Document, PackState, batches, pack, plan, row

PAD = 0


def documents(lengths: list[int]) -> list[Document]:
    """Document i is i+1 repeated, so that every token tells where it came from."""
    return [Document(np.full(n, i + 1, dtype=np.int32), min(2, n)) for i, n in enumerate(lengths)]


@given(st.lists(st.integers(2, 40), min_size=1, max_size=60), st.integers(1, 8))
def test_every_document_is_packed_once_and_whole(lengths, waiting):
    rows = [row for row, _ in pack(documents(lengths), 40, waiting=waiting, pad_id=PAD)]
    seen = []
    for made in rows:
        assert sum(made.lengths) == 40 == len(made.inputs)
        at = 0
        for size in made.lengths:
            values = set(made.inputs[at : at + size].tolist()) | set(made.targets[at : at + size].tolist())
            assert len(values) == 1, "a document shares its place with another"
            if values != {PAD}:
                seen.append((values.pop() - 1, size))
                # of n tokens the first is never a target, and loss starts at the target with index loss_from = 2
                assert made.trained[at : at + size].tolist() == [False] + [True] * (size - 1)
            else:
                assert not made.trained[at : at + size].any()
            at += size
    assert sorted(seen) == [(i, n - 1) for i, n in enumerate(lengths)]


@given(st.lists(st.integers(2, 40), min_size=1, max_size=60), st.integers(0, 10))
def test_resuming_after_any_row_gives_the_same_rows(lengths, after):
    source = documents(lengths)
    whole = list(pack(source, 40, waiting=4, pad_id=PAD))
    after = min(after, len(whole) - 1)
    resumed = list(pack(source, 40, whole[after][1], waiting=4, pad_id=PAD))
    assert [row.inputs.tolist() for row, _ in resumed] == [row.inputs.tolist() for row, _ in whole[after + 1 :]]


@given(st.lists(st.integers(2, 200), min_size=1, max_size=30), st.integers(0, 40))
def test_a_split_document_goes_on_in_the_next_rows_also_after_resuming(lengths, after):
    planned = list(plan(lengths.__getitem__, 40, PackState(), waiting=4, split=True))
    reached = dict.fromkeys(range(len(lengths)), 0)
    for pieces, _ in planned:
        assert sum(size for _, _, size in pieces) <= 40
        for document, start, size in pieces:
            assert start == reached[document]
            reached[document] += size
    assert reached == {i: length - 1 for i, length in enumerate(lengths)}
    after = min(after, len(planned) - 1)
    assert list(plan(lengths.__getitem__, 40, planned[after][1], waiting=4, split=True)) == planned[after + 1 :]


def test_a_piece_keeps_its_own_loss():
    document = Document(np.arange(10, dtype=np.int32), 3, ((5, 7),))
    trained = row([document], 9, PAD).trained
    assert trained.tolist() == [False] * 2 + [True] * 2 + [False] * 2 + [True] * 3
    parts = [document.piece(start, 3) for start in (0, 3, 6)]
    assert np.concatenate([row([part], 3, PAD).trained for part in parts]).tolist() == trained.tolist()
    assert np.concatenate([row([part], 3, PAD).targets for part in parts]).tolist() == list(range(1, 10))


def test_a_state_survives_json():
    state = PackState(9, (3, 8), 5, (PackState(4, (1,)), PackState(5, (), 2)))
    assert PackState.from_dict(json.loads(json.dumps(dataclasses.asdict(state)))) == state


def test_a_document_longer_than_the_row_is_cut_at_its_end():
    (row, state), *rest = pack([Document(np.arange(100, dtype=np.int32), 10)], 40, pad_id=PAD)
    assert not rest
    assert row.inputs.tolist() == list(range(40))
    assert row.targets.tolist() == list(range(1, 41))
    assert row.trained.tolist() == [False] * 9 + [True] * 31
    assert state == PackState(1, ())


def test_batches_leave_out_an_incomplete_last_one():
    rows = pack(documents([40] * 5), 40, pad_id=PAD)
    groups = [batch for batch, _ in batches(rows, 2)]
    assert len(groups) == 2
    assert all(len(batch.inputs) == 80 for batch in groups)
