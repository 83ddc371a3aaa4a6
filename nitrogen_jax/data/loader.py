"""Batches for training, out of records: a Grain pipeline around the order of `order.py`.

Host h of H is given every H-th sample of the order, beginning with the h-th; so is, of these,
each of its worker processes. What a host delivers depends neither on how many workers it has nor
on the size of its batches, and the position is one number: samples delivered to all hosts. A
stream taken up at a position with other batches, workers or hosts goes on with the same samples.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import absl.flags
import grain
import grain.experimental
import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import control, order, stored_frames, window_index
from nitrogen_jax.data.chunk_reader import ChunkReader, Context, Samples
from nitrogen_jax.data.order import Shuffle
from nitrogen_jax.data.ring import Ring
from nitrogen_jax.errors import NitrogenError

# NOTE: Grain's processes read absl's flags, which nobody parses here and which then raise.
# Workers import this module before they begin.
if not absl.flags.FLAGS.is_parsed():
    absl.flags.FLAGS.mark_as_parsed()

log = logging.getLogger(__name__)

GROUP = 32  # samples that a worker hands over at once, at most
SPARE_SLOTS = 4  # of a ring: being filled, waiting, being copied, and one more
ENDLESS = 1 << 60  # samples
LARGE = 1 << 16  # bytes; smaller arrays travel from a worker through a pipe
REST = "*"  # in game weights: all games that are not named

Batch = dict[str, np.ndarray]


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


class Loader:
    """An iterator of batches; see `LoaderConfig`. Use it in a `with`, or close it.

    A batch (B samples, F frames, S pixels a side, T steps) is a dict of
      frames    (B, F, S, S, 3) uint8 RGB, the newest last
      dropped   (B, F) bool, frames before the beginning of the chunk
      actions   (B, T, 25) float32, buttons_first
      mask      (B, T, 25) bool, actions that exist
      game_ids  (B,) int32
      valid     (B,) bool, False where a record was damaged or the last pass has ended
      dataset, chunk, picture  (B,) int32, where it is from: see `provenance`
    """

    def __init__(
        self,
        config: LoaderConfig,
        *,
        workers: int = 0,
        host: int = 0,
        hosts: int = 1,
        position: int = 0,
        buffer: int = 2,
    ):
        """
        Args:
            workers: processes that read and decode; 0: a thread of this one.
            host: number of this one of `hosts`; each is given `batch / hosts` samples of a batch.
            position: samples that all hosts together have been given before.
            buffer: groups of samples that each worker has ready.
        """
        if not 0 <= host < hosts:
            raise NitrogenError(f"loader: host {host} of {hosts}: 0 to {hosts - 1} are there")
        if config.batch % hosts:
            raise NitrogenError(
                f"loader: batch is {config.batch}, where a multiple of the {hosts} hosts is needed"
            )
        if workers < 0 or position < 0:
            raise NitrogenError(
                f"loader: workers is {workers} and position {position}, where 0 is the least"
            )
        self.config, self.position = config.check(), position
        self._catalogue = Catalogue(config)
        self.steps, self.games = self._catalogue.steps, self._catalogue.games
        lanes, processes = config.shuffle.window, hosts * max(workers, 1)
        if lanes % processes:
            log.warning(
                "window %d is not a multiple of %d hosts x %d workers: records are decoded by "
                "several of them",
                *(lanes, hosts, max(workers, 1)),
            )
        local = config.batch // hosts
        group = max(min(local // max(workers, 1), GROUP), 1)
        shape = (group, config.frames, config.size, config.size, 3)
        self._rings = [Ring(shape, buffer + SPARE_SLOTS) for _ in range(workers)]
        rings = tuple((shape, ring.slots, ring.name) for ring in self._rings)
        split = _Slice(config, position, host, hosts, max(workers, 1), group, rings)
        self._elements = iter(_pipeline(split, workers, buffer))
        self._batches = _batches(self._elements, max(workers, 1), local, self._rings)

    @property
    def samples(self) -> int:
        """In one pass over all of them."""
        return self._catalogue.samples

    @property
    def length(self) -> int | None:
        """Batches from position 0 to the end, None if there is none; the last one is padded."""
        total = self._catalogue.order.length
        return None if total is None else -(-total // self.config.batch)

    @cached_property
    def fingerprint(self) -> str:
        """Changes when the same position would lead to other samples."""
        return self._catalogue.fingerprint

    def state(self) -> dict[str, Any]:
        """What `position_of` needs to go on behind the batches delivered so far; JSON."""
        return {"position": self.position, "order": self.fingerprint}

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        total = self._catalogue.order.length
        if total is not None and self.position >= total:
            raise StopIteration
        batch = next(self._batches)
        self.position += self.config.batch
        return batch

    def provenance(self, batch: Batch, at: int) -> dict[str, Any]:
        """Where a sample of a batch is from: folder, split, video, chunk, frame, time."""
        one = self._catalogue.config.datasets[int(batch["dataset"][at])]
        index, chunk = self._catalogue.indices[int(batch["dataset"][at])], int(batch["chunk"][at])
        row = int(batch["picture"][at]) * int(index.numbers["frame_stride"][chunk])
        return {
            "folder": one.folder,
            "split": one.split,
            **{name: index.text(name, chunk) for name in ("video_id", "chunk_id", "game")},
            "frame": int(index.numbers["start_frame"][chunk]) + row,
            "time": float(index.numbers["start_time"][chunk]) + float(index.row_times(chunk)[row]),
        }

    def close(self) -> None:
        """Ends the workers and frees their memory."""
        self._batches.close()
        close = getattr(self._elements, "close", None)
        if close is not None:
            close()
        for ring in self._rings:
            ring.close()
        self._rings.clear()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def position_of(state: Mapping[str, Any], config: LoaderConfig) -> int:
    """The position of a saved state, if the same samples follow there; NitrogenError if not."""
    if state["order"] != Catalogue(config).fingerprint:
        raise NitrogenError(
            "loader: the saved position belongs to other data, filters or shuffling: "
            "resume with those, or start from position 0"
        )
    return int(state["position"])


# ---------------------------------------------------------------------------------------------
# What there is


class Catalogue:
    """The indices of the data sets, and the order over all of their samples."""

    def __init__(self, config: LoaderConfig):
        self.config = config
        self.indices = [
            window_index.read_index(one.folder, one.split, one.index) for one in config.datasets
        ]
        steps = {index.options.steps for index in self.indices}
        if len(steps) > 1:
            raise NitrogenError(
                f"loader: the indices are made for different steps ({steps}): make them anew "
                "with nitrogen data index"
            )
        self.steps: control.Steps = steps.pop()
        self.samples = sum(len(index.samples) for index in self.indices)
        if not self.samples:
            names = ", ".join(f"{one.folder} ({one.split})" for one in config.datasets)
            raise NitrogenError(f"loader: no sample of {names} has passed the filters")
        found = sorted({name for index in self.indices for name in index.game_names})
        self.games = tuple(found) if config.games is None else tuple(config.games)
        self._group()

    def _group(self) -> None:
        """Sorts the chunks into groups, each with a weight of its own."""
        chunks = [
            np.stack([np.full(len(index.games), at), np.arange(len(index.games))], 1)
            for at, index in enumerate(self.indices)
        ]
        flat = np.concatenate(chunks)
        counts = np.concatenate([np.diff(index.offsets) for index in self.indices])
        keys, weights = self._keys(flat)
        self.chunks, runs, used = {}, {}, {}
        for key in np.unique(keys).tolist():
            here = keys == key
            if weights[key] == 0 or not counts[here].sum():
                continue
            self.chunks[key] = flat[here]
            runs[key] = order.Runs(counts[here], self.config.shuffle, key)
            used[key] = weights[key]
        if not runs:
            raise NitrogenError("loader: no sample is left of what has a weight above 0")
        if self.config.epochs is None:
            self.order = order.Endless(runs, used, self.config.shuffle)
        else:
            self.order = order.Pass(runs[0], self.config.epochs)

    def _keys(self, flat: np.ndarray) -> tuple[np.ndarray, dict[int, float]]:
        """(C,) group of each chunk, and the weight of each group."""
        config, weights = self.config, self.config.game_weights
        if config.datasets[0].weight is not None:
            return flat[:, 0], {at: one.weight or 0.0 for at, one in enumerate(config.datasets)}
        if not weights:
            return np.zeros(len(flat), int), {0: 1.0}
        names = sorted(weights.keys() - {REST})
        known = {name for index in self.indices for name in index.game_names}
        unknown = sorted(set(names) - known)
        if unknown:
            some = ", ".join(sorted(known)[:20])
            raise NitrogenError(f"loader: no sample of game {unknown[0]!r} is there; of {some}")
        place = {name: at for at, name in enumerate(names)}
        keys = [
            np.array([place.get(name, len(names)) for name in index.game_names], int)[index.games]
            for index in self.indices
        ]
        found = {at: float(weights[name]) for name, at in place.items()}
        return np.concatenate(keys), {**found, len(names): float(weights.get(REST, 0.0))}

    @property
    def fingerprint(self) -> str:
        config = asdict(self.config)
        del config["batch"]
        for one in config["datasets"]:
            del one["folder"]  # a moved folder holds the same samples
        parts = [json.dumps(config, sort_keys=True, default=str)]
        for index in self.indices:
            about = {key: index.about[key] for key in ("steps", "filters", "samples")}
            digest = hashlib.sha256(index.samples.tobytes())
            digest.update(index.offsets.tobytes())
            parts += [json.dumps(about, sort_keys=True), digest.hexdigest()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


# ---------------------------------------------------------------------------------------------
# Samples, in a worker


@dataclass(frozen=True)
class _Slice:
    """The samples of one host, in groups: element e is group e // workers of worker e % workers.

    A sequence for Grain. It carries no data: a worker opens files of its own.
    """

    config: LoaderConfig
    position: int
    host: int
    hosts: int
    workers: int
    group: int
    rings: tuple[tuple[tuple[int, ...], int, str], ...] = ()  # of each worker, if it has one

    def __len__(self) -> int:
        total = self._catalogue.order.length
        if total is None:
            return ENDLESS
        local = max(-(-(total - self.position - self.host) // self.hosts), 0)
        return (-(-local // (self.group * self.workers)) + 1) * self.workers

    def __getitem__(self, element: int) -> Batch:
        turn, worker = divmod(int(element), self.workers)
        places = (turn * self.group + np.arange(self.group)) * self.workers + worker
        indices = (self.position + self.host + places * self.hosts).tolist()
        if not self.rings:
            return self._samples.stacked(indices)
        ring = self._ring(worker)
        slot = ring.take()
        if slot is None:
            return self._samples.stacked(indices)
        batch = self._samples.stacked(indices, ring.array(slot))
        return {**batch, "frames": np.array(slot)}

    def _ring(self, worker: int) -> Ring:
        found = self.__dict__.setdefault("_opened", {})
        if worker not in found:
            found[worker] = Ring(*self.rings[worker])
        return found[worker]

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.config)

    @cached_property
    def _samples(self) -> _Samples:
        return _Samples(self._catalogue, self.hosts * self.workers)

    def __getstate__(self) -> dict[str, Any]:
        hidden = ("_catalogue", "_samples", "_opened")
        return {key: value for key, value in self.__dict__.items() if key not in hidden}

    def __repr__(self) -> str:  # Grain writes it into its messages
        return f"samples {self.host}::{self.hosts} from {self.position}"


class _Samples:
    """Samples by global index, with the runs at work kept."""

    def __init__(self, catalogue: Catalogue, processes: int):
        self.catalogue = catalogue
        config = catalogue.config
        self.readers = [
            ChunkReader(one.folder, one.split, index)
            for one, index in zip(config.datasets, catalogue.indices, strict=True)
        ]
        self.context = Context(config.frames, config.spacing)
        place = {name: at for at, name in enumerate(catalogue.games, 1)}
        self.game_ids = [
            np.array([place.get(name, 0) for name in index.game_names], np.int32)[index.games]
            for index in catalogue.indices
        ]
        self.window, self.run = config.shuffle.window, config.shuffle.run
        self.processes = processes if self.window % processes == 0 else 1
        self.lanes = self.window // self.processes
        self.loaded: dict[int, _Loaded] = {}

    def stacked(self, indices: list[int], frames: np.ndarray | None = None) -> Batch:
        """Samples as the arrays of a batch, with pictures in `frames` if that is given."""
        size, steps = self.catalogue.config.size, self.catalogue.steps
        shape = (len(indices), self.context.frames)
        batch = {
            "frames": np.empty((*shape, size, size, 3), np.uint8) if frames is None else frames,
            "dropped": np.ones(shape, bool),
            "actions": gamepad.neutral((shape[0], steps.horizon)),
            "mask": np.zeros((shape[0], steps.horizon, gamepad.ACTION_DIM), bool),
            **{name: np.zeros(shape[0], np.int32) for name in ("game_ids", *_PROVENANCE)},
            "valid": np.zeros(shape[0], bool),
        }
        total = self.catalogue.order.length
        for row, index in enumerate(indices):
            if total is None or index < total:
                place = self.catalogue.order.place(index)
                self._run(place.run).put(place.at, batch, row)
                self._read_ahead(place)
        batch["frames"][batch["dropped"]] = 0
        return batch

    def _run(self, number: int) -> _Loaded:
        found = self.loaded.get(number)
        if found is None:
            found = self.loaded[number] = self._load(number)
            while len(self.loaded) > 2 * self.lanes + 1:  # the oldest have been played
                del self.loaded[min(self.loaded)]
        return found

    def _read_ahead(self, place: order.Place) -> None:
        """Loads what a lane plays next, at another round for each lane: the work stays even."""
        lane = place.run % self.window // self.processes
        if place.at == lane * self.run // self.lanes:
            after = self.catalogue.order.next_run(place.run)
            if after is not None:
                self._run(after)

    def _load(self, number: int) -> _Loaded:
        group, run = self.catalogue.order.get(number)
        chunks = self.catalogue.chunks[group][run.chunks]  # (n, 2): data set, chunk
        loaded = _Loaded(self, len(chunks))
        for dataset, chunk in np.unique(chunks, axis=0).tolist():
            rows = np.flatnonzero((chunks == (dataset, chunk)).all(1))
            index = self.catalogue.indices[dataset]
            pictures = index.samples[index.offsets[chunk] + run.samples[rows]]
            steps = self.catalogue.steps
            found = self.readers[dataset].read(chunk, pictures, steps, self.context)
            loaded.add(rows, dataset, chunk, pictures, found)
        return loaded


_PROVENANCE = ("dataset", "chunk", "picture")


class _Loaded:
    """The samples of a run, ready to be put into a batch."""

    def __init__(self, samples: _Samples, count: int):
        self._samples = samples
        self._places: list[tuple[int, int, int, Samples, int] | None] = [None] * count

    def add(self, rows, dataset: int, chunk: int, pictures, found: Samples) -> None:
        """Takes the samples of one chunk as the given ones of the run."""
        if found.problem is not None:
            log.warning("%s: %d samples are left out", found.problem, len(rows))
        for at, (row, picture) in enumerate(zip(rows.tolist(), pictures.tolist(), strict=True)):
            self._places[row] = (dataset, chunk, picture, found, at)

    def put(self, at: int, batch: Batch, row: int) -> None:
        """Writes a sample into a row of a batch."""
        dataset, chunk, picture, found, place = self._places[at]
        for name, value in zip(_PROVENANCE, (dataset, chunk, picture), strict=True):
            batch[name][row] = value
        if found.problem is not None:
            return
        try:
            for frame, number in enumerate(found.wanted[place].tolist()):
                if number >= 0:
                    self._paint(batch["frames"][row, frame], found.pictures[number], dataset)
                    batch["dropped"][row, frame] = False
        except stored_frames.Undecodable as error:
            log.warning("chunk %d of data set %d: %s: left out", chunk, dataset, error)
            batch["dropped"][row] = True
            return
        batch["actions"][row] = found.actions[place]
        batch["mask"][row] = found.exists[place][:, None]
        batch["game_ids"][row] = self._samples.game_ids[dataset][chunk]
        batch["valid"][row] = True

    def _paint(self, target: np.ndarray, picture: np.ndarray, dataset: int) -> None:
        if picture.shape != target.shape:
            config = self._samples.catalogue.config
            raise NitrogenError(
                f"loader: pictures of {config.datasets[dataset].folder} are "
                f"{picture.shape[0]} pixels high, where size is {config.size}"
            )
        target[:] = picture


# ---------------------------------------------------------------------------------------------
# From groups to batches


def _pipeline(samples: _Slice, workers: int, buffer: int) -> grain.IterDataset:
    # One thread works ahead, and none in a worker: the order of reading is the order of use.
    threads = grain.ReadOptions(num_threads=0 if workers else 1, prefetch_buffer_size=buffer)
    elements = grain.MapDataset.source(samples).to_iter_dataset(threads)
    if workers:
        options = grain.experimental.DatasetOptions(min_shm_size=LARGE)
        elements = grain.experimental.WithOptionsIterDataset(elements, options)
        processes = grain.MultiprocessingOptions(workers, per_worker_buffer_size=buffer)
        elements = elements.mp_prefetch(processes)
    return elements


def _batches(
    elements: Iterator[Batch], workers: int, local: int, rings: list[Ring]
) -> Iterator[Batch]:
    """Groups of all workers, interleaved and cut into batches of `local` samples."""
    block, slots, used, size = [], [], 0, 0
    while True:
        batch, filled = None, 0
        while filled < local:
            if used == size:
                block = [next(elements) for _ in range(workers)]
                slots = [_open(group, ring) for group, ring in zip(block, rings, strict=False)]
                used, size = 0, workers * len(block[0]["valid"])
            if batch is None:
                batch = {
                    key: np.empty((local, *value.shape[1:]), value.dtype)
                    for key, value in block[0].items()
                }
            take = min(local - filled, size - used)
            _copy(block, used, take, batch, filled)
            used, filled = used + take, filled + take
            if used == size:
                block = []  # no array may look at a slot that is free
                for ring, slot in zip(rings, slots, strict=True):
                    if slot is not None:
                        ring.free(slot)
        yield batch


def _open(group: Batch, ring: Ring) -> int | None:
    """Puts the pictures themselves in the place of a slot's number, which is returned."""
    if group["frames"].ndim:
        return None
    slot = int(group["frames"])
    group["frames"] = ring.array(slot)
    return slot


def _copy(block: list[Batch], used: int, take: int, batch: Batch, filled: int) -> None:
    """Samples used to used + take of a block; its sample u is number u // W of worker u % W."""
    workers = len(block)
    for worker, group in enumerate(block):
        first = -(-(used - worker) // workers)
        last = -(-(used + take - worker) // workers)
        begin = filled + first * workers + worker - used
        for key, values in group.items():
            batch[key][begin : filled + take : workers] = values[first:last]
