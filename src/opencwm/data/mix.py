"""Several datasets as one stream of documents: how much of each, and in which order.

    "runs/traces:0.3,runs/code:0.7" --mix--> Ingredients --shares--> shares of the tokens
    documents per stream --Cycle--> n -> (stream, index in it)

A mix is given as shares of the tokens (`FOLDER:0.3`) or as target epochs (`FOLDER@2`), and each follows from the other
(CWM, arXiv 2510.02387, section 4.2): of T tokens drawn, a dataset of U tokens with share p is read e = p T / U times,
and target epochs e give the share p = e U / T.

CWM draws the dataset of each document at random. Ours is a fixed cycle in which every stream comes at even distances:
after any number of documents each has had its share within one, and the n-th document follows from n alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opencwm.errors import ConfigError

SLOTS = 1 << 16
"""Of a cycle: shares of documents are exact to half of one in so many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingredient:
    """A dataset, and how much of it; neither share nor epochs where it is the only one and never ends."""

    folder: Path
    share: float | None = None
    """Of the tokens of the mix; shares are divided by their sum."""
    epochs: float | None = None
    """Times it is read by the end of the mix."""

    def __post_init__(self) -> None:
        if self.share is not None and self.epochs is not None:
            raise ConfigError(f"{self.folder} has a share and epochs", fix="give one of them")
        for name, value in (("share", self.share), ("number of epochs", self.epochs)):
            if value is not None and not (0 < value < math.inf):
                raise ConfigError(f"the {name} of {self.folder} is {value:g}: it must be over 0")

    @classmethod
    def from_text(cls, text: str) -> "Ingredient":
        """`FOLDER`, `FOLDER:share` or `FOLDER@epochs`."""
        for sign, name in ((":", "share"), ("@", "epochs")):
            folder, is_there, number = text.rpartition(sign)
            if is_there and folder:
                try:
                    return cls(folder=Path(folder), **{name: float(number)})
                except ValueError:  # the sign belongs to the folder's name
                    continue
        if not text:
            raise ConfigError("a mix needs a dataset folder", fix="name one, as in runs/traces:0.3,runs/code:0.7")
        return cls(folder=Path(text))

    def __str__(self) -> str:
        amount = "" if self.share is None else f":{self.share:g}"
        return f"{self.folder}{amount}" + ("" if self.epochs is None else f"@{self.epochs:g}")


Mix = tuple[Ingredient, ...]


def mix(*texts: str) -> Mix:
    """`mix("runs/traces:0.3", "runs/code:0.7")`."""
    return tuple(map(Ingredient.from_text, texts))


def shares(ingredients: Mix, num_tokens: Sequence[int]) -> list[float]:
    """The share of each dataset in the tokens of the mix, by its share or target epochs; they add up to 1."""
    if not ingredients:
        raise ConfigError("a mix needs a dataset folder", fix="name one, as in data=runs/traces")
    by_share = [each for each in ingredients if each.share is not None]
    by_epochs = [each for each in ingredients if each.epochs is not None]
    if len(ingredients) > 1 and len(ingredients) not in (len(by_share), len(by_epochs)):
        raise ConfigError(
            f"of {len(ingredients)} datasets, {len(by_share)} have a share and {len(by_epochs)} epochs",
            fix="give each a share, as in runs/a:0.3,runs/b:0.7, or each its epochs, as in runs/a@2,runs/b@1",
        )
    weights = [
        each.share if each.share is not None else (each.epochs or 1.0) * num
        for each, num in zip(ingredients, num_tokens, strict=True)
    ]
    return [weight / sum(weights) for weight in weights]


def epochs(shares: Sequence[float], num_tokens: Sequence[int], total: int) -> list[float]:
    """Times that each dataset is read when `total` tokens are drawn from the mix."""
    return [share * total / num for share, num in zip(shares, num_tokens, strict=True)]


class Cycle:
    """Streams taken in turn, in proportion to `rates`, at distances as even as they can be."""

    def __init__(self, rates: Sequence[float], *, slots: int = SLOTS) -> None:
        counts = _apportioned(rates, slots) if len(rates) > 1 else np.ones(1, dtype=np.int64)
        streams = np.repeat(np.arange(len(counts)), counts)
        ranks = np.concatenate([np.arange(count) for count in counts])
        order = np.lexsort((streams, (ranks + 0.5) / counts[streams]))
        self._counts: list[int] = counts.tolist()
        self._streams: list[int] = streams[order].tolist()
        self._ranks: list[int] = ranks[order].tolist()

    def __getitem__(self, n: int) -> tuple[int, int]:
        """The stream of the n-th document, and the document's index in it."""
        cycle, slot = divmod(n, len(self._streams))
        stream = self._streams[slot]
        return stream, cycle * self._counts[stream] + self._ranks[slot]


def _apportioned(rates: Sequence[float], slots: int) -> NDArray[np.int64]:
    """Whole slots in proportion to `rates`, by largest remainder, none without one."""
    wanted = np.asarray(rates, dtype=np.float64) / sum(rates) * slots
    counts = np.maximum(1, np.floor(wanted)).astype(np.int64)
    for stream in np.argsort(counts - wanted, kind="stable")[: max(0, slots - int(counts.sum()))]:
        counts[stream] += 1
    return counts
