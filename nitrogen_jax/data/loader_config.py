"""What a loader loads: data sets, context, weights, order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nitrogen_jax.data import window_index
from nitrogen_jax.data.order import Shuffle
from nitrogen_jax.errors import NitrogenError

REST = "*"  # in game weights: all games that are not named


@dataclass(frozen=True)
class Dataset:
    """One split of a folder of records, through one of its indices."""

    folder: str
    split: str = "train"
    index: str = window_index.DEFAULT
    weight: float | None = None  # its share of the samples; None, for all: by their number


@dataclass(frozen=True)
class LoaderConfig:
    """What is loaded. Everything but `batch` decides the order or the samples.

    Attributes:
        batch: samples of all hosts together.
        frames: context frames of a sample.
        spacing: control steps between two of them.
        size: pixels a side, as in the records.
        games: names whose place, counted from 1, is the game id; others have 0. None: all names
            in the data sets, sorted.
        game_weights: game -> its share of the samples; "*" is all others. None: by their number.
        epochs: passes over all samples; None: an endless stream.
    """

    datasets: tuple[Dataset, ...]
    batch: int = 32
    frames: int = 1
    spacing: int = 18
    size: int = 256
    games: tuple[str, ...] | None = None
    game_weights: Mapping[str, float] | None = None
    shuffle: Shuffle = field(default_factory=Shuffle)
    epochs: int | None = None

    def check(self) -> LoaderConfig:
        """Returns itself; raises one sentence where something makes no sense."""
        self.shuffle.check()
        if not self.datasets:
            raise NitrogenError("loader: no data set is given, where at least one is needed")
        for name in ("batch", "frames", "spacing", "size"):
            if getattr(self, name) < 1:
                raise NitrogenError(f"loader: {name} is {getattr(self, name)}: 1 is the least")
        if self.epochs is not None and self.epochs < 1:
            raise NitrogenError(f"loader: epochs is {self.epochs}: 1 is the least, None no end")
        given = [one.weight for one in self.datasets]
        if any(w is not None for w in given) and None in given:
            raise NitrogenError("loader: some data sets have a weight and some do not")
        weights = [w for w in given if w is not None] + list((self.game_weights or {}).values())
        if not all(0 <= w < float("inf") for w in weights) or (weights and not sum(weights)):
            raise NitrogenError(
                f"loader: weights are {weights}, where numbers from 0 on are needed"
            )
        if weights and self.epochs is not None:
            raise NitrogenError("loader: weights have no meaning in whole passes: epochs is None")
        if self.game_weights and None not in given:
            raise NitrogenError("loader: weights of data sets and of games exclude each other")
        return self
