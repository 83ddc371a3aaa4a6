"""A few frames of a video, spread over all of it, without random access.

Key frames are decoded alone while the file is read from beginning to end, which costs a small part
of decoding it. A short video with few of them is decoded in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.data.colours import ToRGB

FEWEST_KEYS = 8  # key frames that are enough


class Sampled(NamedTuple):
    """Frames of a video.

    Attributes:
        times: (N,) seconds since the first frame of the video.
        pictures: (H, W, 3) uint8 RGB each, all of one size.
        other_sizes: whether frames of another size were met, which are left out.
    """

    times: np.ndarray
    pictures: list[np.ndarray]
    other_sizes: bool


def key_frames(path: Path) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds since the first, decoded frame) of every frame that stands alone.

    Raises:
        video.Damaged: it is not a video, or breaks off.
    """
    try:
        container = av.open(path)
    except (av.FFmpegError, OSError) as error:
        raise video.Damaged(0, f"it cannot be opened ({error.strerror})") from None
    with container:
        stream = container.streams.best("video")
        if stream is None:
            raise video.Damaged(0, "it holds no video stream")
        stream.codec_context.skip_frame = "NONKEY"
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        first, number = None, 0
        try:
            for frame in container.decode(stream):
                time = frame.time if frame.time is not None else float(number)
                first = time if first is None else first
                number += 1
                yield time - first, frame
        except (av.FFmpegError, OSError) as error:
            raise video.Damaged(number, f"{error.strerror}") from None


def sample(path: Path, number: int) -> Sampled:
    """About `number` frames spread over a video.

    Raises:
        video.Damaged: it is not a video at all, or no frame can be decoded.
    """
    seconds = video.probe(path).seconds
    to_rgb = ToRGB()
    keys = ((time, time, partial(to_rgb, frame)) for time, frame in key_frames(path))
    times, pictures = _spread(keys, seconds / number, number)
    if len(times) < min(FEWEST_KEYS, number):
        every = ((one.index, one.time, one.picture) for one in video.frames(path, threads=1))
        times, pictures = _spread(every, video.count(path) / number, number)
    if not times:
        raise video.Damaged(0, "no frame of it can be decoded")
    if len(times) > number:
        spread = np.linspace(0, len(times) - 1, number).round().astype(int)
        times, pictures = [times[at] for at in spread], [pictures[at] for at in spread]
    sizes = {picture.shape for picture in pictures}
    most = max(sizes, key=lambda size: sum(one.shape == size for one in pictures))
    kept = [at for at, picture in enumerate(pictures) if picture.shape == most]
    return Sampled(
        np.array([times[at] for at in kept]), [pictures[at] for at in kept], len(sizes) > 1
    )


def _spread(
    frames: Iterable[tuple[float, float, Callable[[], np.ndarray]]], step: float, number: int
) -> tuple[list[float], list[np.ndarray]]:
    """Times and pictures of one frame in each step, and never of more than twice `number`.

    Args:
        frames: (what steps are counted in, seconds, its picture) of each.
        step: made longer where there are more frames than a file has said.
    """
    step, due = max(step, 1e-3), 0.0
    times, pictures = [], []
    try:
        for at, time, picture in frames:
            if at < due - 1e-6:
                continue
            times.append(time)
            pictures.append(picture())
            due = (at // step + 1) * step
            if len(times) >= 2 * number:
                times, pictures, step = times[::2], pictures[::2], max(2 * step, at / number)
    except video.Damaged:
        pass  # what came before it tells enough, and the reader of all frames reports it
    return times, pictures
