"""Pictures of games behind overlays: a pool that is made once, and windows of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np

from nitrogen_jax.labeling.synth.footage import Footage

SIZE = 640, 360  # of a picture of the pool
EACH = 6  # pictures of one seed of the footage


class Grounds:
    """A pool of pictures.

    Attributes:
        pictures: (N, 360, 640, 3) uint8 RGB.
    """

    def __init__(self, pictures: np.ndarray):
        self.pictures = pictures
        self._small = np.stack([cv2.resize(p, (320, 180)) for p in pictures])

    @staticmethod
    def make(footage: Footage, seed: int, number: int) -> Grounds:
        """Pictures of footage, a few of each shot."""
        found: list[np.ndarray] = []
        for at in range(-(-number // EACH)):
            found += [f.copy() for f in islice(footage.frames(SIZE, 1.5, seed + at), EACH)]
        return Grounds(np.stack(found[:number]))

    def windows(self, rng: np.random.Generator, number: int, side: int) -> np.ndarray:
        """Squares of `side` pixels, pairs that follow each other: (number, 2, side, side, 3)."""
        found = np.empty((number, 2, side, side, 3), np.uint8)
        which = rng.integers(0, len(self.pictures), number)
        large = rng.random(number) < 0.5
        spot, moves = rng.random((number, 2)), rng.integers(-6, 7, (number, 2))
        still = rng.random(number) < 0.3
        moves[still] = 0
        for at in range(number):
            picture = (self.pictures if large[at] else self._small)[which[at]]
            room = picture.shape[0] - side, picture.shape[1] - side
            y, x = (int(share * most) for share, most in zip(spot[at], room, strict=True))
            for time in range(2):
                top = min(max(y + time * moves[at, 0], 0), room[0])
                left = min(max(x + time * moves[at, 1], 0), room[1])
                found[at, time] = picture[top : top + side, left : left + side]
        return found

    def moving(
        self, rng: np.random.Generator, height: int, width: int, frames: int
    ) -> Iterator[np.ndarray]:
        """A camera that drifts over a picture, with a cut every now and then."""
        left = 0
        for _ in range(frames):
            if not left:
                picture = self.pictures[rng.integers(len(self.pictures))]
                zoom = max(1.15 * width / SIZE[0], 1.15 * height / SIZE[1], rng.uniform(0.5, 1.5))
                picture = cv2.resize(picture, None, fx=zoom, fy=zoom)
                room = np.array([picture.shape[0] - height, picture.shape[1] - width], float)
                spot, speed = rng.random(2) * room, rng.normal(0, 2.0, 2) * (rng.random() > 0.2)
                left = int(rng.integers(10, 60))
            left -= 1
            spot = np.clip(spot + speed, 0, room)
            top, begin = (int(value) for value in spot)
            yield picture[top : top + height, begin : begin + width]
