"""Reads an overlay with what was learned from its own video."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nitrogen_jax.labeling.discover import levels, track
from nitrogen_jax.labeling.discover.levels import Steady
from nitrogen_jax.labeling.fit.model import AXIS
from nitrogen_jax.labeling.fit.read import Reading
from nitrogen_jax.labeling.fit.settle import Settled, settle
from nitrogen_jax.labeling.planes import Planes
from nitrogen_jax.labeling.skins.draw import Region
from nitrogen_jax.labeling.skins.skin import Element

PIECE = 256  # frames at a time
APRON = 14  # pixels around a stick's window, for its surroundings' level
TIED = 3.0  # pixels that tell the same
MOST = 9.0  # of a cell's squared deviation
THERE = (0.1, 0.35)  # how alike the edges are of an overlay that is gone, and of one that is there
LEAST_TRUST, MOST_TRUST = 0.4, 0.8  # confidence that what was learned from a video can give

_BLANK = np.zeros((1, 1, 4), np.uint8)


@dataclass(frozen=True, eq=False)
class StickModel:
    """A stick: where it rests, and what it looks like.

    Attributes:
        centre, half, reach: of its window, pixels of the crop.
        sprite, spread, mask: (s, s), s = 2 half + 1.
        ground, loose: (t, t) background and its scatter, t = s + 2 reach.
        rest: (2,) shift at rest.
        travel: pixels.
        steady: of its window and APRON around it.
        plain: whether it is read in pictures as they are, and not in their details.
    """

    side: str
    centre: tuple[int, int]
    half: int
    reach: int
    sprite: np.ndarray
    spread: np.ndarray
    mask: np.ndarray
    ground: np.ndarray
    loose: np.ndarray
    rest: np.ndarray
    travel: float
    steady: Steady | None = None
    plain: bool = False

    def element(self) -> Element:
        """What `settle` has to know of it."""
        return Element("stick", f"{self.side}_stick", (0, 0), (_BLANK, _BLANK), None, self.side)


@dataclass(frozen=True, eq=False)
class ButtonModel:
    """A button: its cells, and how they look released and pressed.

    Attributes:
        rows, columns: (k,) cells of 2 x 2 pixels.
        looks: (2, 3 k) levels, released and pressed.
        spread: (2, 3 k) their scatter.
    """

    button: str
    rows: np.ndarray
    columns: np.ndarray
    looks: np.ndarray
    spread: np.ndarray

    def element(self) -> Element:
        """What `settle` has to know of it."""
        pressed = np.full((1, 1, 4), 255, np.uint8)
        return Element("button", self.button, (0, 0), (_BLANK, pressed), self.button)


@dataclass(frozen=True, eq=False)
class Made:
    """An overlay that was learned from its own video.

    Attributes:
        region: of the picture, that is read.
        box: (x, y, width, height) of the overlay in the picture.
        still: (h, w) its edges, zero elsewhere.
        worth: 0..1, how sure it is that it is one.
    """

    region: Region
    box: tuple[float, float, float, float]
    sticks: tuple[StickModel, ...]
    buttons: tuple[ButtonModel, ...]
    still: np.ndarray
    worth: float


@dataclass(frozen=True)
class _Seen:
    element: Element


def read(made: Made, crops: Planes, seconds: float = 1 / 30) -> Settled:
    """The states that crops (N, ...) of the region show, frames so many seconds apart."""
    readings = [read_stick(stick, crops.y) for stick in made.sticks]
    readings += [read_button(button, crops) for button in made.buttons]
    models = [_Seen(one.element()) for one in (*made.sticks, *made.buttons)]
    settled = settle(models, readings, seconds=seconds)  # type: ignore[arg-type]
    sure = present(made.still, crops.y) * (LEAST_TRUST + (MOST_TRUST - LEAST_TRUST) * made.worth)
    return Settled(settled.states, settled.confidence * sure, settled.each)


def windows(stick: StickModel, luma: np.ndarray) -> np.ndarray:
    """(N, t, t) fine details of a stick's window in crops (N, h, w), or all of it if plain."""
    size = stick.half + stick.reach
    x, y = stick.centre
    if stick.plain:
        return track.window(luma, stick.centre, size).astype(np.float32)
    rows = slice(max(y - size - APRON, 0), y + size + APRON + 1)
    columns = slice(max(x - size - APRON, 0), x + size + APRON + 1)
    part = luma[:, rows, columns]
    part = part.astype(np.float32) if stick.steady is None else stick.steady.of(part)
    fine = np.stack([levels.detail(one).clip(-track.GAME, track.GAME) for one in part])
    return track.window(fine, (x - columns.start, y - rows.start), size)


def read_stick(stick: StickModel, luma: np.ndarray) -> Reading:
    """Where a stick is in crops (N, h, w)."""
    values, gaps, energies, grids = [], [], [], []
    for start in range(0, len(luma), PIECE):
        window = windows(stick, luma[start : start + PIECE])
        scores = track.scores(window, stick) / TIED
        shift = track.peak(scores, stick.reach)
        moved = np.clip((shift - stick.rest) / stick.travel, -1.1, 1.1)
        values.append(np.concatenate([moved, np.zeros((len(moved), 1))], 1))
        x, y = np.round(stick.rest).astype(int) + stick.reach
        gaps.append(scores.max((1, 2)) - scores[:, y, x])
        grids.append(_on_grid(scores, stick))
        back = track.moved_back(window, np.round(shift).astype(int), stick.half, stick.reach)
        left = ((back - stick.sprite) / stick.spread) ** 2
        energies.append((left * stick.mask).sum((1, 2)) / stick.mask.sum())
    press = np.full((len(luma), 1), -np.inf)
    value = np.concatenate(values).astype(np.float32)
    gap, energy, grid = (np.concatenate(part) for part in (gaps, energies, grids))
    return Reading(value, gap, energy, press, 0.0, grid)


def _on_grid(scores: np.ndarray, stick: StickModel) -> np.ndarray:
    """(N, GRID * GRID) the best of (N, s, s) scores of shifts near each of a grid's positions."""
    axis = AXIS * stick.travel
    half = max((axis[1] - axis[0]) / 2, 0.5)
    shifts = np.arange(-stick.reach, stick.reach + 1)
    spans = []
    for rest in (stick.rest[1], stick.rest[0]):
        low = np.searchsorted(shifts, axis + rest - half)
        high = np.searchsorted(shifts, axis + rest + half, "right")
        low = np.clip(low, 0, len(shifts) - 1)
        spans.append([slice(a, max(b, a + 1)) for a, b in zip(low, high, strict=True)])
    rows = np.stack([scores[:, span].max(1) for span in spans[0]], 1)
    grid = np.stack([rows[:, :, span].max(2) for span in spans[1]], 2)
    return grid.reshape(len(scores), -1)


def read_button(button: ButtonModel, crops: Planes) -> Reading:
    """Whether a button is pressed in crops (N, ...)."""
    top, left = 2 * button.rows, 2 * button.columns
    y = sum(crops.y[:, top + dy, left + dx].astype(np.float32) for dy in (0, 1) for dx in (0, 1))
    uv = crops.uv[:, :, button.rows, button.columns].astype(np.float32)
    values = np.concatenate([y / 4, uv[:, 0], uv[:, 1]], 1)
    apart = [
        np.minimum(((values - look) / spread) ** 2, MOST)
        for look, spread in zip(button.looks, button.spread, strict=True)
    ]
    levels_ = 2 * np.log(button.spread).sum(1)
    press = (apart[0].sum(1) + levels_[0] - apart[1].sum(1) - levels_[1]) / TIED
    best = np.minimum(apart[0].mean(1), apart[1].mean(1))
    value = (press > 0).astype(np.float32)[:, None]
    scores = np.stack([np.zeros_like(press), press], 1)
    return Reading(value, np.maximum(press, 0), best, press[:, None], 0.0, scores)


def present(still: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """(N,) 0..1 whether the overlay is there at all, by its edges."""
    places = still != 0
    wanted = still[places]
    alike = np.empty(len(luma), np.float32)
    for at, frame in enumerate(luma):
        seen = levels.detail(frame.astype(np.float32))[places]
        alike[at] = seen @ wanted / max(np.linalg.norm(seen) * np.linalg.norm(wanted), 1e-6)
    return np.clip((alike - THERE[0]) / (THERE[1] - THERE[0]), 0, 1)


def still_edges(luma: np.ndarray, box: tuple[int, int, int, int], most: int = 1500) -> np.ndarray:
    """(h, w) the strongest edges of the median picture of crops, zero elsewhere."""
    fine = levels.detail(np.median(luma[:: max(1, len(luma) // 100)], 0).astype(np.float32))
    inside = np.zeros(fine.shape, np.uint8)
    cv2.rectangle(inside, (box[0], box[1]), (box[2] - 1, box[3] - 1), 1, -1)
    strong = np.abs(fine) * inside
    least = np.partition(strong.ravel(), -min(most, strong.size))[-min(most, strong.size)]
    return np.where(strong >= max(least, 3.0), fine, 0.0).astype(np.float32)
