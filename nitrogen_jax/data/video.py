"""Frames of a video file, decoded one after the other and never by random access.

A frame's index counts what was decoded, in the order in which it is shown, from 0: seeking would
be faster and would miscount in files whose index is wrong or whose frame rate varies.

Pictures are RGB by the matrix and range that the stream is tagged with; without a tag they are
BT.601 and limited, which is what FFmpeg assumes. A wider gamut is not mapped, and a rotation in a
file's metadata is ignored: a picture is as it was encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from nitrogen_jax.data.colours import ToRGB
from nitrogen_jax.errors import NitrogenError

SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")

# A file whose picture ends this many seconds before its stated end is called cut short. Less is
# usual: sound often goes on for a moment.
TOLERANCE = 0.5

PROBED = 300  # packets that `probe` looks at to tell whether the frame rate varies
REORDERED = 32  # frames that a codec may keep back, at most; H.264 up to 16


class Damaged(Exception):
    """Raised after the last frame that could be decoded, `frames` in all."""

    def __init__(self, frames: int, reason: str):
        super().__init__(reason)
        self.frames, self.reason = frames, reason


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """A decoded frame. It holds a buffer of the decoder: keep pictures rather than frames.

    Attributes:
        index: of the frame in the order in which they are shown, from 0.
        time: seconds since the first frame.
        faults: packets lost and frames damaged so far: from the first on, indices may be wrong.
    """

    index: int
    time: float
    faults: int
    _raw: av.VideoFrame
    _to_rgb: ToRGB

    @property
    def tick(self) -> float:
        """Seconds that times in the file are rounded to."""
        return float(self._raw.time_base or 0)

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, converted at each call."""
        return self._to_rgb(self._raw)


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of itself, without decoding it; 0 where it does not say.

    Attributes:
        width: of a decoded picture in pixels.
        height: the same.
        frames: how many, in some containers only about.
        seconds: the duration.
        rate: frames per second on average.
        variable: whether the first frames are unequally long, None where they have no times.
    """

    width: int
    height: int
    frames: int
    seconds: float
    rate: float
    variable: bool | None


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
        container, stream = _open(path)
    except Damaged:
        return 0
    with container:
        return _stated_frames(container, stream)


def probe(path: Path) -> VideoInfo:
    """What a video says of itself.

    Raises:
        Damaged: it is not a video.
    """
    container, stream = _open(path)
    with container:
        frames, seconds = _stated_frames(container, stream), _stated_seconds(container)
        rate = stream.average_rate or (frames / seconds if seconds else 0)
        return VideoInfo(
            stream.codec_context.width,
            stream.codec_context.height,
            frames,
            seconds,
            float(rate),
            _varies(container, stream),
        )


def frames(path: Path, threads: int = 0) -> Iterator[Frame]:
    """The frames of a video in the order in which they are shown.

    A time that is missing, or that lies before the last one, is estimated.

    Args:
        threads: that decode; 0 for all cores, 1 within a worker process.

    Raises:
        Damaged: at the end, if the file is cut short, damaged or not a video at all.
    """
    container, stream = _open(path)
    with container:
        stream.thread_type = "NONE" if threads == 1 else "AUTO"
        stream.codec_context.thread_count = threads
        faults, to_rgb = _Faults(), ToRGB()
        usual = 1 / float(stream.average_rate or 30)
        index, first, time, step = 0, 0.0, 0.0, usual
        for raw in faults.frames(container, stream):
            if raw.time is None or (index and raw.time <= time):
                time += step if index else 0.0
            else:
                time, step = raw.time, raw.time - time if index else usual
            first = time if index == 0 else first
            yield Frame(index, time - first, faults.corrupt + faults.lost, raw, to_rgb)
            index += 1
        reason = faults.reason(index, time + usual, usual, container, stream)
        if reason is not None:
            raise Damaged(index, reason)


def decode(
    path: Path, wanted: Callable[[int], bool] = lambda index: True, threads: int = 0
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yields (index, time in seconds, picture (H, W, 3) uint8 RGB) of the wanted frames.

    Raises:
        Damaged: at the end, as `frames` does.
    """
    for frame in frames(path, threads):
        if wanted(frame.index):
            yield frame.index, frame.time, frame.picture()


def read_indices(path: Path, indices: Sequence[int], threads: int = 0) -> list[np.ndarray]:
    """The pictures of some frames, in the order asked for."""
    missing, found = set(indices), {}
    if missing and min(missing) < 0:
        raise NitrogenError(f"frame {min(missing)} of video {path} is asked for: they start at 0")
    number, reason = 0, ""
    try:
        for frame in frames(path, threads) if missing else ():
            number += 1
            if frame.index in missing:
                found[frame.index] = frame.picture()
                missing.discard(frame.index)
                if not missing:
                    break
    except Damaged as error:
        reason = f" ({error.reason})"
    if missing:
        raise NitrogenError(
            f"video {path} has no frame {min(missing)}: it holds {number} frames{reason}"
        )
    return [found[index] for index in indices]


def read_times(path: Path, seconds: Sequence[float], threads: int = 0) -> list[np.ndarray]:
    """The pictures that are on screen at some times after the first frame, in the order asked for.

    A frame stays until the next one comes, and the last one as long as the one before.
    """
    if not all(0 <= time < float("inf") for time in seconds):
        raise NitrogenError(f"times {list(seconds)} of video {path}: they are seconds from 0 on")
    left = sorted(range(len(seconds)), key=lambda i: seconds[i], reverse=True)
    found: dict[int, np.ndarray] = {}

    def take(shown: Frame, until: float) -> None:
        picture = shown.picture() if left and seconds[left[-1]] < until else None
        while left and seconds[left[-1]] < until:
            found[left.pop()] = picture

    shown, step, reason = None, 1 / 30, ""
    try:
        for frame in frames(path, threads) if left else ():
            if shown is not None:
                # Half a tick, because files store rounded times: 0.0667 s as 0.067 s.
                take(shown, frame.time - frame.tick / 2)
                step = frame.time - shown.time
            shown = frame
            if not left:
                break
    except Damaged as error:
        reason = f" ({error.reason})"
    end = 0.0
    if shown is not None:
        end = shown.time + step
        take(shown, end)
    if left:
        raise NitrogenError(
            f"video {path} shows nothing at {seconds[left[-1]]:g} s: it ends at {end:.3f} s{reason}"
        )
    return [found[i] for i in range(len(seconds))]


# ---------------------------------------------------------------------------------------------
# Containers


def _open(path: Path) -> tuple[Any, Any]:
    """A container and its video stream; Damaged if there is none."""
    try:
        container = av.open(path)
    except (av.FFmpegError, OSError) as error:
        raise Damaged(0, f"it cannot be opened ({error.strerror})") from None
    stream = container.streams.best("video")
    if stream is None:
        container.close()
        raise Damaged(0, "it holds no video stream")
    return container, stream


def _stated_end(container: Any) -> float | None:
    """The time in seconds at which a file says that it ends."""
    if container.duration is None:
        return None
    # NOTE: Matroska states its end, the others how long they last from their start.
    start = 0 if "matroska" in container.format.name else container.start_time or 0
    return (container.duration + start) / av.time_base


def _stated_seconds(container: Any) -> float:
    end = _stated_end(container)
    return 0.0 if end is None else max(end - (container.start_time or 0) / av.time_base, 0.0)


def _stated_frames(container: Any, stream: Any) -> int:
    return stream.frames or round(_stated_seconds(container) * (stream.average_rate or 0))


def _varies(container: Any, stream: Any) -> bool | None:
    """Whether the first frames are unequally long by more than rounding."""
    times = []
    try:
        for packet in islice(container.demux(stream), PROBED):
            if packet.size:
                times.append(packet.pts)
    except (av.FFmpegError, OSError):
        pass  # what came before it tells enough
    if len(times) < 2 or None in times:
        return None
    if len(times) == PROBED:
        # Packets come in the order of decoding: some that are shown before these are not here.
        times = sorted(times)[:-REORDERED]
    steps = np.diff(sorted(times))
    usual, spread = np.median(steps), steps.max() - steps.min()
    return bool(spread > max(1, 0.1 * usual) or 2 * spread >= usual)


class _Faults:
    """Decodes and counts what went wrong on the way."""

    def __init__(self):
        self.corrupt = self.lost = 0
        self.broken = None

    @property
    def count(self) -> int:
        return self.corrupt + self.lost

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
        if self.count:
            return f"it is damaged ({self.corrupt} frames in part, {self.lost} packets lost)"
        return None
