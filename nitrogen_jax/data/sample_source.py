"""Samples by number, as a worker process makes them out of records."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import absl.flags
import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import order, stored_frames
from nitrogen_jax.data.catalogue import Catalogue
from nitrogen_jax.data.chunk_reader import ChunkReader, Context, Samples
from nitrogen_jax.data.loader_config import LoaderConfig
from nitrogen_jax.data.ring import Ring
from nitrogen_jax.errors import NitrogenError

# NOTE: Grain's processes read absl's flags, which nobody parses here and which then raise.
# Workers import this module before they begin.
if not absl.flags.FLAGS.is_parsed():
    absl.flags.FLAGS.mark_as_parsed()

log = logging.getLogger(__name__)

ENDLESS = 1 << 60  # samples

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class SampleSlice:
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
