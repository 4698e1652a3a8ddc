from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from opencwm.config import keys_of, override
from opencwm.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    rate: float = 0.5
    kind: Literal["adamw", "muon"] = "adamw"
    names: tuple[str, ...] = ()
    betas: tuple[float, float] = (0.9, 0.95)

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ConfigError(f"rate is {self.rate}: it must be positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    num_steps: int = 10
    inner: Inner = field(default_factory=Inner)
    folder: Path | None = None
    is_fast: bool = False
    limit: int | None = 3


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("num_steps=1_000", Outer(num_steps=1000)),
        ("inner.rate=2e-3", Outer(inner=Inner(rate=0.002))),
        ("inner.kind=muon", Outer(inner=Inner(kind="muon"))),
        ("inner.names=a,b", Outer(inner=Inner(names=("a", "b")))),
        ("inner.names=", Outer()),
        ("inner.betas=0.5,1", Outer(inner=Inner(betas=(0.5, 1.0)))),
        ("folder=runs/x", Outer(folder=Path("runs/x"))),
        ("folder=none", Outer()),
        ("limit=none", Outer(limit=None)),
        ("limit=4", Outer(limit=4)),
        ("is_fast=true", Outer(is_fast=True)),
    ],
)
def test_a_setting_replaces_its_field_only(setting, expected):
    assert override(Outer(), [setting]) == expected


def test_later_settings_win_and_the_original_stays():
    before = Outer()
    assert override(before, ["num_steps=1", "num_steps=2"]).num_steps == 2
    assert before == Outer()


@pytest.mark.parametrize(
    ("setting", "part_of_message", "part_of_fix"),
    [
        ("num_step=3", "num_step", "num_steps"),
        ("rate=3", "'rate'", "inner.rate"),
        ("inner.kindd=muon", "inner.kindd", "inner.kind"),
        ("num_steps.x=3", "num_steps.x", "num_steps"),
        ("num_steps", "not a setting", "num_steps=VALUE"),
        ("inner=3", "a group", "inner.rate"),
        ("inner.betas=0.5", "inner.betas=0.5", "2 values like a,b"),
        ("num_steps=many", "num_steps=many", "whole number"),
        ("inner.kind=sgd", "inner.kind=sgd", "adamw, muon"),
        ("is_fast=perhaps", "is_fast=perhaps", "true or false"),
        ("inner.rate=-1", "must be positive", ""),
    ],
)
def test_nonsense_is_refused_with_what_would_make_sense(setting, part_of_message, part_of_fix):
    with pytest.raises(ConfigError) as caught:
        override(Outer(), [setting])
    assert part_of_message in caught.value.sentence
    assert part_of_fix in caught.value.fix


def test_every_key_is_listed():
    assert list(keys_of(Outer())) == [
        "num_steps", "inner.rate", "inner.kind", "inner.names", "inner.betas", "folder", "is_fast", "limit",
    ]  # fmt: skip
