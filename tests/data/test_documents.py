"""Folders as documents: traces as they are, and what is said about a folder that is damaged."""

import json

import numpy as np
import pytest
from half_program import HALF

from opencwm import record
from opencwm.data.documents import Documents, TraceShards
from opencwm.data.loader import Loader, LoaderConfig
from opencwm.data.mix import mix
from opencwm.data.pack import PackState
from opencwm.data.token_shards import Message, TokenDocument, TokenShards, write_manifest, write_shard
from opencwm.errors import DataError
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import Row, write_parquet
from opencwm.trace.tokens import render_frames


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train([HALF], 300)


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """Two shards of four traces, each of another call."""
    folder = tmp_path_factory.mktemp("traces")
    made = [record(HALF, call=f"g({list(range(3, 3 + n))})") for n in range(1, 9)]
    shards = []
    for shard in range(2):
        name = f"shard-{shard:05d}.parquet"
        write_parquet(folder / name, [Row.of(trace) for trace in made[4 * shard : 4 * shard + 4]])
        shards.append({"file": name, "num_traces": 4})
    manifest = {"num_traces": 8, "estimated_tokens": 4000, "shards": shards}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder, made


def test_traces_are_documents_in_the_order_of_their_shards(traces, tokenizer):
    folder, made = traces
    documents = Documents(TraceShards(folder, tokenizer), seed=2, epochs=2)
    rendered = [render_frames(trace, tokenizer) for trace in made]
    found = [next(i for i, each in enumerate(rendered) if each.ids == documents[n].tokens.tolist()) for n in range(16)]
    assert [sorted(found[at : at + 4]) for at in (0, 4, 8, 12)] == [[0, 1, 2, 3], [4, 5, 6, 7]] * 2
    assert [documents[n].loss_from for n in range(8)] == [rendered[i].context_end for i in found[:8]]
    assert [documents.num_tokens(n) for n in range(8)] == [len(rendered[i].ids) for i in found[:8]]
    with pytest.raises(IndexError):
        documents[16]
    whole = Documents(TraceShards(folder, tokenizer), seed=2, train_on_context=True)
    assert whole[0].loss_from == 1


def test_ranks_draw_traces_as_one_does(traces, tokenizer):
    folder, _ = traces
    config = LoaderConfig(mix=mix(f"{folder}@3"), seq_len=700, num_rows=2)
    alone = [batch.inputs for batch, _ in Loader(config, tokenizer)(PackState())]
    ranks = [[b.inputs for b, _ in Loader(config, tokenizer, rank=r, num_ranks=2)(PackState())] for r in range(2)]
    assert len(alone) > 3
    for whole, *parts in zip(alone, *ranks, strict=True):
        assert np.array_equal(whole, np.concatenate(parts))


def test_damaged_token_shards_are_named(tmp_path, tokenizer):
    path = tmp_path / "shard-00000.parquet"
    told = write_shard(path, [TokenDocument(np.arange(50, dtype=np.int32), (Message("text", 50, True),))] * 3)

    def refused(match):
        with pytest.raises(DataError, match=match):
            Documents(TokenShards(tmp_path, tokenizer))[0]

    write_manifest(tmp_path, {path.name: [{**told[0], "num_documents": 4}]}, tokenizer, in_order=False)
    refused("row group 0, is not the one that the manifest is about")
    write_manifest(tmp_path, {path.name: told}, tokenizer, in_order=False)
    assert len(Documents(TokenShards(tmp_path, tokenizer))[0].tokens) == 50
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("shard-00000.parquet, row group 0, cannot be read as token shard")
    path.unlink()
    refused("shard-00000.parquet, row group 0, cannot be read as token shard")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["shards"][0]["groups"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    refused("is not that of token shards")
