"""Where a picture has drawn edges that stay while the game behind them changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from nitrogen_jax.labeling.skins.draw import Region

FINE = 3.0  # pixels; wider structures are no edges
LEAST = 6.0  # levels of an edge
STEADY = 6.0  # times the error of its mean by which an edge stands out
GAP = 0.011  # of the picture's width, over which edges belong together
NARROWEST = 9  # pixels of that, at least
SMALLEST = (64, 36)  # pixels of an overlay, width and height
LARGEST = 0.5  # of the picture's height or width
MOST_STILL = 0.25  # share of the picture that may stand still
MOST_REGIONS = 4
MARGIN = 8  # pixels


class Still(NamedTuple):
    """A region of a picture that may be an overlay.

    Attributes:
        region: pixels, with a margin.
        box: (left, top, right, bottom) of its edges.
        edges: how many pixels are on them.
    """

    region: Region
    box: Region
    edges: int


def edges(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W) bool: pixels of edges that stay.

    Args:
        pictures: (H, W, 3) uint8 RGB.
    """
    total = square = None
    for picture in pictures:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        fine = grey - cv2.GaussianBlur(grey, (0, 0), FINE, borderType=cv2.BORDER_REFLECT)
        if total is None:
            total, square = np.zeros_like(fine), np.zeros_like(fine)
        total += fine
        square += fine * fine
    mean = total / len(pictures)
    spread = np.sqrt(np.maximum(square / len(pictures) - mean * mean, 0)) + 1
    error = spread / np.sqrt(len(pictures))
    return (np.abs(mean) > LEAST) & (np.abs(mean) > STEADY * error)


def regions(still: np.ndarray) -> list[Still]:
    """Candidates for an overlay, those with most edges first; none where much stands still.

    Args:
        still: (H, W) bool, of `edges`.
    """
    if still.mean() > MOST_STILL:
        return []
    height, width = still.shape
    gap = 2 * max(round(GAP * width), NARROWEST) + 1
    # NOTE: a single pixel that stays by chance ties nothing together.
    clean = cv2.filter2D(still.astype(np.uint8), -1, np.ones((3, 3), np.uint8)) * still >= 3
    closed = cv2.morphologyEx(
        np.pad(clean.astype(np.uint8), gap), cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8)
    )[gap:-gap, gap:-gap]
    number, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    found = []
    for one in range(1, number):
        x, y, w, h, _ = stats[one]
        if w < SMALLEST[0] or h < SMALLEST[1] or w > LARGEST * width or h > LARGEST * height:
            continue
        inside = int((clean[y : y + h, x : x + w] & (labels[y : y + h, x : x + w] == one)).sum())
        found.append(_still(Region(x, y, x + w, y + h), (height, width), inside))
    found.sort(key=lambda one: -one.edges)
    return found[:MOST_REGIONS]


def given(box: tuple[float, float, float, float], size: tuple[int, int]) -> Still:
    """The region of a box (x, y, width, height) in a picture of (height, width)."""
    x, y, wide, high = box
    left, top = max(round(x), 0), max(round(y), 0)
    right, bottom = min(round(x + wide), size[1]), min(round(y + high), size[0])
    return _still(Region(left, top, max(right, left), max(bottom, top)), size, 0)


def _still(box: Region, size: tuple[int, int], number: int) -> Still:
    region = Region(
        max(box.left - MARGIN, 0) // 2 * 2,
        max(box.top - MARGIN, 0) // 2 * 2,
        min(box.right + MARGIN, size[1]) // 2 * 2,
        min(box.bottom + MARGIN, size[0]) // 2 * 2,
    )
    return Still(region, Region(*map(int, box)), number)
