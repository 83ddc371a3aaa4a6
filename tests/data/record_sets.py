"""Small sets of records whose every sample can be checked: a picture tells which one it is.

Expected actions and context frames are worked out here once more, step by step and in plain
Python, so that the loader is not compared with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from nitrogen_jax.data import activity, records, stored_frames, window_index
from nitrogen_jax.data.control import EARLY, Steps
from nitrogen_jax.data.window_index import Filters, IndexOptions

SIZE, BLOCK = 32, 8
BITS = (SIZE // BLOCK) ** 2
PICTURE_BITS = 10
HORIZON = 6
REST = np.array([0] * 21 + [0.5] * 4, np.float32)


def draw(serial: int, picture: int, size: int = SIZE) -> np.ndarray:
    """A picture (size, size, 3) uint8 of black and white blocks that spell two numbers."""
    assert serial < 1 << BITS - PICTURE_BITS
    assert picture < 1 << PICTURE_BITS
    bits = (serial << PICTURE_BITS | picture) >> np.arange(BITS) & 1
    blocks = np.where(bits, 230, 25).astype(np.uint8).reshape(SIZE // BLOCK, -1)
    gray = blocks.repeat(BLOCK * size // SIZE, 0).repeat(BLOCK * size // SIZE, 1)
    return np.repeat(gray[..., None], 3, -1)


def spell(frame: np.ndarray) -> tuple[int, int]:
    """(serial, picture) of a picture that `draw` made, however it was compressed."""
    means = frame.astype(float).mean(-1).reshape(SIZE // BLOCK, BLOCK, -1, BLOCK).mean((1, 3))
    assert (abs(means - 127) > 60).all(), "not one of the pictures"
    number = int(((means.ravel() > 127) << np.arange(BITS)).sum())
    return number >> PICTURE_BITS, number & (1 << PICTURE_BITS) - 1


@dataclass(frozen=True)
class Recording:
    """A chunk of labels; `serial` numbers it among all recordings of a test."""

    serial: int
    video: str
    game: str = "alpha"
    start: int = 0
    rows: int = 90
    stride: int = 2
    rate: float = 30.0
    uneven: bool = False
    lag: int = 0

    @property
    def chunk_id(self) -> str:
        return f"{self.video}_chunk_{self.start:06d}"

    @property
    def pictures(self) -> int:
        return -(-self.rows // self.stride)

    @property
    def actions(self) -> np.ndarray:
        """(R, 25) float32, no two rows the same."""
        random = np.random.default_rng(self.serial)
        actions = random.random((self.rows, 25), np.float32)
        actions[:, :21] = actions[:, :21] < 0.1
        actions[self.rows // 3 : self.rows // 2] = REST  # for a moment nothing is done
        return actions

    @property
    def times(self) -> np.ndarray:
        """(R,) float64, as good as the float32 that is stored."""
        steps = np.full(self.rows - 1, 1 / self.rate)
        if self.uneven:
            steps *= np.random.default_rng(self.serial).uniform(0.4, 1.6, self.rows - 1)
            return np.append(0, np.cumsum(steps)).astype(np.float32).astype(np.float64)
        return np.arange(self.rows) / self.rate

    # -- what the loader should make of it

    def step_rows(self, picture: int, steps: Steps) -> list[int]:
        """The last row of the step before, and of each step; some may not be there."""
        begin = picture * self.stride
        if steps.rate is None:
            return [begin + steps.shift + k + self.lag for k in range(-1, steps.horizon)]
        # Beyond its ends a recording is taken to go on evenly.
        more = np.arange(1, 1 + round(40 * self.rate / steps.rate)) / self.rate
        times = np.concatenate([self.times[0] - more[::-1], self.times, self.times[-1] + more])
        at = [
            self.times[begin] + (steps.shift + k) / steps.rate - EARLY / self.rate
            for k in range(-1, steps.horizon)
        ]
        return [int((times < one).sum()) - len(more) + self.lag for one in at]

    def chunk(self, picture: int, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
        """(T, 25) float32 and (T,) bool: a picture's actions, and which of them there are."""
        actions = self.actions
        out, exists = np.tile(REST, (steps.horizon, 1)), np.zeros(steps.horizon, bool)
        for k, (before, last) in enumerate(pairwise(self.step_rows(picture, steps))):
            if 0 <= last < self.rows:
                exists[k], out[k] = True, actions[last]
                for row in range(max(before + 1, 0), last):
                    out[k, :21] = np.maximum(out[k, :21], actions[row, :21])
        return out, exists

    def context(self, picture: int, steps: Steps, frames: int, spacing: int) -> list[int | None]:
        """The pictures of a sample, the newest last; None before the beginning."""
        row, found = picture * self.stride, []
        for back in range((frames - 1) * spacing, 0, -spacing):
            if steps.rate is None:
                before = row - back
            else:
                until = self.times[row] - back / steps.rate + EARLY / self.rate
                before = sum(time <= until for time in self.times.tolist()) - 1
            found.append(before // self.stride if before >= 0 else None)
        return [*found, picture]

    def samples(self, steps: Steps) -> list[int]:
        """Pictures whose steps all exist."""
        inside = range(self.rows)
        return [
            picture
            for picture in range(self.pictures)
            if all(row in inside for row in self.step_rows(picture, steps)[1:])
        ]


# Videos in the order of their names, their chunks in that of their frames.
RECORDINGS = (
    Recording(0, "v0"),
    Recording(1, "v0", start=90, rows=71),
    Recording(2, "v1", "beta", uneven=True),
    Recording(3, "v1", "beta", start=90, rows=33, uneven=True),
    Recording(4, "v2", "alpha", rate=60.0, rows=150, stride=4),
    Recording(5, "v3", "gamma", lag=2),
    Recording(6, "v3", "beta", start=90, rows=20, lag=-1),
    Recording(7, "v4", "alpha", rows=64),
)


def write_set(
    folder: Path,
    recordings: Sequence[Recording] = RECORDINGS,
    *,
    codec: str = "jpeg",
    per_record: int = 12,
    ahead: int = 5,
    files: int = 2,
    split: str = "train",
    steps: Steps | None = None,
    filters: Filters | None = None,
    size: int = SIZE,
) -> Path:
    """Records, activity tables and an index, divided as a build divides them.

    Args:
        per_record: pictures in a record.
        ahead: rows that a record goes on after its last picture.
        files: over which the recordings are spread.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / activity.FOLDER).mkdir(exist_ok=True)
    lengths, total = [], 0
    for number, part in enumerate(np.array_split(np.arange(len(recordings)), files)):
        chosen = [recordings[at] for at in part]
        data = [piece for one in chosen for piece in pieces(one, codec, per_record, ahead, size)]
        sizes = records.write_file(folder / records.shard_name(split, number), data)
        table = [_activity(one, per_record) for one in chosen]
        activity.write(activity.table_path(folder, split, number), table)
        lengths.append(len(sizes))
        total += sum(sizes)
    records.write_metadata(folder, {split: records.Shards(tuple(lengths), total)}, "For tests.")
    options = IndexOptions(steps or Steps(horizon=HORIZON), filters or Filters(min_active=0.0))
    window_index.write_index(folder, split, options=options)
    return folder


def pieces(
    one: Recording, codec: str, per_record: int, ahead: int, size: int = SIZE
) -> list[bytes]:
    """The records of one recording."""
    found = []
    for first in range(0, one.pictures, per_record):
        numbers = range(first, min(first + per_record, one.pictures))
        packets, keys = stored_frames.encode(codec, [draw(one.serial, n, size) for n in numbers])
        begin = first * one.stride
        rows = slice(begin, min(begin + len(numbers) * one.stride + ahead, one.rows))
        chunk = records.Chunk(
            video_id=one.video,
            chunk_id=one.chunk_id,
            game=one.game,
            controller="xboxone",
            start_time=one.start / one.rate + one.times[begin],
            start_frame=one.start + begin,
            first_row=begin,
            rate=one.rate,
            frame_stride=one.stride,
            codec=codec,
            frames=packets,
            key_frames=keys,
            actions=one.actions[rows],
            times=(one.times[rows] - one.times[begin]).astype(np.float32),
            confidence=np.ones(len(one.actions[rows]), np.float32),
            label_lag=one.lag,
        )
        found.append(records.to_bytes(chunk))
    return found


def _activity(one: Recording, per_record: int) -> activity.Activity:
    return activity.Activity(
        video_id=one.video,
        chunk_id=one.chunk_id,
        game=one.game,
        controller="xboxone",
        start_frame=one.start,
        records=-(-one.pictures // per_record),
        pictures=one.pictures,
        per_record=per_record,
        frame_stride=one.stride,
        label_lag=one.lag,
        rows=one.rows,
        start_time=one.start / one.rate,
        rate=one.rate,
        **activity.summary(one.actions),
        times=one.times.astype(np.float32) if one.uneven else None,
    )
