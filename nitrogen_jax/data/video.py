"""Frames of a video file, decoded one after the other and never by random access."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from nitrogen_jax.errors import NitrogenError

SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")

# A file whose picture ends this many seconds before its stated end is called cut short. Less is
# usual: sound often goes on for a moment.
TOLERANCE = 0.5


class Damaged(Exception):
    """Raised after the last frame that could be decoded, `frames` in all."""

    def __init__(self, frames: int, reason: str):
        super().__init__(reason)
        self.frames, self.reason = frames, reason


def find(folder: Path) -> list[Path]:
    """The videos of a folder, sorted by name."""
    if not folder.is_dir():
        raise NitrogenError(f"folder {folder} of videos does not exist")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise NitrogenError(
            f"folder {folder} holds no video: files ending in {', '.join(SUFFIXES)} are needed"
        )
    return found


def count(path: Path) -> int:
    """About how many frames a video says it has, 0 where it cannot be opened."""
    try:
        with av.open(path) as container:
            stream = container.streams.best("video")
            if stream is None:
                return 0
            seconds = _stated_end(container) or 0
            return stream.frames or round(seconds * (stream.average_rate or 0))
    except (av.FFmpegError, OSError):
        return 0


def decode(
    path: Path, wanted: Callable[[int], bool] = lambda index: True
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yields (index, time in seconds, picture (H, W, 3) uint8 RGB) of the wanted frames.

    The index counts all decoded frames in the order in which they are shown, from 0.

    Raises:
        Damaged: at the end, if the file is cut short, damaged or not a video at all.
    """
    try:
        container = av.open(path)
    except (av.FFmpegError, OSError) as error:
        raise Damaged(0, f"it cannot be opened ({error.strerror})") from None
    with container:
        stream = container.streams.best("video")
        if stream is None:
            raise Damaged(0, "it holds no video stream")
        stream.thread_type = "AUTO"  # decodes on all cores
        index, end, faults = 0, 0.0, _Faults()
        step = 1 / float(stream.average_rate or 30)
        for frame in faults.frames(container, stream):
            time = index * step if frame.time is None else frame.time
            if wanted(index):
                yield index, time, frame.to_ndarray(format="rgb24")
            index, end = index + 1, time + step
        reason = faults.reason(index, end, step, container, stream)
        if reason is not None:
            raise Damaged(index, reason)


class _Faults:
    """Decodes and counts what went wrong on the way."""

    def __init__(self):
        self.corrupt = self.lost = 0
        self.broken = None

    def frames(self, container: Any, stream: Any) -> Iterator[av.VideoFrame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                self.broken = error.strerror
                return
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.lost += 1
                continue
            for frame in frames:
                self.corrupt += frame.is_corrupt
                yield frame

    def reason(self, index, end, step, container, stream) -> str | None:
        """Why not everything could be read, in a few words; None if it could."""
        stated = _stated_end(container)
        missing = 0.0 if stated is None else stated - end
        if index == 0:
            return "no frame of it can be decoded"
        if self.broken is not None:
            return f"reading it stopped at {end:.1f} s ({self.broken})"
        if missing > TOLERANCE or (index < stream.frames and missing > 2 * step):
            return f"it ends at {end:.1f} s and says that it lasts {stated:.1f} s"
        if self.corrupt or self.lost:
            return f"it is damaged ({self.corrupt} frames in part, {self.lost} packets lost)"
        return None


def _stated_end(container: Any) -> float | None:
    """The time in seconds at which a file says that it ends."""
    if container.duration is None:
        return None
    return (container.duration + (container.start_time or 0)) / av.time_base
