"""When in a video the overlay is where: it may go away for a scene, or move to another corner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.data.colours import ToRGB
from nitrogen_jax.labeling.locate.align import Drawn, compare
from nitrogen_jax.labeling.locate.locate import OTHER_BOX, SINGLE, Found, locate, shared
from nitrogen_jax.labeling.locate.templates import Templates
from nitrogen_jax.labeling.sample import Sampled, key_frames

SHORTEST = 3.0  # seconds; an absence that is shorter is not told apart, confidence tells it
APART = 2.0  # seconds between the key frames that are looked at
STASHED = 15  # pictures in which a lost overlay is looked for again
LEAST_VISIBLE = 0.6  # share of an overlay that must be in the picture


@dataclass(frozen=True)
class Part:
    """Seconds of a video, and the overlay that is there."""

    start: float
    end: float
    found: Found


def divide(
    path: Path,
    sampled: Sampled,
    first: Found,
    templates: Templates,
    box: tuple[float, float, float, float] | None,
    recheck: float,
) -> list[Part]:
    """The parts of a video that have an overlay, in order.

    Args:
        first: where it is in most of the sampled frames.
        recheck: seconds of a video beyond which its key frames are looked at.
    """
    looks = _Looks(first, templates, box)
    # NOTE: not every file says how long it is.
    if max(video.probe(path).seconds, sampled.times[-1]) <= recheck:
        for time, picture in zip(sampled.times, sampled.pictures, strict=True):
            looks.add(float(time), picture)
    else:
        to_rgb, last = ToRGB(), -APART
        try:
            for time, frame in key_frames(path):
                if time - last >= APART:
                    last = time
                    looks.add(time, to_rgb(frame))
        except video.Damaged:
            pass  # the reader of all frames reports it
    return looks.parts() or [Part(0.0, float("inf"), first)]


class _Looks:
    """What is seen at some moments of a video."""

    def __init__(self, first: Found, templates: Templates, box):
        self.known = [first]
        self.drawn = [Drawn(first.skin, first.at.scale)]
        self.templates, self.box = templates, box
        self.times: list[float] = []
        self.which: list[int] = []  # of `known`, -1 for none
        self._lost: list[tuple[int, np.ndarray]] = []  # moments without a known overlay
        self._thorough = True  # whether the next search compares all places

    def add(self, time: float, picture: np.ndarray) -> None:
        """Looks at one moment."""
        self.times.append(time)
        scores = [
            compare(picture, drawn, found.at).score
            for drawn, found in zip(self.drawn, self.known, strict=True)
        ]
        best = int(np.argmax(scores))
        if scores[best] > SINGLE:
            self.which.append(best)
            self._thorough = True
            return
        self.which.append(-1)
        self._lost.append((len(self.which) - 1, picture))
        if len(self._lost) >= STASHED:
            self._search()

    def _search(self) -> None:
        """Looks for another overlay in the pictures in which the known ones are lost.

        All places are compared once after a loss; as long as it lasts, key points have to do, or
        an hour without an overlay would cost minutes.
        """
        if len(self._lost) >= 3:
            pictures = [picture for _, picture in self._lost]
            same = [picture for picture in pictures if picture.shape == pictures[0].shape]
            others = locate(same, self.templates, self.box, everywhere=self._thorough)
            self._thorough = bool(others)
            for found in [other for other in others if other.visible >= LEAST_VISIBLE][:1]:
                self.known.append(found)
                self.drawn.append(Drawn(found.skin, found.at.scale))
                for at, picture in self._lost:
                    if compare(picture, self.drawn[-1], found.at).score > SINGLE:
                        self.which[at] = len(self.known) - 1
        self._lost.clear()

    def parts(self) -> list[Part]:
        """Runs of moments with the same overlay, as seconds."""
        self._search()
        which = _steady(self.which)
        if not which:
            return []
        edges = [0.0]
        edges += [(a + b) / 2 for a, b in zip(self.times[:-1], self.times[1:], strict=True)]
        edges.append(float("inf"))
        parts: list[Part] = []
        for at, one in enumerate(which):
            start, end = edges[at], edges[at + 1]
            if one < 0:
                continue
            if parts and parts[-1].found is self.known[one] and parts[-1].end == start:
                parts[-1] = Part(parts[-1].start, end, self.known[one])
            else:
                parts.append(Part(start, end, self.known[one]))
        return [part for part in parts if part.end - part.start >= SHORTEST]


def _steady(which: Sequence[int]) -> list[int]:
    """The same without single moments that differ from both of their neighbours."""
    steady = list(which)
    for at in range(1, len(which) - 1):
        if which[at - 1] == which[at + 1] != which[at]:
            steady[at] = which[at - 1]
    return steady


def apart(found: Sequence[Found]) -> bool:
    """Whether two overlays are there at once."""
    return any(shared(found[0], other) < OTHER_BOX for other in found[1:])
