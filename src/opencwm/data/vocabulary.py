"""A tokenizer of one's own, trained on the traces of a dataset."""

from pathlib import Path

from opencwm.errors import ConfigError
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_traces
from opencwm.trace.recording.frame import Trace
from opencwm.trace.text import render_text


def train_tokenizer(folder: Path, out: Path, *, vocab_size: int = 1024, num_traces: int = 8000) -> Tokenizer:
    """Train on traces spread evenly over the shards of `folder` and save to `out`.

    Traces that hold the text of a special token are left out: they have no text form.
    """
    texts = [render_text(trace) for trace in spread(folder, num_traces) if not trace.header["truncated"]["frames"]]
    tokenizer = Tokenizer.train(texts, vocab_size)
    tokenizer.save(out)
    return tokenizer


def spread(folder: Path, num_traces: int) -> list[Trace]:
    """Up to `num_traces` traces, as many from each shard."""
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise ConfigError(f"{folder} holds no shards", fix="build it with `opencwm data build`")
    each = -(-num_traces // len(paths))
    return [trace for path in paths for trace in list(read_traces(path))[:each]][:num_traces]
