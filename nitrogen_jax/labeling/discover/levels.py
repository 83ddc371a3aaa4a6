"""What each pixel of a crop does over time, once the game behind the overlay is taken away.

A pixel of an overlay is `colour + (1 - alpha) * game`. What it has of the game follows the level
of its surroundings; that part is found by least squares over time and subtracted. What stays of an
opaque pixel is its colour, of an edge that is drawn over everything the edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

AROUND = 6.0  # pixels of the surroundings' level
FINE = 4.0  # pixels; wider structures are no detail
LEAST_CHANGE = 0.08  # share of frames in which a pixel is not as usual, that says nothing
LEAST_EDGE = 6.0  # levels
LEVELS = 64


@dataclass(frozen=True, eq=False)
class Steady:
    """How much each pixel follows the level around it.

    Attributes:
        share: (h, w) of that level's changes, 0..1.
        level: (h, w) its mean.
        sigma: of the surroundings, pixels.
    """

    share: np.ndarray
    level: np.ndarray
    sigma: float = AROUND

    @staticmethod
    def told(frames: np.ndarray, sigma: float = AROUND) -> Steady:
        """By frames (N, h, w)."""
        size, number = frames.shape[1:], len(frames)
        mean, level, both, own = (np.zeros(size, np.float64) for _ in range(4))
        for frame in frames:
            frame = frame.astype(np.float32)
            around = _blurred(frame, sigma)
            mean += frame
            level += around
            both += frame * around
            own += around * around
        mean, level, both, own = (part / number for part in (mean, level, both, own))
        share = np.clip((both - mean * level) / (own - level**2 + 4), 0, 1)
        return Steady(share.astype(np.float32), level.astype(np.float32), sigma)

    def cut(self, rows: slice, columns: slice) -> Steady:
        """The same of a part of the picture."""
        return Steady(self.share[rows, columns], self.level[rows, columns], self.sigma)

    def of(self, frames: np.ndarray) -> np.ndarray:
        """(N, h, w) float32: frames without what follows the level around."""
        result = frames.astype(np.float32)
        for frame in result:
            frame -= self.share * (_blurred(frame, self.sigma) - self.level)
        return result


def steady(frames: np.ndarray, sigma: float = AROUND) -> np.ndarray:
    """(N, h, w) float32: frames (N, h, w) without what follows the level around."""
    return Steady.told(frames, sigma).of(frames)


def detail(picture: np.ndarray) -> np.ndarray:
    """What is finer than FINE of (h, w) float32."""
    return picture - _blurred(picture, FINE)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def scatter(values: np.ndarray) -> float:
    """By how much a pixel of the overlay scatters, in levels: of most of those on edges."""
    middle = np.median(values, 0)
    apart = 1.4826 * np.median(np.abs(values - middle), 0)
    edges = np.hypot(cv2.Sobel(middle, -1, 1, 0), cv2.Sobel(middle, -1, 0, 1)) / 8 > LEAST_EDGE
    return float(np.clip(np.median(apart[edges]) if edges.any() else 4.0, 1.5, 12.0))


def activity(values: np.ndarray, noise: float) -> np.ndarray:
    """(h, w) how much a pixel has one usual value, which is that of an edge, and leaves it.

    Args:
        values: (N, h, w) of `steady`.
        noise: of `scatter`.
    """
    step = max(4.0, 1.5 * noise)
    index = np.clip(np.round(values / step), 0, LEVELS - 1).astype(np.uint8)
    top = int(index.max()) + 1
    counts = np.stack([(index == level).sum(0, dtype=np.int32) for level in range(top + 1)])
    wide = counts.copy()
    wide[1:] += counts[:-1]
    wide[:-1] += counts[1:]
    usual = wide.argmax(0)
    share = 1 - np.take_along_axis(wide, usual[None], 0)[0] / len(values)
    edge = np.abs(detail(usual.astype(np.float32) * step))
    return np.clip(share - LEAST_CHANGE, 0, 0.6) * np.clip(edge / (2 * LEAST_EDGE) - 0.5, 0, 1)
