"""A video as blocks of crops of its overlay, decoded from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.labeling.planes import Colours, Planes, colours_of, cut
from nitrogen_jax.labeling.skins.draw import Region

FRAMES = 1500  # of a block, at most
BYTES = 96 << 20  # of the crops of a block, at most
FEWEST = 64  # frames of a block, however large their crops are

# (seconds, (height, width)) -> number of the part and region to cut out, None where nothing is.
Cutter = Callable[[float, tuple[int, int]], tuple[int, Region] | None]


class SizeChanges(Exception):
    """The pictures of a video are not all of one size."""


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive frames of one part of a video, or of none.

    Attributes:
        part: its number; None where nothing is cut out.
        first: index of the first frame.
        times: seconds since the first frame of the video.
        size: (height, width) of a picture.
        region: that the crops are of.
        crops: (N, ...) uint8.
    """

    part: int | None
    first: int
    times: list[float]
    size: tuple[int, int]
    region: Region | None
    crops: Planes | None
    colours: Colours

    @property
    def apart(self) -> float:
        """Seconds between frames, mostly."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1 / 30


def read(path: Path, cutter: Cutter, threads: int = 1) -> Iterator[Block]:
    """The blocks of a video.

    Raises:
        video.Damaged: at the end, as `video.frames` does.
        SizeChanges: a frame has another size than the first.
    """
    pending: _Pending | None = None
    size = None
    try:
        for frame in video.frames(path, threads):
            raw = frame._raw
            here = raw.height, raw.width
            size = size or here
            if here != size:
                raise SizeChanges(
                    f"frame {frame.index} is {here[1]} x {here[0]} and the first "
                    f"{size[1]} x {size[0]}"
                )
            where = cutter(frame.time, size)
            part = None if where is None else where[0]
            if pending is not None and (pending.part != part or pending.full):
                yield pending.block()
                pending = None
            if pending is None:
                region = None if where is None else where[1]
                pending = _Pending(part, frame.index, size, region, colours_of(raw))
            pending.add(frame.time, raw)
    except video.Damaged:
        if pending is not None:
            yield pending.block()
        raise
    if pending is not None:
        yield pending.block()


class _Pending:
    """A block that is being filled."""

    def __init__(
        self,
        part: int | None,
        first: int,
        size: tuple[int, int],
        region: Region | None,
        colours: Colours,
    ):
        self.part, self.first, self.size = part, first, size
        self.region, self.colours = region, colours
        self.times: list[float] = []
        self.y: list[np.ndarray] = []
        self.uv: list[np.ndarray] = []
        pixels = 1 if region is None else max(region.shape[0] * region.shape[1], 1)
        self.most = int(np.clip(BYTES // (1.5 * pixels), FEWEST, FRAMES))

    @property
    def full(self) -> bool:
        return len(self.times) >= self.most

    def add(self, seconds: float, raw: Any) -> None:
        self.times.append(seconds)
        if self.region is not None:
            planes = cut(raw, self.region)
            self.y.append(planes.y)
            self.uv.append(planes.uv)

    def block(self) -> Block:
        crops = None if self.region is None else Planes(np.stack(self.y), np.stack(self.uv))
        return Block(self.part, self.first, self.times, self.size, self.region, crops, self.colours)
