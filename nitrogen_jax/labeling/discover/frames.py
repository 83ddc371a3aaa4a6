"""Frames of a few regions of a video, in pairs of neighbours, decoded from its beginning on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.labeling.planes import Colours, Planes, colours_of, cut
from nitrogen_jax.labeling.skins.draw import Region

SECONDS = 180.0  # of a video that are looked at, at most
BYTES = 320 << 20


class Crops(NamedTuple):
    """A region over time.

    Attributes:
        planes: Y (N, h, w) and UV (N, 2, h/2, w/2) uint8; frames 2 i and 2 i + 1 are neighbours.
        times: (N,) seconds.
    """

    region: Region
    planes: Planes
    times: np.ndarray
    colours: Colours


def crops(path: Path, wanted: Sequence[Region], number: int) -> list[Crops]:
    """About `number` frames of each region, over the first minutes of a video.

    Raises:
        video.Damaged: nothing can be decoded.
    """
    pixels = sum(1.5 * region.shape[0] * region.shape[1] for region in wanted)
    number = int(min(number, BYTES // max(pixels, 1)) // 2 * 2)
    info = video.probe(path)
    share = min(1.0, SECONDS / max(info.seconds, 1e-3))
    frames = max(video.count(path) * share, 2)
    step = max(2.0, frames / (number / 2))
    due, kept, times, colours = 0.0, [[] for _ in wanted], [], None
    try:
        for frame in video.frames(path, threads=1):
            if frame.time > SECONDS or len(times) >= 2 * number:
                break
            # NOTE: `due` is the first of a pair; its neighbour follows at once.
            if frame.index < due and not len(times) % 2:
                continue
            raw = frame._raw
            colours = colours or colours_of(raw)
            for region, list_ in zip(wanted, kept, strict=True):
                list_.append(cut(raw, region))
            times.append(frame.time)
            if not len(times) % 2:
                due += step
    except video.Damaged:
        if len(times) < 2:
            raise
    whole = len(times) // 2 * 2
    return [
        Crops(
            region,
            Planes(
                np.stack([one.y for one in list_[:whole]]),
                np.stack([one.uv for one in list_[:whole]]),
            ),
            np.array(times[:whole]),
            colours,
        )
        for region, list_ in zip(wanted, kept, strict=True)
    ]
