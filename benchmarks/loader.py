"""Documents and tokens per CPU second: our loader, torch's DataLoader, `datasets`, and PyArrow's plain reading.

    python benchmarks/loader.py [--documents 8000] [--rounds 5] [--datasets]

All read the same token shards of random documents, in this process, in turns; a ratio is the median over the rounds of
ours to theirs. `pyarrow` reads every row group in order and makes nothing of it: a bound, not a peer. `DataLoader`
draws documents in random order (a map-style dataset with a cache of as many row groups as ours holds; up to some 8,000
documents all fit in it, with more it reads a group for nearly every document) and `datasets` streams them through a
shuffle buffer of as many documents. Both are packed by the packing that ours uses: what is compared is how documents
are ordered and read. There are no worker processes: CPU seconds of this one tell what each costs, also on a machine
that others use. Ours can go on from any row; what that costs is printed as `resume`.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import torch

from opencwm.data.documents import WINDOW
from opencwm.data.loader import Loader, LoaderConfig
from opencwm.data.mix import mix
from opencwm.data.pack import Document, PackState, batches, pack
from opencwm.data.token_shards import Message, TokenDocument, write_manifest, write_shard

TOKENIZER = SimpleNamespace(special={}, pad_id=0, digest="benchmark")
Counts = tuple[int, int]
"""Documents and tokens."""


def write(folder: Path, num_documents: int, per_shard: int = 10_000) -> None:
    """Documents of 2 to some thousands of tokens, log-normal, as traces are."""
    rng = np.random.default_rng(0)
    sizes = np.clip(rng.lognormal(6.5, 0.8, num_documents), 2, 8192).astype(int)
    shards = {}
    for shard, start in enumerate(range(0, num_documents, per_shard)):
        name = f"shard-{shard:05d}.parquet"
        shards[name] = write_shard(
            folder / name,
            (
                TokenDocument(rng.integers(1, 1024, size).astype(np.int32), (Message("text", int(size), True),))
                for size in sizes[start : start + per_shard]
            ),
        )
    write_manifest(folder, shards, TOKENIZER, in_order=False)


def plain(folder: Path) -> Counts:
    documents = tokens = 0
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                column = file.read_row_group(group, columns=["tokens"])["tokens"]
                documents += len(column)
                tokens += sum(len(chunk.values) for chunk in column.chunks)
    return documents, tokens


def ours(folder: Path, args: argparse.Namespace, state: PackState | None = None) -> Counts:
    config = LoaderConfig(mix=mix(f"{folder}@1"), seq_len=args.seq_len, num_rows=args.num_rows)
    return counted(batch for batch, _ in Loader(config, TOKENIZER)(state or PackState()))


class OneByOne(torch.utils.data.Dataset):
    """What one writes by hand: a document by its number, the row groups read last kept."""

    def __init__(self, folder: Path) -> None:
        self.files = [pq.ParquetFile(path) for path in sorted(folder.glob("*.parquet"))]
        self.groups = [(file, group) for file in self.files for group in range(file.num_row_groups)]
        self.ends = np.cumsum([file.metadata.row_group(group).num_rows for file, group in self.groups])
        self.read = lru_cache(maxsize=WINDOW)(self._read)

    def _read(self, number: int):
        file, group = self.groups[number]
        return file.read_row_group(group, columns=["tokens"])["tokens"].combine_chunks()

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int):
        number = int(np.searchsorted(self.ends, index, side="right"))
        return self.read(number)[index - (int(self.ends[number - 1]) if number else 0)].values.to_numpy()


def dataloader(folder: Path, args: argparse.Namespace) -> Counts:
    generator = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(OneByOne(folder), batch_size=None, shuffle=True, generator=generator)
    return packed((np.asarray(tokens) for tokens in loader), args)


def hugging_face(folder: Path, args: argparse.Namespace) -> Counts:
    from datasets import load_dataset

    files = [str(path) for path in sorted(folder.glob("*.parquet"))]
    stream = load_dataset("parquet", data_files=files, split="train", streaming=True, columns=["tokens"])
    per_group = int(OneByOne(folder).ends[-1] / len(OneByOne(folder).groups))
    shuffled = stream.with_format("numpy").shuffle(seed=0, buffer_size=WINDOW * per_group)
    return packed((row["tokens"].astype(np.int32) for row in shuffled), args)


def packed(stream: Iterator[np.ndarray], args: argparse.Namespace) -> Counts:
    """Rows and batches of a stream of documents, by the same code as ours."""
    held: list[Document] = []

    class Documents:
        def __getitem__(self, index: int) -> Document:
            while index >= len(held):
                tokens = next(stream, None)
                if tokens is None:
                    raise IndexError(index)
                held.append(Document(tokens, 1))
            return held[index]

    rows = pack(Documents(), args.seq_len, pad_id=0)  # type: ignore[arg-type]
    return counted(batch for batch, _ in batches(rows, args.num_rows))


def counted(found) -> Counts:
    documents = tokens = 0
    for batch in found:
        documents += len(batch.lengths)
        tokens += int(batch.trained.sum())
    return documents, tokens


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=8_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seq-len", type=int, default=8192)
    parser.add_argument("--num-rows", type=int, default=8)
    parser.add_argument("--datasets", action="store_true", help="Hugging Face's, too: pip install datasets.")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, args.documents)
        sides: dict[str, Callable[[], Counts]] = {
            "ours": lambda: ours(folder, args),
            "DataLoader": lambda: dataloader(folder, args),
            "pyarrow": lambda: plain(folder),
        }
        if args.datasets:
            sides["datasets"] = lambda: hugging_face(folder, args)
        rates: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(args.rounds):
            for side, read in sides.items():
                started = time.process_time()
                documents, tokens = read()
                seconds = time.process_time() - started
                rates[side].append(tokens / seconds)
                print(
                    f"{side:12} {documents / seconds:10,.0f} documents {tokens / seconds:12,.0f} tokens per CPU second",
                    flush=True,
                )
        for side in sides:
            if side != "ours":
                ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates[side], strict=True))
                print(f"ours / {side}: {ratio:.2f}")
        config = LoaderConfig(mix=mix(f"{folder}@1"), seq_len=args.seq_len, num_rows=args.num_rows)
        states = [state for _, state in Loader(config, TOKENIZER)(PackState())]
        started = time.process_time()
        next(Loader(config, TOKENIZER)(states[len(states) // 2]))
        resumed = time.process_time() - started
        started = time.process_time()
        list(islice(Loader(config, TOKENIZER)(PackState()), len(states) // 2))
        again = time.process_time() - started
        print(f"resume: {resumed * 1e3:.0f} ms to the first batch from the middle; reading up to it {again:.1f} s")


if __name__ == "__main__":
    main()
