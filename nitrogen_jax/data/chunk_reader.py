"""Samples out of records: pictures and actions of a chunk, however it is divided."""

from __future__ import annotations

import bisect
import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader
from tensorflow_datasets.proto import tf_example_pb2

from nitrogen_jax.data import control, records, stored_frames
from nitrogen_jax.data.window_index import Index
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import ACTION_DIM

OPEN_FILES = 32
READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"


@dataclass(frozen=True)
class Context:
    """Which pictures a sample shows: `frames` of them, `spacing` control steps apart."""

    frames: int = 1
    spacing: int = 18


class Pictures:
    """Pictures of a chunk by number; JPEG is decoded when asked for, H.264 at once."""

    def __init__(self, stored: dict[int, bytes | np.ndarray]):
        self._stored = stored

    def __getitem__(self, number: int) -> np.ndarray:
        found = self._stored[number]
        if isinstance(found, bytes):
            return stored_frames.decode("jpeg", [found], np.zeros(1, np.int32), [0])[0]
        return found


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of one chunk (n samples, F context frames, T steps).

    Attributes:
        wanted: (n, F) int64, numbers of pictures, the newest last; negative where there is none.
        actions: (n, T, 25) float32, buttons_first.
        exists: (n, T) bool.
        problem: why the chunk cannot be read; None if it can.
    """

    wanted: np.ndarray
    pictures: Pictures
    actions: np.ndarray
    exists: np.ndarray
    problem: str | None = None


class _Piece:
    """One record, as little of it unpacked as is needed."""

    def __init__(self, data: bytes, where: str):
        try:
            self._features = tf_example_pb2.Example.FromString(data).features.feature
            self.codec = self._one("codec").decode()
            self.name = self._one("video_id").decode(), self._one("chunk_id").decode()
            self.first_row = self._features["first_row"].int64_list.value[0]
            self.frames = self._features["frames"].bytes_list.value
            self.key_frames = np.frombuffer(self._one("key_frames"), np.int32)
            self.actions = np.frombuffer(self._one("actions"), np.float32).reshape(-1, ACTION_DIM)
        except Exception as error:  # NOTE: protobuf's errors have no common base that is public
            raise stored_frames.Undecodable(f"{where} is not a record: {error}") from None

    def _one(self, name: str) -> bytes:
        return self._features[name].bytes_list.value[0]


class ChunkReader:
    """Reads samples of one split. Files are opened when they are needed; not to be shared."""

    def __init__(self, folder: str | Path, split: str, index: Index):
        files = records.shard_files(folder, split)
        self._files = [path for path, _ in files]
        self._ends = np.cumsum([count for _, count in files]).tolist()
        self._open: OrderedDict[int, ArrayRecordReader] = OrderedDict()
        self._index, self._where = index, f"{folder}, split {split}"

    def read(
        self, chunk: int, pictures: Sequence[int], steps: control.Steps, context: Context
    ) -> Samples:
        """The samples whose newest frames are these pictures of a chunk of the index."""
        numbers = self._index.numbers
        stride, rows = (int(numbers[name][chunk]) for name in ("frame_stride", "rows"))
        rate, lag = float(numbers["rate"][chunk]), int(numbers["label_lag"][chunk])
        times = self._index.row_times(chunk)
        frames = np.asarray(pictures, np.int64) * stride
        needed = control.step_rows(steps, times, rate, frames, lag)
        wanted = _context_rows(steps, context, times, rate, frames)
        wanted = np.where(wanted >= 0, wanted // stride, -1)
        try:
            stored, actions = self._load(chunk, wanted[wanted >= 0], needed, rows)
            problem = None
        except stored_frames.Undecodable as error:
            stored, actions, problem = {}, np.zeros((rows, ACTION_DIM), np.float32), str(error)
        chunks, there = control.resample(actions, needed)
        return Samples(wanted, Pictures(stored), chunks, there, problem)

    def _load(
        self, chunk: int, pictures: np.ndarray, rows: np.ndarray, count: int
    ) -> tuple[dict[int, bytes | np.ndarray], np.ndarray]:
        """Stored pictures by number, and the chunk's actions (R, 25) where they are needed."""
        index = self._index
        per_record = int(index.numbers["per_record"][chunk])
        stride = int(index.numbers["frame_stride"][chunk])
        last = -(-int(index.numbers["pictures"][chunk]) // per_record) - 1
        actions, known = np.zeros((count, ACTION_DIM), np.float32), np.zeros(count, bool)
        pieces: dict[int, _Piece] = {}

        def load(number: int) -> _Piece:
            if number not in pieces:
                pieces[number] = piece = self._piece(chunk, number)
                part = slice(piece.first_row, piece.first_row + len(piece.actions))
                if part.stop > count:
                    raise stored_frames.Undecodable(f"{self._where}: a record is too long")
                actions[part], known[part] = piece.actions, True
            return pieces[number]

        stored: dict[int, bytes | np.ndarray] = {}
        for number in np.unique(pictures // per_record).tolist():
            inside = np.unique(pictures[pictures // per_record == number])
            stored |= _stored(load(number), inside.tolist(), number * per_record)
        for row in np.flatnonzero(_needed(rows, count)).tolist():
            if not known[row]:
                piece = load(min(row // stride // per_record, last))
                if not known[row]:
                    name = "/".join(piece.name)
                    raise stored_frames.Undecodable(f"row {row} of {name} is not there")
        return stored, actions

    def _piece(self, chunk: int, number: int) -> _Piece:
        record = int(self._index.numbers["record"][chunk]) + number
        where = f"record {record} of {self._where}"
        piece = _Piece(self._bytes(record, where), where)
        name = self._index.text("video_id", chunk), self._index.text("chunk_id", chunk)
        if piece.name != name:
            raise NitrogenError(
                f"{where} holds {'/'.join(piece.name)}, where its index says {'/'.join(name)}: "
                "make the index anew with nitrogen data index"
            )
        first = number * int(self._index.numbers["per_record"][chunk])
        row = first * int(self._index.numbers["frame_stride"][chunk])
        if piece.first_row != row:
            raise NitrogenError(
                f"{where} begins at row {piece.first_row} of {'/'.join(name)}, where its index "
                f"says {row}: make the index anew with nitrogen data index"
            )
        return piece

    def _bytes(self, record: int, where: str) -> bytes:
        file = bisect.bisect_right(self._ends, record)
        first = self._ends[file - 1] if file else 0
        try:
            return self._reader(file).read([record - first])[0]
        except (RuntimeError, IndexError) as error:
            reason = str(error).splitlines()[0]
            self._close(file)  # the next one may be luckier
            if not self._files[file].is_file():
                raise NitrogenError(f"records {self._files[file]} have gone: {reason}") from None
            raise stored_frames.Undecodable(f"{where} cannot be read: {reason}") from None

    def _reader(self, file: int) -> ArrayRecordReader:
        if file not in self._open:
            while len(self._open) >= OPEN_FILES:
                self._close(next(iter(self._open)))
            self._open[file] = ArrayRecordReader(str(self._files[file]), READER_OPTIONS)
        self._open.move_to_end(file)
        return self._open[file]

    def _close(self, file: int) -> None:
        with contextlib.suppress(RuntimeError, KeyError):
            self._open.pop(file).close()

    def close(self) -> None:
        """Closes all files."""
        for file in list(self._open):
            self._close(file)


def _stored(piece: _Piece, pictures: list[int], first: int) -> dict[int, bytes | np.ndarray]:
    inside = [number - first for number in pictures]
    if inside[-1] >= len(piece.frames):
        raise stored_frames.Undecodable(
            f"picture {inside[-1]} of {'/'.join(piece.name)} is not there"
        )
    if piece.codec == "jpeg":
        return {first + at: piece.frames[at] for at in inside}
    packets = list(piece.frames)
    found = stored_frames.decode(piece.codec, packets, piece.key_frames, inside)
    return {first + at: picture for at, picture in found.items()}


def _needed(rows: np.ndarray, count: int) -> np.ndarray:
    """(count,) bool: rows of a chunk that belong to steps, (n, T + 1) as from `step_rows`."""
    begin = np.minimum(rows[:, 0] + 1, rows[:, 1]).clip(0, count)
    end = (rows[:, -1] + 1).clip(0, count)
    changes = np.bincount(begin, minlength=count + 1) - np.bincount(end, minlength=count + 1)
    return np.cumsum(changes)[:count] > 0


def _context_rows(
    steps: control.Steps, context: Context, times: np.ndarray, rate: float, frames: np.ndarray
) -> np.ndarray:
    """(n, F) int64: rows of the context frames, the newest last; -1 before the chunk."""
    back = context.spacing * np.arange(context.frames - 1, -1, -1)
    if steps.rate is None:
        return np.maximum(frames[:, None] - back, -1)
    at = times[frames][:, None] - back / steps.rate
    # The frame that was on screen then: the last one that is not later.
    rows = np.searchsorted(times, at + control.EARLY / rate, side="right") - 1
    rows[:, -1] = frames
    return rows
