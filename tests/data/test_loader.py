"""What all ranks draw together is what one draws, from any state, each document once an epoch."""

import dataclasses
import json
import threading
from collections import Counter
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencwm.data.documents import Documents
from opencwm.data.loader import Bucket, Loader, LoaderConfig, ahead
from opencwm.data.mix import mix
from opencwm.data.pack import PackState
from opencwm.data.token_shards import Message, TokenDocument, TokenShards, write_manifest, write_shard
from opencwm.errors import ConfigError, DataError

PAD, START = 1, 2
TOKENIZER = SimpleNamespace(special={"reasoning_thinking_start": START, "end_of_text": PAD}, pad_id=PAD, digest="mine")
BUCKETS = (Bucket(longest=129), Bucket(longest=257, global_window=64), Bucket(longest=None))


def write(folder, lengths, *, first=0, per_shard=150, in_order=False, authors=("text",)):
    """Documents whose every token is their number, from `first` on (and 10 to tell them from special tokens)."""
    folder.mkdir()
    shards = {}
    for shard, start in enumerate(range(0, len(lengths), per_shard)):
        documents = [
            TokenDocument(np.full(size, first + i + 10, dtype=np.int32), messages(size, authors))
            for i, size in enumerate(lengths[start : start + per_shard], start)
        ]
        name = f"shard-{shard:05d}.parquet"
        shards[name] = write_shard(folder / name, documents)
    write_manifest(folder, shards, TOKENIZER, in_order=in_order)
    return folder


def messages(size, authors):
    each = size // len(authors)
    sizes = [each] * (len(authors) - 1) + [size - each * (len(authors) - 1)]
    return tuple(Message(author, num, True) for author, num in zip(authors, sizes, strict=True))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two datasets of many lengths, one of which is a curriculum."""
    root, rng = tmp_path_factory.mktemp("loader"), np.random.default_rng(0)
    lengths = np.minimum(600, 2 + rng.geometric(1 / 90, 300)).tolist()
    write(root / "a", lengths)
    write(root / "b", lengths[:120], first=1000, per_shard=40, in_order=True)
    return root


def config(folders, *parts, **changes):
    parts = parts or ("a:0.3", "b:0.7")
    settings = {"mix": mix(*(f"{folders}/{part}" for part in parts)), "seq_len": 600, "num_rows": 12}
    return LoaderConfig(**settings | changes)


def drawn(batch):
    """Documents of a batch, each with how many inputs of it there are."""
    ends = np.cumsum(batch.lengths)
    starts = ends - batch.lengths
    found = [(int(batch.inputs[a]), int(b - a)) for a, b in zip(starts, ends, strict=True)]
    return [(number, size) for number, size in found if number != PAD]


def rows_of(loader, state, count):
    return list(islice(loader(state), count))


CASES = st.tuples(
    st.sampled_from([1, 2, 3, 4, 6, 12]),
    st.sampled_from([1, 2, 3, 4, 6, 12]),
    st.integers(0, 5),
    st.sampled_from([(), BUCKETS]),
    st.booleans(),
    st.integers(0, 4),
)


@settings(max_examples=8)
@given(CASES)
def test_all_ranks_together_draw_what_one_draws_from_any_state_at_any_number_of_ranks(folders, case):
    num_ranks, later_ranks, seed, buckets, split, stop = case
    made = config(folders, seed=seed, buckets=buckets, split=split, seq_len=320 if split else 600)
    alone = rows_of(Loader(made, TOKENIZER), PackState(), 5)
    state = PackState() if not stop else alone[stop - 1][1]
    state = PackState.from_dict(json.loads(json.dumps(dataclasses.asdict(state))))
    for ranks, start, begin in ((num_ranks, PackState(), 0), (later_ranks, state, stop)):
        each = [rows_of(Loader(made, TOKENIZER, rank=r, num_ranks=ranks), start, 5 - begin) for r in range(ranks)]
        for number, (batch, after) in enumerate(alone[begin:]):
            parts = [rank[number] for rank in each]
            for name in ("inputs", "targets", "trained"):
                together = np.concatenate([getattr(part, name) for part, _ in parts])
                assert np.array_equal(together, getattr(batch, name))
            assert {part.global_window for part, _ in parts} == {batch.global_window}
            assert [length for part, _ in parts for length in part.lengths] == list(batch.lengths)
            assert all(theirs == after for _, theirs in parts)


@settings(max_examples=6)
@given(st.integers(0, 9), st.sampled_from(["a@1", "b@1", "a@3"]), st.sampled_from([(), BUCKETS]))
def test_an_epoch_has_every_document_once(folders, seed, part, buckets):
    loader = Loader(config(folders, part, seed=seed, buckets=buckets, num_rows=1), TOKENIZER)
    order = [number for batch, _ in loader(PackState()) for number, _ in drawn(batch)]
    size, epochs = (300, int(part[-1])) if part[0] == "a" else (120, 1)
    assert Counter(order) == {number + (10 if part[0] == "a" else 1010): epochs for number in range(size)}


def test_no_two_epochs_and_no_two_seeds_have_one_order(folders):
    shards = TokenShards(folders / "a", TOKENIZER)
    orders = [
        [int(documents[epoch * 300 + i].tokens[0]) for i in range(300)]
        for documents in (Documents(shards, seed=0), Documents(shards, seed=1))
        for epoch in (0, 1)
    ]
    assert all(sorted(order) == list(range(10, 310)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert all(order != sorted(order) for order in orders)
    # far from where they stand in the file, too: documents of one row group do not stay together
    assert all(np.mean(np.abs(np.diff(order))) > 50 for order in orders)


def test_the_state_stays_under_a_kilobyte_after_ten_thousand_million_documents(folders):
    far = 10**10
    for buckets in ((), BUCKETS):
        parts = max(1, len(buckets))
        waiting = 32 // parts
        each = PackState(far, tuple(range(far - waiting, far)))
        state = PackState(parts * far, buckets=(each,) * parts) if buckets else each
        loader = Loader(config(folders, buckets=buckets, split=True, seq_len=320), TOKENIZER)
        for _, after in rows_of(loader, state, 3):
            assert after.num_read > state.num_read
            assert len(json.dumps(dataclasses.asdict(after))) < 1000


@pytest.mark.parametrize("buckets", [(), BUCKETS])
def test_the_shares_of_the_tokens_hold_and_buckets_leave_them_alone(folders, buckets):
    loader = Loader(config(folders, buckets=buckets, num_rows=2), TOKENIZER)
    batches = rows_of(loader, PackState(), 120)
    sizes = {False: 0, True: 0}
    for batch, _ in batches:
        for number, size in drawn(batch):
            sizes[number >= 1010] += size
    # whole epochs have exact shares; at the end one document of each stream may be too many, and a row waits
    assert sizes[False] / sum(sizes.values()) == pytest.approx(0.3, abs=0.015)


def test_target_epochs_are_reached_together_and_give_the_shares(folders):
    loader = Loader(config(folders, "a@1", "b@2", num_rows=1), TOKENIZER)
    counts = Counter(number for batch, _ in loader(PackState()) for number, _ in drawn(batch))
    a, b = loader.num_tokens
    assert loader.shares == pytest.approx([a / (a + 2 * b), 2 * b / (a + 2 * b)])
    assert sum(counts.values()) == 300 + 2 * 120
    assert {number: count for number, count in counts.items() if abs(count - 1 - (number >= 1010)) > 1} == {}


def test_a_step_is_from_one_bucket_and_all_buckets_take_their_turn(folders):
    loader = Loader(config(folders, buckets=BUCKETS), TOKENIZER)
    seen = Counter()
    for batch, _ in rows_of(loader, PackState(), 30):
        longest = max(size + 1 for _, size in drawn(batch))
        bucket = sum(longest > edge for edge in (129, 257))
        assert all(sum(size + 1 > edge for edge in (129, 257)) == bucket for _, size in drawn(batch))
        assert batch.global_window == BUCKETS[bucket].global_window
        seen[bucket] += 1
    assert sorted(seen) == [0, 1, 2]


def test_a_curriculum_keeps_the_order_of_its_shards(folders):
    loader = Loader(config(folders, "b@2", num_rows=1, seq_len=600), TOKENIZER)
    order = [number - 1010 for batch, _ in loader(PackState()) for number, _ in drawn(batch)]
    places = {(epoch, number): at for at, number in enumerate(order) for epoch in [order[:at].count(number)]}
    middle = [np.mean([places[e, n] for n in range(s, s + 40)]) for e in (0, 1) for s in (0, 40, 80)]
    assert middle == sorted(middle)


def test_long_documents_go_on_in_the_next_rows_and_no_target_is_lost(folders):
    loader = Loader(config(folders, "a@1", split=True, seq_len=50, num_rows=1), TOKENIZER)
    sizes = Counter()
    for batch, _ in loader(PackState()):
        for number, size in drawn(batch):
            sizes[number] += size
        assert batch.trained.sum() == sum(size for _, size in drawn(batch))
    whole = Loader(config(folders, "a@1", num_rows=1), TOKENIZER)
    assert sizes == Counter(dict(pair for batch, _ in whole(PackState()) for pair in drawn(batch)))


def test_half_of_what_the_environment_wrote_is_trained_on_other_halves_in_every_epoch(tmp_path):
    authors = ("agent", "environment") * 5
    folder = write(tmp_path / "c", [101] * 200, authors=authors)
    made = config(tmp_path, "c@2", environment_loss=0.5, seq_len=100, num_rows=1)
    masks = {}
    for batch, _ in Loader(made, TOKENIZER)(PackState()):
        masks.setdefault(int(batch.inputs[0]), []).append(batch.trained)
    both = np.array([np.stack(each) for each in masks.values()])  # document, epoch, target
    owner = np.repeat(np.arange(10), [10] * 9 + [11])[1:]  # of the target token
    assert both[..., owner % 2 == 0].all()
    parts = np.stack([both[..., owner == message].all(-1) for message in range(1, 10, 2)], -1)
    assert np.array_equal(parts, np.stack([both[..., owner == message].any(-1) for message in range(1, 10, 2)], -1))
    assert parts.mean() == pytest.approx(0.5, abs=0.05)
    assert (parts[:, 0] == parts[:, 1]).mean() == pytest.approx(0.5, abs=0.08)
    again = rows_of(Loader(made, TOKENIZER), PackState(), 5)
    assert all(np.array_equal(batch.trained, masks[int(batch.inputs[0])][0]) for batch, _ in again)
    assert folder.is_dir()


def test_only_the_token_that_opens_reasoning_has_no_loss(tmp_path):
    (tmp_path / "d").mkdir()
    tokens = np.array([20, 21, START, 22, 23], dtype=np.int32)
    document = TokenDocument(tokens, (Message("user", 2, False), Message("assistant", 3, True)))
    told = write_shard(tmp_path / "d" / "shard-00000.parquet", [document])
    write_manifest(tmp_path / "d", {"shard-00000.parquet": told}, TOKENIZER, in_order=False)
    for never, expected in (
        ((), [False, True, True, True]),
        (("reasoning_thinking_start",), [False, False, True, True]),
    ):
        made = config(tmp_path, "d@1", never_trained=never, seq_len=4, num_rows=1)
        ((batch, _),) = Loader(made, TOKENIZER)(PackState())
        assert batch.trained.tolist() == expected


def test_batches_are_made_ahead_in_a_thread_that_ends_with_them():
    def numbers():
        made.append(threading.current_thread().name)
        yield from range(5)
        raise DataError("no more")

    made = []
    stream = ahead(numbers())
    assert list(islice(stream, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="no more"):
        next(stream)
    assert list(ahead(iter(range(100)))) == list(range(100))
    left = ahead(iter(range(100)))
    next(left)
    left.close()
    for thread in threading.enumerate():
        if thread.name == "loader":
            thread.join(timeout=20)
            assert not thread.is_alive()
    assert made == ["loader"]


def test_what_cannot_be_loaded_is_said_in_one_sentence(folders, tmp_path):
    def refused(match, error=ConfigError, **changes):
        with pytest.raises(error, match=match):
            Loader(config(folders, *changes.pop("parts", ()), **changes), TOKENIZER, num_ranks=changes.pop("ranks", 1))

    with pytest.raises(ConfigError, match="12 rows per step cannot be divided among 5 ranks"):
        Loader(config(folders), TOKENIZER, num_ranks=5)
    refused("no bucket takes", buckets=(Bucket(longest=129),))
    refused("powers of two plus one", buckets=(Bucket(longest=257), Bucket(longest=129)))
    refused("powers of two plus one", buckets=(Bucket(longest=33), Bucket(longest=None)))
    refused("powers of two plus one", buckets=(Bucket(longest=1000), Bucket(longest=None)))
    refused("no special token 'resoning'", never_trained=("resoning",))
    refused("environment_loss is 2", environment_loss=2.0)
    refused("1 have a share and 1 epochs", parts=("a:0.5", "b@1"))
    with pytest.raises(ConfigError, match="another tokenizer"):
        Loader(config(folders), SimpleNamespace(special=TOKENIZER.special, pad_id=PAD, digest="theirs"))
    loader = Loader(config(folders, buckets=BUCKETS), TOKENIZER)
    with pytest.raises(ConfigError, match="begun with 1 length buckets cannot go on with 3"):
        next(loader(PackState(5, (1, 2))))
    write_manifest(tmp_path, {}, TOKENIZER, in_order=False)
    with pytest.raises(DataError, match="holds no documents"):
        Loader(config(tmp_path.parent, tmp_path.name), TOKENIZER)
