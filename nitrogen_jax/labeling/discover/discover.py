"""Finds an overlay whose skin is not known, and learns from the video how to read it.

Regions whose edges stay while the game changes are candidates. One that holds something that moves
like a stick, and a second one or spots that switch, is an overlay; anything less is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nitrogen_jax.labeling.discover import (
    frames,
    learn,
    levels,
    names,
    reader,
    regions,
    spots,
    sticks,
    twin,
)
from nitrogen_jax.labeling.discover.frames import Crops
from nitrogen_jax.labeling.discover.reader import Made, StickModel
from nitrogen_jax.labeling.discover.regions import Still

FRAMES = 800  # from which an overlay is learned
PAIRS = 70  # of neighbouring frames in which sticks are looked for
SURE_SPOT = 4.4  # times its scatter by which a spot changes
PRESSED = 5  # frames in which a spot was seen pressed, at least
APART = 0.2  # widths between two sticks, at least
CLEAR = 6.0  # of `learn.Evidence.clear` for a stick
SECOND = 2.0  # the same for a second stick
ALIKE_FAR = 0.55, 1.8  # times the travel of the other stick
TRAVELS_ALIKE = 0.2  # scatter of the logarithm of that
ALONE = 8.0  # the same for one that is enough by itself
ALIKE = 0.7  # of what looks like the stick, to stand for a second one
WIDEST = 1.9  # heights
RADII = 1.15  # of a stick's sprite, within which nothing else is looked for


def discover(
    path: Path,
    pictures: Sequence[np.ndarray],
    box: tuple[float, float, float, float] | None = None,
) -> Made | None:
    """The overlay of a video and how to read it; None where nothing is surely one.

    Args:
        pictures: (H, W, 3) uint8 RGB, spread over the video.
        box: (x, y, width, height) where it lies, if that is known.

    Raises:
        video.Damaged: the video cannot be decoded.
    """
    if box is None:
        candidates = regions.regions(regions.edges(pictures))
    else:
        candidates = [regions.given(box, pictures[0].shape[:2])]
        candidates = [one for one in candidates if min(one.region.shape) > 16]
    if not candidates:
        return None
    crops = frames.crops(path, [one.region for one in candidates], FRAMES)
    made = [learned(still, crop) for still, crop in zip(candidates, crops, strict=True)]
    there = [one for one in made if one is not None]
    return max(there, key=lambda one: one.worth, default=None)


def learned(still: Still, crops: Crops) -> Made | None:
    """What is learned of one region; None where it is no overlay."""
    luma, region = crops.planes.y, crops.region
    box = (
        still.box.left - region.left,
        still.box.top - region.top,
        still.box.right - region.left,
        still.box.bottom - region.top,
    )
    # NOTE: something beside it may have been taken for a part of it; pads are hardly wider.
    width = float(min(box[2] - box[0], WIDEST * (box[3] - box[1])))
    some = luma[_pairs(len(luma))]
    rated = _apart([_rated(one, luma, width) for one in sticks.find(some, width)], APART * width)
    if not rated:
        return None
    sure, models = rated[0].clear, [one.model for one in rated]
    second = None
    if len(models) == 1:
        second = twin.find(models[0], luma, box, width)
        moves = second is not None and second.moves * len(luma) >= twin.FEWEST
        if moves and second.alike >= ALIKE:
            moving = learn.moving(second.model, luma)
            if _second(models[0], moving, learn.evidence(moving, luma).clear):
                models.append(moving)
    covered = [(*one.centre, _radius(one) * RADII + one.travel + 1) for one in models]
    if second is not None and len(models) == 1:
        covered.append((*second.model.centre, _radius(models[0]) * RADII))
    inside = spots.within(luma.shape[1:], box, covered)
    switches = [
        spot
        for spot in spots.find(spots.cells(crops.planes), inside, width)
        if spot.clear >= SURE_SPOT and spot.pressed.sum() >= PRESSED
    ]
    alike = second is not None and second.alike >= ALIKE
    lone = len(models) < 2 and not switches and not alike
    if lone and sure < ALONE:
        return None
    models = _sided(models, box, width, rated[0].busy)
    centres = {one.side: _in_widths(one.centre, box, width) for one in models}
    if len(models) == 1 and second is not None:
        other = "right" if models[0].side == "left" else "left"
        centres[other] = _in_widths(second.model.centre, box, width)
    placed = [
        names.Placed(
            _in_widths(spot.centre, box, width),
            ((spot.box[2] - spot.box[0]) / width, (spot.box[3] - spot.box[1]) / width),
            spot.partial,
        )
        for spot in switches
    ]
    called = names.buttons(placed, centres, _drawn(luma, box, width))
    buttons = tuple(learn.button(switches[at], name, crops.planes) for at, name in called.items())
    return Made(
        region,
        (still.box.left, still.box.top, width, float(box[3] - box[1])),
        tuple(models),
        buttons,
        reader.still_edges(luma, box),
        float(np.clip(0.4 + sure / 40, 0, 1)),
    )


class _Rated(NamedTuple):
    """A stick, what a pixel of it says for it, how likely it is one, of several, and its use."""

    model: StickModel
    clear: float
    likely: float
    busy: float


def _rated(found: sticks.Stick, luma: np.ndarray, width: float) -> _Rated:
    model = learn.stick(found, luma)
    says = learn.evidence(model, luma)
    like = found.worth * sticks.within_reach(model.travel, width)
    return _Rated(model, says.clear, like * says.whole, says.busy)


def _apart(rated: Sequence[_Rated], far: float) -> list[_Rated]:
    """The likeliest stick that is clear, or the likeliest two, so many pixels apart.

    Where there is one stick, another one is likely, and needs to be less clear; sticks of one pad
    travel alike, which tells of several ways to see each of them.
    """
    good = sorted((one for one in rated if one.likely > 0), key=lambda one: -one.likely)
    first = [one for one in good if one.clear >= CLEAR]
    best, chosen = -np.inf, first[:1]
    for one in first:
        for other in good:
            apart = np.hypot(*np.subtract(_rest(other.model), _rest(one.model)))
            if apart <= far or not _second(one.model, other.model, other.clear):
                continue
            alike = np.log(other.model.travel / one.model.travel) / TRAVELS_ALIKE
            score = np.log(one.likely) + np.log(other.likely) * np.exp(-0.5 * alike**2)
            if score > best:
                best, chosen = score, [one, other]
    return chosen


def _second(first: StickModel, other: StickModel, clear: float) -> bool:
    """Whether another stick is one: it travels about as far, and what is hardly seen to move is
    the right one, because the left one is used more."""
    low, high = ALIKE_FAR
    alike = low < other.travel / max(first.travel, 1e-6) < high
    right = _rest(other)[0] > _rest(first)[0]
    return bool(alike and (clear >= CLEAR or (clear >= SECOND and right)))


def _rest(one: StickModel) -> np.ndarray:
    return np.add(one.centre, one.rest)


def _pairs(number: int) -> np.ndarray:
    """Rows of PAIRS pairs of neighbours, spread over pairs that are there."""
    first = np.unique(np.linspace(0, number // 2 - 1, PAIRS).astype(int)) * 2
    return np.stack([first, first + 1], 1).ravel()


def _sided(models: list[StickModel], box, width: float, busy: float) -> list[StickModel]:
    """Models with their sides; two of about the same size have the same travel."""
    places = [_in_widths(tuple(_rest(one)), box, width) for one in models]
    which = names.sides(places, busy)
    sided = [replace(one, side=side) for one, side in zip(models, which, strict=False)]
    if len(sided) == 2 and max(map(_radius, sided)) < 1.3 * min(map(_radius, sided)):
        travel = max(one.travel for one in sided)
        sided = [replace(one, travel=travel) for one in sided]
    return sided


def _radius(stick: StickModel) -> float:
    return float(np.sqrt(stick.mask.sum() / np.pi))


def _in_widths(point, box, width: float) -> tuple[float, float]:
    return (point[0] - box[0]) / width, (point[1] - box[1]) / width


def _drawn(luma: np.ndarray, box, width: float) -> names.Drawn:
    """How much is drawn around a place, against what is drawn on average."""
    median = np.median(luma[:: max(1, len(luma) // 100)], 0).astype(np.float32)
    fine = np.minimum(np.abs(levels.detail(median)), 40)
    usual = max(float(fine[box[1] : box[3], box[0] : box[2]].mean()), 1e-3)

    def drawn(u: float, v: float, radius: float) -> float:
        x, y, r = box[0] + u * width, box[1] + v * width, max(round(radius * width), 1)
        left, top = round(x) - r, round(y) - r
        part = fine[max(top, 0) : top + 2 * r + 1, max(left, 0) : left + 2 * r + 1]
        return float(part.mean()) / usual if part.size else 0.0

    return drawn
