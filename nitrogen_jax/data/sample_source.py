"""Samples by number, as a worker process makes them out of records."""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
from nitrogen_jax.data.ring import Layout, Ring
from nitrogen_jax.errors import NitrogenError

# NOTE: Grain's processes read absl's flags, which nobody parses here and which then raise.
# Workers import this module before they begin.
if not absl.flags.FLAGS.is_parsed():
    absl.flags.FLAGS.mark_as_parsed()

log = logging.getLogger(__name__)

ENDLESS = 1 << 60

SLOT = "slot"  # of a ring: all that a worker hands over where its samples are in one

Batch = dict[str, np.ndarray]

_PROVENANCE = ("dataset", "chunk", "picture")


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
    rings: tuple[tuple[Layout, int, str], ...] = ()  # of each worker, if it has one

    def __len__(self) -> int:
        return ENDLESS  # after the last sample come some that are not valid

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
        self._samples.stacked(indices, ring.arrays(slot))
        return {SLOT: np.array(slot)}

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


def batch_layout(catalogue: Catalogue, count: int) -> Layout:
    """What is in a batch of `count` samples: name -> shape, type."""
    config, horizon = catalogue.config, catalogue.steps.horizon
    return {
        "frames": ((count, config.frames, config.size, config.size, 3), np.uint8),
        "dropped": ((count, config.frames), bool),
        "actions": ((count, horizon, gamepad.ACTION_DIM), np.float32),
        "mask": ((count, horizon, gamepad.ACTION_DIM), bool),
        "game_ids": ((count,), np.int32),
        "valid": ((count,), bool),
        **dict.fromkeys(_PROVENANCE, ((count,), np.int32)),
    }


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

    def stacked(self, indices: list[int], out: Batch | None = None) -> Batch:
        """Samples as the arrays of a batch, which are those of `out` if that is given."""
        layout = batch_layout(self.catalogue, len(indices))
        batch = {name: np.empty(*one) for name, one in layout.items()} if out is None else out
        for name in ("mask", "valid", "game_ids", *_PROVENANCE):
            batch[name][:] = 0
        batch["dropped"][:] = True
        batch["actions"][:] = gamepad.neutral(batch["actions"].shape[:2])
        total = self.catalogue.order.length
        for row, index in enumerate(indices):
            if total is None or index < total:
                place = self.catalogue.order.place(index)
                self._run(place.run, place).put(place.at, batch, row)
                self._read_ahead(place)
        batch["frames"][batch["dropped"]] = 0
        return batch

    def _run(self, number: int, playing: order.Place) -> _Loaded:
        if number not in self.loaded:
            first = self.catalogue.order.turn(playing.run)
            self.loaded = {at: one for at, one in self.loaded.items() if at >= first}
            self.loaded[number] = self._load(number)
        return self.loaded[number]

    def _read_ahead(self, place: order.Place) -> None:
        """Loads what a lane plays next, at another round for each lane: the work stays even."""
        lane = (place.run - self.catalogue.order.turn(place.run)) // self.processes
        if place.at == lane * self.run // self.lanes:
            after = self.catalogue.order.next_run(place.run)
            if after is not None:
                self._run(after, place)

    def _load(self, number: int) -> _Loaded:
        group, run = self.catalogue.order.get(number)
        chunks = self.catalogue.chunks[group][run.chunks]  # (n, 2): data set, chunk
        loaded = _Loaded(self.catalogue, self.game_ids, len(chunks))
        for dataset, chunk in np.unique(chunks, axis=0).tolist():
            rows = np.flatnonzero((chunks == (dataset, chunk)).all(1))
            index = self.catalogue.indices[dataset]
            pictures = index.samples[index.offsets[chunk] + run.samples[rows]]
            found = self._read(dataset, chunk, pictures)
            if found.problem is None:
                loaded.add(rows, dataset, chunk, pictures, found)
                continue
            lost = 0
            for row, picture in zip(rows, pictures, strict=True):  # some may be read, alone
                one = self._read(dataset, chunk, [picture])
                loaded.add([row], dataset, chunk, [picture], one)
                lost += one.problem is not None
            log.warning("%s: %d samples are left out", found.problem, lost)
        return loaded

    def _read(self, dataset: int, chunk: int, pictures: Sequence[int]) -> Samples:
        return self.readers[dataset].read(chunk, pictures, self.catalogue.steps, self.context)


class _Loaded:
    """The samples of a run, ready to be put into a batch."""

    def __init__(self, catalogue: Catalogue, game_ids: list[np.ndarray], count: int):
        self._catalogue, self._game_ids = catalogue, game_ids
        self._places: list[tuple[int, int, int, Samples, int] | None] = [None] * count

    def add(
        self, rows: Sequence[int], dataset: int, chunk: int, pictures: Sequence[int], found: Samples
    ) -> None:
        """Takes the samples of one chunk as the given ones of the run."""
        for at, (row, picture) in enumerate(zip(rows, pictures, strict=True)):
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
        batch["game_ids"][row] = self._game_ids[dataset][chunk]
        batch["valid"][row] = True

    def _paint(self, target: np.ndarray, picture: np.ndarray, dataset: int) -> None:
        if picture.shape != target.shape:
            config = self._catalogue.config
            raise NitrogenError(
                f"loader: pictures of {config.datasets[dataset].folder} are "
                f"{picture.shape[0]} pixels high, where size is {config.size}"
            )
        target[:] = picture
