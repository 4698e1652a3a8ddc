"""Token shards hold what they are made of, and a killed process loses nothing."""

import gzip
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from half_program import HALF
from hypothesis import given, settings
from hypothesis import strategies as st

from opencwm import record
from opencwm.chat import Turn, encode
from opencwm.data.dataset import read_manifest
from opencwm.data.loader import Loader, LoaderConfig
from opencwm.data.mix import mix
from opencwm.data.pack import PackState
from opencwm.data.token_shards import Message, TokenDocument, TokenShards, length_class, write_manifest, write_shard
from opencwm.data.tokenise import TokensConfig, chat_document, text_document, tokenise
from opencwm.errors import ConfigError, DataError
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import Row, write_parquet
from opencwm.trace.tokens import render_frames

CHAT = [
    {"role": "system", "content": "Fix it."},
    {"role": "assistant", "author": "agent", "content": "<|reasoning_thinking_start|>Hm.<|reasoning_thinking_end|>ls"},
    {"role": "tool: bash", "author": "environment", "content": "  a.py <|reasoning_thinking_start|>\n"},
    {"role": "assistant", "author": "agent", "content": "no", "trained": False},
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    Tokenizer.train([HALF], 300).save(folder)
    return folder


def documents_of(folder, tokenizer):
    shards = TokenShards(folder, Tokenizer.load(tokenizer))
    return [
        rows.document(row)
        for group, told in enumerate(shards.groups)
        for rows in [shards.read(group)]
        for row in range(told.num_documents)
    ]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(2, 5000), st.integers(1, 4), st.booleans()), min_size=1, max_size=30))
def test_a_shard_holds_its_documents_in_groups_of_about_one_length(tmp_path_factory, made):
    folder = tmp_path_factory.mktemp("shard")
    documents = []
    for number, (size, parts, is_trained) in enumerate(made):
        cuts = [size // parts] * (parts - 1) + [size - size // parts * (parts - 1)]
        messages = tuple(Message(f"author {i}", num, is_trained or i % 2 == 0) for i, num in enumerate(cuts))
        documents.append(TokenDocument(np.arange(number, number + size, dtype=np.int32), messages))
    tokenizer = TokenizerLike()
    told = write_shard(folder / "shard-00000.parquet", [*documents, TokenDocument(np.ones(1, np.int32), ())])
    manifest = write_manifest(folder, {"shard-00000.parquet": told}, tokenizer, in_order=False)
    assert manifest["num_tokens"] == sum(size for size, _, _ in made)
    shards = TokenShards(folder, tokenizer)
    found = []
    for number, group in enumerate(shards.groups):
        rows = shards.read(number)
        sizes = [rows.num_tokens(row) for row in range(group.num_documents)]
        assert len({length_class(size) for size in sizes}) == 1
        assert (sum(sizes), max(sizes)) == (group.num_tokens, group.longest)
        found += [rows.document(row) for row in range(group.num_documents)]
    key = lambda document: (int(document.tokens[0]), len(document.tokens))  # noqa: E731
    for one, other in zip(sorted(found, key=key), sorted(documents, key=key), strict=True):
        assert np.array_equal(one.tokens, other.tokens)
        assert one.messages == other.messages


class TokenizerLike:
    digest = "mine"


@pytest.mark.parametrize(("size", "power"), [(2, 7), (129, 7), (130, 8), (16_385, 14), (16_386, 15), (65_537, 16)])
def test_the_paper_s_buckets_begin_where_classes_do(size, power):
    assert length_class(size) == power


def test_every_kind_of_source_becomes_documents(tmp_path, tokenizer):
    own = Tokenizer.load(tokenizer)
    trace = record(HALF, call="g([3, 4])")
    (tmp_path / "traces").mkdir()
    write_parquet(tmp_path / "traces" / "shard-00000.parquet", [Row.of(trace)])
    manifest = {"num_traces": 1, "shards": [{"file": "shard-00000.parquet", "num_traces": 1}]}
    (tmp_path / "traces" / "manifest.json").write_text(json.dumps(manifest))
    texts = tmp_path / "texts"
    (texts / "sub").mkdir(parents=True)
    (texts / "sub" / "a.py").write_text("x = 1\n")
    (texts / "empty.py").write_text(" \n")
    (texts / "image.png").write_bytes(b"\xff")
    (texts / "z.jsonl.gz").write_bytes(gzip.compress(json.dumps({"text": "<|eot_id|>\ud800"}).encode() + b"\n\n"))
    steps = [{"author": "agent", "tokens": [5, 6, 7]}, {"author": "environment", "tokens": [8, 9]}]
    steps += [{"author": "user", "tokens": [4]}, {"author": "agent", "tokens": [3], "trained": False}]
    lines = [{"messages": CHAT}, {"trajectory": steps}]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = TokensConfig(sources=(tmp_path / "traces", texts, tmp_path / "chats.jsonl"), tokenizer=tokenizer)
    tokenise(config, tmp_path / "out")
    found = {bytes(document.tokens): document for document in documents_of(tmp_path / "out", tokenizer)}
    assert len(found) == 5
    trajectory = found[np.asarray([5, 6, 7, 8, 9, 4, 3], np.int32).tobytes()]
    assert [message.is_trained for message in trajectory.messages] == [True, True, False, False]
    assert [message.num_tokens for message in trajectory.messages] == [3, 2, 1, 1]
    rendered = render_frames(trace, own)
    told = found[np.asarray(rendered.ids, np.int32).tobytes()]
    assert [message.is_trained for message in told.messages] == [False, True]
    assert told.messages[0].num_tokens == rendered.context_end
    for document in (text_document("x = 1\n", own), text_document("<|eot_id|>\ud800", own), chat_document(CHAT, own)):
        assert found[document.tokens.tobytes()].messages == document.messages
    assert own.special["eot_id"] not in text_document("<|eot_id|>", own).tokens
    assert own.decode(text_document("x = 1\n", own).tokens) == "<|begin_of_text|>x = 1\n<|end_of_text|>"


def test_a_chat_is_the_prompt_that_a_server_makes_and_what_was_answered(tokenizer):
    own = Tokenizer.load(tokenizer)
    document = chat_document(CHAT, own)
    ids, special = document.tokens.tolist(), own.special
    turns = [Turn(role=message["role"], content=message["content"]) for message in CHAT[:1]]
    asked = encode(turns, own)
    answer = [special["reasoning_thinking_start"], *own.encode("Hm."), special["reasoning_thinking_end"]]
    answer += [*own.encode("ls"), special["eot_id"]]
    assert ids[: len(asked) + len(answer)] == asked + answer
    assert ids.count(special["reasoning_thinking_start"]) == 1
    assert sum(message.num_tokens for message in document.messages) == len(ids)
    trained = [message.author for message in document.messages if message.is_trained]
    assert trained == ["agent", "environment"]
    authors = [message.author for message in document.messages]
    assert authors == ["system", "system", "system", "system", "agent", "system", "environment", "system", "agent"]


def test_what_is_no_source_is_refused_in_one_sentence(tmp_path, tokenizer):
    def refused(source, match, error=ConfigError):
        with pytest.raises(error, match=match):
            tokenise(TokensConfig(sources=(source,), tokenizer=tokenizer), tmp_path / "out")

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "nothing", "does not exist")
    refused(tmp_path / "empty", "holds no files to read")
    wrong = [
        "{",
        '{"messages": [{"role": "user"}]}',
        '{"messages": [{"role": 1, "content": ""}]}',
        '{"trajectory": [{"author": "agent", "tokens": [5, 300]}]}',
        '{"trajectory": [{"author": "agent", "tokens": [1099511627776]}]}',
        '{"trajectory": []}',
    ]
    for number, line in enumerate(wrong):
        path = tmp_path / f"{number}.jsonl"
        path.write_text('{"text": "fine"}\n' + line)
        with pytest.raises(DataError, match="line 2: no text, messages or trajectory"):
            tokenise(TokensConfig(sources=(path,), tokenizer=tokenizer), tmp_path / f"out{number}")
    (tmp_path / "a.txt").write_text("a b c")
    tokenise(TokensConfig(sources=(tmp_path / "a.txt",), tokenizer=tokenizer), tmp_path / "done")
    refused(tmp_path / "done", "holds tokens already")
    with pytest.raises(ConfigError, match="begun with other sources"):
        tokenise(TokensConfig(sources=(tmp_path / "0.jsonl",), tokenizer=tokenizer), tmp_path / "done")


KILLED = """
import sys
from pathlib import Path
import opencwm.data.tokenise as t
t.SHARD_BYTES = 1
config = t.TokensConfig(sources=tuple(sorted(Path("texts").glob("*.jsonl"))), tokenizer=Path(sys.argv[1]))
t.tokenise(config, Path(sys.argv[2]), say=lambda line: print(line, flush=True))
"""


def test_a_killed_tokeniser_goes_on_and_ends_with_the_same_bytes(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("opencwm.data.tokenise.SHARD_BYTES", 1)
    (tmp_path / "texts").mkdir()
    for number in range(12):
        (tmp_path / "texts" / f"{number:02d}.jsonl").write_text(json.dumps({"text": f"x = {number}\n" * 2000}) + "\n")
    command = [sys.executable, "-c", KILLED, str(tokenizer), "killed"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if line.startswith("shard-00003"):
                running.kill()
    assert running.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "manifest.json").exists()
    monkeypatch.chdir(tmp_path)
    config = TokensConfig(sources=tuple(sorted(Path("texts").glob("*.jsonl"))), tokenizer=tokenizer)
    said = []
    tokenise(config, Path("killed"), say=said.append)
    tokenise(config, Path("alone"))
    assert "of 12 shards are there already" in said[0]
    assert read_manifest(Path("killed")) == read_manifest(Path("alone"))
    for path in Path("alone").glob("*.parquet"):
        assert path.read_bytes() == (Path("killed") / path.name).read_bytes()


DRAWN = """
import json, sys, time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from opencwm.data.loader import Loader, LoaderConfig
from opencwm.data.mix import mix
from opencwm.data.pack import PackState
from opencwm.tokenizer import Tokenizer
tokenizer, data, rank, num_ranks, count, state = sys.argv[1:]
config = LoaderConfig(mix=mix(data), seq_len=256, num_rows=4, seed=3)
loader = Loader(config, Tokenizer.load(tokenizer), rank=int(rank), num_ranks=int(num_ranks))
for batch, after in islice(loader(PackState.from_dict(json.loads(state))), int(count)):
    print(json.dumps([batch.inputs.tolist(), batch.trained.tolist(), asdict(after)]), flush=True)
time.sleep(60)
"""


def test_killed_ranks_go_on_at_another_number_of_ranks_as_if_nothing_had_happened(tmp_path, tokenizer):
    """Two real processes, killed at different moments, then one: together what one alone draws."""
    lines = [json.dumps({"text": f"y = {number}\n" * (number % 40 + 1)}) for number in range(300)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    tokenise(TokensConfig(sources=(tmp_path / "texts.jsonl",), tokenizer=tokenizer), tmp_path / "tokens")
    config = LoaderConfig(mix=mix(str(tmp_path / "tokens")), seq_len=256, num_rows=4, seed=3)
    own = Tokenizer.load(tokenizer)
    alone = list(islice(Loader(config, own)(PackState()), 30))
    seen, beginning = [], json.dumps(asdict(PackState()))
    for rank, count in ((0, 9), (1, 7)):
        argv = [str(tokenizer), str(tmp_path / "tokens"), str(rank), "2", str(count), beginning]
        with subprocess.Popen([sys.executable, "-c", DRAWN, *argv], stdout=subprocess.PIPE, text=True) as running:
            seen.append([json.loads(line) for line in islice(running.stdout, count)])
            os.kill(running.pid, signal.SIGKILL)
    for number, (first, second) in enumerate(zip(*seen, strict=False)):
        assert first[0] + second[0] == alone[number][0].inputs.tolist()
        assert first[1] + second[1] == alone[number][0].trained.tolist()
        assert first[2] == second[2]
    reached = PackState.from_dict(seen[1][-1][2])
    resumed = list(islice(Loader(config, own)(reached), 23))
    for (batch, after), (expected, state) in zip(resumed, alone[7:], strict=True):
        assert np.array_equal(batch.inputs, expected.inputs)
        assert after == state
