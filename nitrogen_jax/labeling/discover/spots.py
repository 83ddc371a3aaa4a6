"""Spots of an overlay that switch between two looks: buttons, a d-pad's arms, shoulders, triggers.

Cells of 2 x 2 pixels have a usual value and leave it for another one. Cells that do so in the same
frames, and lie together, are one spot; in all of those frames it looks the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nitrogen_jax.labeling.discover import levels
from nitrogen_jax.labeling.planes import Planes

CELL = 2  # pixels
AROUND = 4.0  # cells whose level a cell of the background follows
ODD = 5.0  # standard deviations from the usual value, from which on a cell has left it
ODD_STEADY = 3.5  # the same without what follows the level around
LEAST_LEVELS = (10.0, 6.0, 6.0)  # of Y, U, V that a cell must change by, too
SCATTER = (1.5, 1.0, 1.0)  # least standard deviations
TOGETHER = 0.55  # frames that two cells share, of those in which either has changed
SAME = 0.6  # the same for two spots near one another, which are one then
NEAR = 0.09  # widths
FEWEST_CELLS = 4
FEWEST_FRAMES = 3
MOST_FRAMES = 0.7  # share of all frames
LARGEST = 0.3  # widths
ALIKE = 2.0  # the change must be so many times the scatter of what it changes to


@dataclass(frozen=True, eq=False)
class Spot:
    """Something that switches.

    Attributes:
        box: (left, top, right, bottom), pixels of the crop.
        centre: (x, y).
        pressed: (N,) bool.
        clear: by how many times its scatter it changes.
        partial: share of its pressed frames in which only a part of it has changed.
    """

    box: tuple[int, int, int, int]
    centre: tuple[float, float]
    pressed: np.ndarray
    clear: float
    partial: float


def cells(planes: Planes) -> np.ndarray:
    """(N, 3, h/2, w/2) float32 of Y, U and V."""
    y = planes.y
    half = y.reshape(len(y), y.shape[1] // 2, 2, y.shape[2] // 2, 2).mean((2, 4), dtype=np.float32)
    return np.concatenate([half[:, None], planes.uv.astype(np.float32)], 1)


def find(values: np.ndarray, allowed: np.ndarray, width: float) -> list[Spot]:
    """The spots, the clearest first.

    Args:
        values: (N, 3, h, w) of `cells`.
        allowed: (h, w) bool, cells of the overlay that no stick covers.
        width: of the overlay, pixels.
    """
    spots = []
    steady = np.stack([levels.steady(values[:, at], AROUND) for at in range(3)], 1)
    for looks, odd in ((values, ODD), (steady, ODD_STEADY)):
        changed = _changed(looks, odd) & allowed
        seeds = (changed.sum(0) >= FEWEST_FRAMES) & (changed.mean(0) < MOST_FRAMES)
        for group in _grouped(changed, seeds):
            spot = _spot((values, steady), changed, group, width)
            spots += [] if spot is None else [spot]
    spots = _merged(spots, width)
    spots.sort(key=lambda one: -one.clear)
    return spots


def _changed(values: np.ndarray, odd: float) -> np.ndarray:
    """(N, h, w) bool: where a cell is not as usual."""
    result = np.zeros((len(values), *values.shape[2:]), bool)
    for channel, (least, floor) in enumerate(zip(LEAST_LEVELS, SCATTER, strict=True)):
        plane = values[:, channel]
        middle = np.median(plane, 0)
        apart = np.abs(plane - middle)
        spread = np.maximum(1.4826 * np.median(apart, 0), floor)
        result |= (apart > odd * spread) & (apart > least)
    return result


def _grouped(changed: np.ndarray, seeds: np.ndarray) -> list[np.ndarray]:
    """Groups of neighbouring cells, (k, 2) rows and columns, that change together."""
    height, width = seeds.shape
    flat = changed.reshape(len(changed), -1)
    number = flat.sum(0)
    labels = np.arange(height * width)

    def root(at: int) -> int:
        while labels[at] != at:
            labels[at] = labels[labels[at]]
            at = labels[at]
        return at

    index = np.arange(height * width).reshape(height, width)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)):
        one = index[: height - dy, max(-dx, 0) : width - max(dx, 0)].ravel()
        other = index[dy:, max(dx, 0) : width + min(dx, 0)].ravel()
        keep = seeds.ravel()[one] & seeds.ravel()[other]
        one, other = one[keep], other[keep]
        if not len(one):
            continue
        both = (flat[:, one] & flat[:, other]).sum(0)
        alike = both / np.maximum(number[one] + number[other] - both, 1)
        for a, b in zip(one[alike > TOGETHER], other[alike > TOGETHER], strict=True):
            labels[root(a)] = root(b)
    roots = np.array([root(at) if seeds.flat[at] else -1 for at in range(height * width)])
    groups = []
    for label, count in zip(*np.unique(roots[roots >= 0], return_counts=True), strict=True):
        if count >= FEWEST_CELLS:
            groups.append(np.stack(np.divmod(np.flatnonzero(roots == label), width), 1))
    return groups


def _spot(both, changed: np.ndarray, group: np.ndarray, width: float) -> Spot | None:
    rows, columns = group.T
    top, left = group.min(0) * CELL
    bottom, right = (group.max(0) + 1) * CELL
    if max(bottom - top, right - left) > LARGEST * width:
        return None
    part = changed[:, rows, columns].mean(1)
    pressed = part > 0.5
    if pressed.sum() < FEWEST_FRAMES or pressed.mean() > MOST_FRAMES:
        return None
    clear = max(_clear(values[:, :, rows, columns], pressed) for values in both)
    if clear < ALIKE:
        return None
    partial = float(((part > 0.15) & (part < 0.6)).sum() / max((part > 0.15).sum(), 1))
    centre = (left + right) / 2, (top + bottom) / 2
    return Spot((int(left), int(top), int(right), int(bottom)), centre, pressed, clear, partial)


def _clear(looks: np.ndarray, pressed: np.ndarray) -> float:
    """By how many times its scatter a spot changes, (N, 3, k) of its cells."""
    looks = looks.reshape(len(looks), -1)
    on, off = np.median(looks[pressed], 0), np.median(looks[~pressed], 0)
    step = on - off
    along = (looks - off) @ step / max(step @ step, 1e-6)
    scatter = np.sqrt(along[pressed].var() + along[~pressed].var() + 1e-4)
    # What differs from the pressed look, across the step: a game's pictures are all different.
    rest = looks[pressed] - off - along[pressed, None] * step
    across = np.sqrt((rest**2).sum(1).mean() / max(step @ step, 1e-6))
    return float(1 / (scatter + across))


def _merged(spots: list[Spot], width: float) -> list[Spot]:
    """Spots that are pressed at the same times and touch are one: a ring and the letter in it."""
    left = sorted(spots, key=lambda one: -one.pressed.sum())
    merged: list[Spot] = []
    for one in left:
        for at, other in enumerate(merged):
            both = (one.pressed & other.pressed).sum()
            alike = both / max((one.pressed | other.pressed).sum(), 1)
            if alike > SAME and _gap(one.box, other.box) < NEAR * width / 2:
                merged[at] = _joined(one, other)
                break
        else:
            merged.append(one)
    return merged


def _gap(one, other) -> float:
    across = max(one[0] - other[2], other[0] - one[2], 0)
    down = max(one[1] - other[3], other[1] - one[3], 0)
    return float(np.hypot(across, down))


def _joined(one: Spot, other: Spot) -> Spot:
    box = (
        *(min(a, b) for a, b in zip(one.box[:2], other.box[:2], strict=True)),
        *(max(a, b) for a, b in zip(one.box[2:], other.box[2:], strict=True)),
    )
    best = max(one, other, key=lambda spot: spot.clear)
    centre = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    partial = max(one.partial, other.partial)
    return Spot(box, centre, best.pressed, best.clear, partial)


def within(size: tuple[int, int], box: tuple[int, int, int, int], sticks) -> np.ndarray:
    """(h/2, w/2) bool: cells in a box, without those that sticks cover.

    Args:
        size: (h, w) pixels of the crop.
        sticks: (x, y, radius) each.
    """
    mask = np.zeros(size, np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    for x, y, radius in sticks:
        cv2.circle(mask, (round(x), round(y)), round(radius), 0, -1)
    return mask[::2, ::2].astype(bool)
