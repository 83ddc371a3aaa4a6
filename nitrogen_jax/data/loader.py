"""Batches for training, out of records: a Grain pipeline around the order of `order.py`.

Host h of H is given every H-th sample of the order, beginning with the h-th; so is, of these,
each of its worker processes. What a host delivers depends neither on how many workers it has nor
on the size of its batches, and the position is one number: samples delivered to all hosts. A
stream taken up at a position with other batches, workers or hosts goes on with the same samples.
"""

from __future__ import annotations

import contextlib
import logging
import os
import weakref
from collections.abc import Generator, Iterator, Mapping
from functools import cached_property
from typing import Any

import grain
import grain.experimental
import numpy as np

from nitrogen_jax.data import records, worker_process
from nitrogen_jax.data.catalogue import Catalogue
from nitrogen_jax.data.loader_config import Dataset, LoaderConfig
from nitrogen_jax.data.order import Shuffle
from nitrogen_jax.data.ring import Ring
from nitrogen_jax.data.sample_source import SLOT, Batch, SampleSlice, batch_layout
from nitrogen_jax.errors import NitrogenError

__all__ = ["Batch", "Dataset", "Loader", "LoaderConfig", "Shuffle", "position_of"]

log = logging.getLogger(__name__)

GROUP = 32  # samples that a worker hands over at once, at most
# Bytes; smaller arrays travel from a worker through a pipe, where they are not in a ring. A message
# must be less than what a pipe takes at once (4096): who has read half of one when the worker dies
# waits for the rest without end.
LARGE = 1 << 9


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
        if buffer < 1:
            raise NitrogenError(f"loader: buffer is {buffer}: 1 is the least")
        self.config, self.position = config.check(), position
        self._catalogue = Catalogue(config)
        self.steps, self.games = self._catalogue.steps, self._catalogue.games
        for one in config.datasets:
            _check_files(one)
        lanes, processes = config.shuffle.window, hosts * max(workers, 1)
        if lanes % processes:
            log.warning(
                "window %d is not a multiple of %d hosts x %d workers: records are decoded by "
                "several of them",
                *(lanes, hosts, max(workers, 1)),
            )
        local = config.batch // hosts
        group = max(min(local // max(workers, 1), GROUP), 1)
        layout = batch_layout(self._catalogue, group)
        # In each of two processes a queue and what waits for it; and one that is being copied.
        rings = [Ring(layout, 2 * buffer + 3) for _ in range(workers)]
        named = tuple((layout, ring.slots, ring.name) for ring in rings)
        samples = SampleSlice(config, position, host, hosts, max(workers, 1), group, named)
        elements = iter(_pipeline(samples, workers, buffer))
        self._batches = _batches(elements, max(workers, 1), local, rings)
        # Also where nobody closes it: while Python exits, Grain could not end its workers.
        self._close = weakref.finalize(self, _close, self._batches, elements, rings)

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
        try:
            batch = next(self._batches)
        except StopIteration:
            raise NitrogenError("loader: it has been closed, or has failed before") from None
        except RuntimeError as error:
            if "Worker process" not in str(error):
                raise
            raise NitrogenError(
                "loader: a worker process died, perhaps for want of memory: try fewer workers, or "
                f"0 to see more ({str(error).split('.')[0]})"
            ) from error
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
        self._close()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def position_of(state: Mapping[str, Any], config: LoaderConfig) -> int:
    """The position of a saved state, if the same samples follow there; NitrogenError if not."""
    if state.get("order") != Catalogue(config).fingerprint:
        raise NitrogenError(
            "loader: the saved position belongs to other data, filters or shuffling: "
            "resume with those, or start from position 0"
        )
    return int(state["position"])


def _close(
    batches: Generator[Batch, None, None], elements: Iterator[Batch], rings: list[Ring]
) -> None:
    with contextlib.suppress(ValueError):  # another thread is waiting for a batch
        batches.close()
    elements.close()
    for ring in rings:
        ring.close()


def _check_files(dataset: Dataset) -> None:
    files = [path for path, _ in records.shard_files(dataset.folder, dataset.split)]
    there = set(os.listdir(dataset.folder))
    missing = [path for path in files if path.name not in there]
    if missing:
        raise NitrogenError(
            f"records {missing[0]} are not there: of the {len(files)} files of split "
            f"{dataset.split}, {len(missing)} are missing"
        )


def _pipeline(samples: SampleSlice, workers: int, buffer: int) -> grain.IterDataset:
    # One thread works ahead, and none in a worker: the order of reading is the order of use.
    threads = grain.ReadOptions(num_threads=0 if workers else 1, prefetch_buffer_size=buffer)
    elements = grain.MapDataset.source(samples).to_iter_dataset(threads)
    if workers:
        options = grain.experimental.DatasetOptions(min_shm_size=LARGE)
        elements = grain.experimental.WithOptionsIterDataset(elements, options)
        processes = grain.MultiprocessingOptions(workers, per_worker_buffer_size=buffer)
        elements = elements.mp_prefetch(processes, worker_process.start)
    return elements


def _batches(
    elements: Iterator[Batch], workers: int, local: int, rings: list[Ring]
) -> Generator[Batch, None, None]:
    """Groups of all workers, interleaved and cut into batches of `local` samples."""
    block, slots, used, size = [], [], 0, 0
    while True:
        batch, filled = None, 0
        while filled < local:
            if used == size:
                block = [next(elements) for _ in range(workers)]
                slots = [group.pop(SLOT, None) for group in block]
                for group, slot, ring in zip(block, slots, rings, strict=False):
                    group.update({} if slot is None else ring.arrays(int(slot)))
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
                for ring, slot in zip(rings, slots, strict=False):
                    if slot is not None:
                        ring.free(int(slot))
        yield batch


def _copy(block: list[Batch], used: int, take: int, batch: Batch, filled: int) -> None:
    """Samples used to used + take of a block; its sample u is number u // W of worker u % W."""
    workers = len(block)
    for worker, group in enumerate(block):
        first = -(-(used - worker) // workers)
        last = -(-(used + take - worker) // workers)
        begin = filled + first * workers + worker - used
        for key, values in group.items():
            batch[key][begin : filled + take : workers] = values[first:last]
