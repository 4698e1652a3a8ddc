"""Near duplicates among programs: MinHash signatures, and a locality-sensitive index over them (`datasketch`).

    source --5-token shingles--> signature (bytes) --NearDuplicates.is_new--> kept | dropped

Two programs are near duplicates when their signatures agree in at least `threshold` of their places, which estimates
the Jaccard similarity of their shingles (The Stack, arXiv 2211.15533: 5-grams and 0.85; its 256 permutations are 128
here). Tokens are Python's, without comments and docstrings, so traces of one program on many inputs are one program.
Signatures, candidates and verdicts depend on the programs and their order only.

Left out: near duplicates among the traces of one program (`inputs.choose` sees to those).
"""

from functools import lru_cache
from typing import Any

from opencwm.data.lexemes import lexemes
from opencwm.errors import ConfigError

SHINGLE = 5
NUM_PERM = 128
SEED = 1


def signature(source: str) -> bytes:
    """The MinHash signature of a program: `NUM_PERM` little-endian 32-bit numbers."""
    tokens = lexemes(source)
    grams = {" ".join(tokens[i : i + SHINGLE]).encode() for i in range(max(1, len(tokens) - SHINGLE + 1))}
    minhash = _empty().copy()
    minhash.update_batch(sorted(grams))
    values: bytes = minhash.hashvalues.astype("<u4").tobytes()
    return values


class NearDuplicates:
    """Remembers the signatures that were new; those near to one of them are not."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._index = _datasketch().MinHashLSH(threshold=threshold, num_perm=NUM_PERM)
        self._kept: dict[bytes, Any] = {}

    def is_new(self, values: bytes) -> bool:
        """Whether nothing remembered is near; if so, this is remembered too."""
        if values in self._kept:
            return False
        minhash = _minhash(values)
        if any(self._kept[other].jaccard(minhash) >= self.threshold for other in self._index.query(minhash)):
            return False
        self._kept[values] = minhash
        self._index.insert(values, minhash)
        return True


def _minhash(values: bytes) -> Any:
    import numpy as np

    minhash = _empty().copy()
    minhash.hashvalues = np.frombuffer(values, dtype="<u4").astype(minhash.hashvalues.dtype)
    return minhash


@lru_cache(maxsize=1)
def _empty() -> Any:
    """What all signatures start from: making the permutations is most of the work."""
    return _datasketch().MinHash(num_perm=NUM_PERM, seed=SEED)


def _datasketch() -> Any:
    try:
        import datasketch
    except ImportError as exc:
        raise ConfigError("near duplicates need datasketch", fix="pip install 'opencwm[data]'") from exc
    return datasketch
