"""An endless stream of samples, each block of them a function of (seed, number) alone."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nitrogen_jax.data import worker_process
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.parser import samples
from nitrogen_jax.labeling.parser.samples import Samples
from nitrogen_jax.labeling.parser.scene_cache import SceneOptions, Scenes

GROUP = 8  # samples of a block that are of one scene
HELD_OUT = 1_000_000  # the first seed of skins that are never trained on


@dataclass(frozen=True)
class StreamOptions:
    """What a stream draws from.

    Attributes:
        made_up: how many made-up skins; their seeds are 0, 1, ...
        variants: places in which each skin is seen drawn.
        clips: skins of which there is a recorded clip.
        recorded: share of the samples that are of clips.
        block: samples that are made and mixed together, a multiple of 8.
    """

    made_up: int = 1000
    variants: int = 3
    clips: int = 600
    recorded: float = 0.3
    block: int = 512

    def check(self) -> StreamOptions:
        """Returns itself; raises one sentence about what makes no sense."""
        for name in ("made_up", "variants", "clips", "block"):
            if getattr(self, name) < 1:
                raise NitrogenError(f"data.stream.{name} is {getattr(self, name)}: 1 is the least")
        if self.block % GROUP:
            raise NitrogenError(
                f"data.stream.block is {self.block}, where a multiple of {GROUP} is needed"
            )
        if not 0 <= self.recorded <= 1:
            raise NitrogenError(
                f"data.stream.recorded is {self.recorded}, where a share of 0 to 1 is needed"
            )
        return self


def block(scenes: Scenes, options: StreamOptions, seed: int, number: int) -> Samples:
    """The samples of the block with this number, mixed."""
    rng = np.random.default_rng([seed, number])
    mixed: Samples = {}
    for rows in rng.permutation(options.block).reshape(-1, GROUP):
        recorded = rng.random() < options.recorded
        pool = min(options.clips, options.made_up) if recorded else options.made_up
        at = int(rng.integers(pool + len(scenes.skins)))
        skin = at if at < pool else pool - 1 - at
        if recorded:
            part = samples.from_recorded(scenes.recorded(skin, 0), rng, GROUP)
        else:
            scene = scenes.drawn(skin, int(rng.integers(options.variants)))
            part = samples.from_drawn(scene, rng, GROUP, scenes.grounds)
        part["clip"] = np.full(GROUP, skin, np.int32)
        for name, array in part.items():
            if name not in mixed:
                mixed[name] = np.empty((options.block, *array.shape[1:]), array.dtype)
            mixed[name][rows] = array
    return mixed


_MINE: dict[SceneOptions, Scenes] = {}  # of a worker process


def _work(options: SceneOptions, stream: StreamOptions, seed: int, number: int) -> Samples:
    if options not in _MINE:
        _MINE[options] = Scenes(options)
    return block(_MINE[options], stream, seed, number)


class Stream:
    """A source of batches for the trainer, see training/task.py.

    Attributes:
        position: samples that all hosts together have been given.
    """

    def __init__(
        self,
        options: SceneOptions,
        stream: StreamOptions,
        batch: int,
        *,
        seed: int,
        host: int = 0,
        hosts: int = 1,
        position: int = 0,
        workers: int = 0,
    ):
        """
        Args:
            batch: samples of all hosts.
            workers: processes that make blocks; 0: a thread of this one.
        """
        if batch % hosts:
            raise NitrogenError(
                f"stream: batch is {batch}, where a multiple of the {hosts} hosts is needed"
            )
        self.options, self.stream, self.batch, self.seed = options, stream.check(), batch, seed
        self.host, self.hosts, self.position = host, hosts, position
        if workers:
            self._pool: concurrent.futures.Executor = concurrent.futures.ProcessPoolExecutor(
                workers, multiprocessing.get_context("spawn"), initializer=worker_process.start
            )
        else:
            self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._ahead = max(2, workers + 1)
        self._asked: deque[tuple[int, concurrent.futures.Future]] = deque()
        self._have: dict[int, Samples] = {}

    def __iter__(self) -> Iterator[Samples]:
        return self

    def __next__(self) -> Samples:
        own = self.batch // self.hosts
        first = self.position + self.host * own
        numbers = np.arange(first, first + own)
        size = self.stream.block
        blocks = numbers // size
        for old in [n for n in self._have if n < blocks[0]]:
            del self._have[old]
        found = [
            {
                name: array[numbers[blocks == number] % size]
                for name, array in self._block(int(number)).items()
            }
            for number in np.unique(blocks)
        ]
        self.position += self.batch
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def _block(self, number: int) -> Samples:
        if number in self._have:
            return self._have[number]
        while self._asked and self._asked[0][0] < number:
            self._asked.popleft()[1].cancel()
        if not self._asked or self._asked[0][0] != number:
            self._asked.clear()
            self._ask(number)
        while len(self._asked) < self._ahead:
            self._ask(self._asked[-1][0] + 1)
        found = self._asked.popleft()[1].result()
        self._have[number] = found
        return found

    def _ask(self, number: int) -> None:
        future = self._pool.submit(_work, self.options, self.stream, self.seed, number)
        self._asked.append((number, future))

    def state(self) -> dict[str, Any]:
        return {"position": self.position}

    def provenance(self, batch: Mapping[str, np.ndarray], at: int) -> dict[str, Any]:
        return {"skin": int(batch["clip"][at])}

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Clips:
    """One pass over clips of made-up skins from a seed on, frame after frame.

    The last batch is filled up with samples that are not valid.
    """

    def __init__(
        self, scenes: Scenes, batch: int, first: int, number: int, host: int = 0, hosts: int = 1
    ):
        self.scenes, self.batch, self.first, self.number = scenes, batch, first, number
        self.host, self.hosts, self.position = host, hosts, 0
        self._items = self._batches()

    def _batches(self) -> Iterator[Samples]:
        waiting: list[Samples] = []
        for seed in range(self.first, self.first + self.number):
            part = samples.in_order(self.scenes.recorded(seed, 0))
            waiting.append({**part, "clip": np.full(len(part["valid"]), seed, np.int32)})
            while sum(len(one["valid"]) for one in waiting) >= self.batch:
                joined = {n: np.concatenate([w[n] for w in waiting]) for n in waiting[0]}
                yield {name: array[: self.batch] for name, array in joined.items()}
                waiting = [{name: array[self.batch :] for name, array in joined.items()}]
        joined = {n: np.concatenate([w[n] for w in waiting]) for n in waiting[0]}
        left = len(joined["valid"])
        if left:
            rows = np.arange(self.batch) % left
            filled = {name: array[rows] for name, array in joined.items()}
            filled["valid"] = np.arange(self.batch) < left
            yield filled

    def __iter__(self) -> Iterator[Samples]:
        return self

    def __next__(self) -> Samples:
        whole, own = next(self._items), self.batch // self.hosts
        self.position += self.batch
        return {name: x[self.host * own : (self.host + 1) * own] for name, x in whole.items()}

    def state(self) -> dict[str, Any]:
        return {"position": self.position}

    def provenance(self, batch: Mapping[str, np.ndarray], at: int) -> dict[str, Any]:
        return {"skin": int(batch["clip"][at])}

    def close(self) -> None:
        pass

    def __enter__(self) -> Clips:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class ParserData:
    """Made-up overlays as the data of a run, see training/task.py.

    Attributes:
        held_out: clips of skins that are never trained on, for validation.
        workers: processes that make samples; 0: a thread.
    """

    scenes: SceneOptions = field(default_factory=SceneOptions)
    stream: StreamOptions = field(default_factory=StreamOptions)
    held_out: int = 32
    workers: int = 0

    def fit(self, task: Any) -> Any:
        self.stream.check()
        return task.check()

    def open(
        self,
        task: Any,
        batch: int,
        *,
        seed: int,
        host: int = 0,
        hosts: int = 1,
        state: Mapping[str, Any] | None = None,
    ) -> Stream:
        """An endless stream of samples."""
        del task
        position = 0 if state is None else int(state["position"])
        return Stream(
            self.scenes, self.stream, batch, seed=seed, host=host, hosts=hosts, position=position,
            workers=self.workers,
        )  # fmt: skip

    def open_once(
        self, task: Any, batch: int, *, held_out: bool, host: int = 0, hosts: int = 1
    ) -> Clips | None:
        """One pass over clips of skins that are held out, or of those that are trained on."""
        del task
        if not self.held_out:
            return None
        first = HELD_OUT if held_out else 0
        number = self.held_out if held_out else min(self.held_out, self.stream.clips)
        return Clips(Scenes(self.scenes), batch, first, number, host, hosts)
