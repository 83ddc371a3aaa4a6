"""The order in which samples are seen: a pure function of (seed, global index).

A chunk's samples are cut into *runs* of `run` samples. What is left over of chunks is joined into
runs too. Runs are shuffled, and `window` lanes play them: sample i is the one that lane
i % window plays in its round i // window. So a batch holds samples of `window` different runs,
while each run is read and decoded once, by one process: if hosts times workers divides `window`,
every process meets only its own lanes, whatever their number.

    turn n:  lane 0 plays run order[n * window], lane 1 run order[n * window + 1], ...
             for `run` rounds; then turn n + 1 begins

The last turn of an epoch may have fewer samples: they are dealt out to the lanes in equal shares,
a lane's one after the other, so that it meets two runs at most.

`spread` says how far apart the samples of a run are: a run takes every one of its samples out of
a stretch of `spread` runs' worth of consecutive ones. 1 reads least, more mixes better.

An epoch of finite passes holds each sample exactly once. An endless stream repeats less than one
run of each epoch, so that all its runs are equally long.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import grain.experimental
import numpy as np

from nitrogen_jax.errors import NitrogenError

VERSION = 1  # to be raised when a position leads to other samples than before
SMALL = 1 << 12  # fewer runs are shuffled in memory: for few, index_shuffle takes milliseconds
PERIOD = 10_000  # runs after which a weighted mixture has met its weights exactly


@dataclass(frozen=True)
class Shuffle:
    """How samples are mixed.

    Attributes:
        window: lanes, which is how many chunks are open at a time, over all hosts.
        run: samples that are taken from a chunk each time it is opened.
        spread: runs' worth of neighbouring samples that a run is drawn from.
    """

    seed: int = 0
    window: int = 64
    run: int = 32
    spread: int = 2

    def check(self) -> Shuffle:
        """Returns itself; raises one sentence where a number makes no sense."""
        for name in ("window", "run", "spread"):
            if getattr(self, name) < 1:
                raise NitrogenError(
                    f"shuffle: {name} is {getattr(self, name)}, where at least 1 is needed"
                )
        if self.seed < 0:
            raise NitrogenError(f"shuffle: seed is {self.seed}, where at least 0 is needed")
        return self


class Place(NamedTuple):
    """Where a global index leads: sample `at` of the run that is number `run` in playing order."""

    run: int
    at: int


class Run(NamedTuple):
    """Which samples a run holds: of chunk chunks[j] its sample samples[j]."""

    chunks: np.ndarray  # (n,) int64
    samples: np.ndarray  # (n,) int64, counted within the chunk


class Runs:
    """The runs of one group of chunks, epoch after epoch."""

    def __init__(self, counts: np.ndarray, shuffle: Shuffle, group: int = 0):
        """counts: (C,) samples of each chunk."""
        self.shuffle, self.group = shuffle, group
        self.counts = np.asarray(counts, np.int64)
        self.full_ends = np.cumsum(self.counts // shuffle.run)
        self.rest_ends = np.cumsum(self.counts % shuffle.run)
        self.samples = int(self.counts.sum())
        self.full = int(self.full_ends[-1]) if len(self.counts) else 0
        rest = int(self.rest_ends[-1]) if len(self.counts) else 0
        self.rest, self.short = rest, rest % shuffle.run
        self.count = self.full + -(-rest // shuffle.run)

    def get(self, number: int, padded: bool) -> Run:
        """A run of an endless stream: number counts on over epochs.

        Args:
            padded: fill the short last run of an epoch from its own group's leftovers.
        """
        epoch, at = divmod(number, self.count)
        even = self.count - bool(self.short)  # the short run is always the last of an epoch
        if at < even:
            at = _shuffled(at, even, _word(self.shuffle.seed, self.group, epoch))
        return self._full(at, epoch) if at < self.full else self._rest(at, epoch, padded)

    def _full(self, at: int, epoch: int) -> Run:
        chunk = int(np.searchsorted(self.full_ends, at, side="right"))
        piece = at - (int(self.full_ends[chunk - 1]) if chunk else 0)
        run = self.shuffle.run
        samples = self._arranged(chunk, epoch)[piece * run : (piece + 1) * run]
        return Run(np.full(run, chunk), samples)

    def _rest(self, at: int, epoch: int, padded: bool) -> Run:
        run = self.shuffle.run
        begin = (at - self.full) * run
        places = np.arange(begin, begin + run)
        places = places % self.rest if padded else places[places < self.rest]
        chunks = np.searchsorted(self.rest_ends, places, side="right")
        samples = np.empty(len(places), np.int64)
        for chunk in np.unique(chunks):
            here = chunks == chunk
            first = int(self.rest_ends[chunk]) - int(self.counts[chunk]) % run
            tail = self._arranged(int(chunk), epoch)[self.counts[chunk] // run * run :]
            samples[here] = tail[places[here] - first]
        # NOTE: samples of one chunk lie together here; played so, they would follow each other.
        order = _generator(self.shuffle.seed, self.group, epoch, at).permutation(len(places))
        return Run(chunks[order], samples[order])

    def _arranged(self, chunk: int, epoch: int) -> np.ndarray:
        """The samples of a chunk in the order in which runs are cut from them."""
        count, stretch = int(self.counts[chunk]), self.shuffle.run * self.shuffle.spread
        draw = _generator(self.shuffle.seed, self.group, epoch, chunk + (1 << 32))
        arranged = np.roll(np.arange(count), int(draw.integers(count)))
        for begin in range(0, count, stretch):
            arranged[begin : begin + stretch] = draw.permutation(arranged[begin : begin + stretch])
        return arranged


class Pass:
    """All samples of a group exactly once, `epochs` times."""

    def __init__(self, runs: Runs, epochs: int):
        self.runs, self.epochs = runs, epochs
        self.length: int | None = runs.samples * epochs

    def place(self, index: int) -> Place:
        """Where a global index leads."""
        window, run = self.runs.shuffle.window, self.runs.shuffle.run
        epoch, index = divmod(index, self.runs.samples)
        turn, at = divmod(index, window * run)
        round_, lane = divmod(at, window)
        # In a whole turn a lane's share is a run. The short run of an epoch comes last of all.
        share, more = divmod(min(self.runs.samples - turn * window * run, window * run), window)
        behind, at = divmod(lane * share + min(lane, more) + round_, run)
        return Place(epoch * self.runs.count + turn * window + behind, at)

    def get(self, run: int) -> tuple[int, Run]:
        """(group, a run by its number in playing order)."""
        return self.runs.group, self.runs.get(run, padded=False)

    def next_run(self, run: int) -> int | None:
        """What the lane of a run plays next; None where the next turn is not a whole one."""
        shuffle = self.runs.shuffle
        whole = self.runs.samples // (shuffle.window * shuffle.run) * shuffle.window
        return run + shuffle.window if run % self.runs.count + shuffle.window < whole else None

    def turn(self, run: int) -> int:
        """The first run of the turn of a run: those before it have been played."""
        return run - run % self.runs.count % self.runs.shuffle.window


class Endless:
    """Runs of several groups without end, in the shares of their weights."""

    length: int | None = None

    def __init__(self, groups: Mapping[int, Runs], weights: Mapping[int, float], shuffle: Shuffle):
        self.groups, self.shuffle = groups, shuffle
        self.names = list(groups)
        self.ends = np.cumsum(_apportion([weights[name] for name in self.names], PERIOD))

    def place(self, index: int) -> Place:
        """Where a global index leads."""
        window, run = self.shuffle.window, self.shuffle.run
        turn, at = divmod(index, window * run)
        round_, lane = divmod(at, window)
        return Place(turn * window + lane, round_)

    def get(self, run: int) -> tuple[int, Run]:
        """(group, a run by its number in playing order)."""
        if len(self.names) == 1:
            return self.names[0], self.groups[self.names[0]].get(run, padded=True)
        period, at = divmod(run, PERIOD)
        at = _shuffled(at, PERIOD, _word(self.shuffle.seed, period, 1 << 33))
        which = int(np.searchsorted(self.ends, at, side="right"))
        begin = int(self.ends[which - 1]) if which else 0
        share = int(self.ends[which]) - begin
        name = self.names[which]
        return name, self.groups[name].get(period * share + at - begin, padded=True)

    def next_run(self, run: int) -> int | None:
        """What the lane of a run plays next."""
        return run + self.shuffle.window

    def turn(self, run: int) -> int:
        """The first run of the turn of a run: those before it have been played."""
        return run - run % self.shuffle.window


Order = Pass | Endless


def _apportion(weights: list[float], total: int) -> np.ndarray:
    """Whole numbers that sum to `total`, nearest to the weights' shares and at least 1 each."""
    shares = np.asarray(weights, float) / sum(weights) * total
    whole = np.maximum(np.floor(shares).astype(np.int64), 1)
    left = total - int(whole.sum())
    if left < 0:  # for those that would have had none
        whole[np.argmax(whole)] += left
    else:
        whole[np.argsort(whole - shares, kind="stable")[:left]] += 1
    return whole


def _shuffled(at: int, count: int, seed: int) -> int:
    """Where number `at` of `count` is put by the shuffle of this seed."""
    if count <= SMALL:
        return int(_permutation(count, seed)[at])
    # NOTE: with Grain's usual 4 rounds, numbers 256 or 512 apart stay neighbours.
    return grain.experimental.index_shuffle(at, max_index=count - 1, seed=seed, rounds=16)


@functools.lru_cache(maxsize=64)
def _permutation(count: int, seed: int) -> np.ndarray:
    return _generator(seed).permutation(count)


@functools.lru_cache(maxsize=1024)
def _word(*seeds: int) -> int:
    """A number of 32 bits out of some numbers."""
    return int(np.random.SeedSequence(seeds).generate_state(1)[0])


def _generator(*seeds: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))
