"""What a stick and a button look like, learned from the frames of their own video."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nitrogen_jax.labeling.discover import reader, spots, track
from nitrogen_jax.labeling.discover.levels import Steady
from nitrogen_jax.labeling.discover.reader import APRON, ButtonModel, StickModel
from nitrogen_jax.labeling.discover.spots import Spot
from nitrogen_jax.labeling.discover.sticks import Stick
from nitrogen_jax.labeling.planes import Planes

FRAMES = 360  # from which a stick is learned
ROUNDS = 2
NOISE = 3.0  # least scatter of luma, levels
SPREAD = (4.0, 3.0, 3.0)  # least scatter of a button's Y, U, V
ROOM = 1.15, 2  # times the travel, and pixels more, that a stick is looked for in
RIM = 94.0  # percentile of the shifts of a moving stick that is its travel


def window_of(stick: StickModel, luma: np.ndarray) -> np.ndarray:
    """(N, t, t) a stick's window of crops, in pieces that need little memory."""
    pieces = [
        reader.windows(stick, luma[at : at + reader.PIECE])
        for at in range(0, len(luma), reader.PIECE)
    ]
    return np.concatenate(pieces)


def stick(found: Stick, luma: np.ndarray) -> StickModel:
    """The model of a stick that was found, from crops (N, h, w)."""
    one = found.track
    centre = tuple(int(v) for v in np.add(one.centre, np.round(found.rest)))
    reach = int(np.ceil(ROOM[0] * found.travel)) + ROOM[1]
    side = 2 * one.half + 1
    empty = np.zeros((side + 2 * reach,) * 2, np.float32)
    model = StickModel(
        *("", centre, one.half, reach, one.sprite, one.spread, one.mask),
        *(empty, empty, np.zeros(2), found.travel),
        plain=found.plain,
    )
    luma = luma[:: max(1, len(luma) // FRAMES)]
    model = replace(model, steady=_steady(model, luma))
    view = window_of(model, luma)
    ground = np.median(view, 0)
    loose = np.maximum(1.4826 * np.median(np.abs(view - ground), 0), NOISE)
    return _learned(replace(model, ground=ground, loose=loose), view)


def moving(model: StickModel, luma: np.ndarray) -> StickModel:
    """The same, learned anew from crops (N, h, w)."""
    luma = luma[:: max(1, len(luma) // (2 * FRAMES))]
    model = replace(model, steady=_steady(model, luma))
    return _learned(model, window_of(model, luma))


def _learned(model: StickModel, view: np.ndarray) -> StickModel:
    for _ in range(ROUNDS):
        scores = track.scores(view, model)
        shift = np.round(track.peak(scores, model.reach)).astype(int)
        shift = np.clip(shift, -model.reach, model.reach)
        back = track.moved_back(view, shift, model.half, model.reach)
        sprite = np.median(back, 0)
        spread = np.maximum(1.4826 * np.median(np.abs(back - sprite), 0), NOISE)
        ground, loose = track.uncovered(view, shift, model.mask, model.reach, NOISE)
        model = replace(model, sprite=sprite, spread=spread, ground=ground, loose=loose)
    shift = track.peak(track.scores(view, model), model.reach)
    rest = track.rest_of(np.round(shift).astype(int))
    far = np.hypot(*(shift - rest).T)
    travel = float(np.percentile(far[far >= track.FAR], RIM)) if (far >= track.FAR).any() else 0.0
    near = shift[far < 1.0]
    middle = np.median(near, 0) if len(near) > 5 else rest
    return replace(model, rest=middle.astype(float), travel=travel or model.travel)


class Evidence(NamedTuple):
    """What crops say for a stick's being away from rest, as log-likelihoods.

    Attributes:
        clear: of a pixel in nearly all frames in which it is; a fifth may speak for it by less.
            What a game does behind edges that stay is now and then like a moving sprite, too, but
            never so clearly.
        whole: of all of it, in the mean of all frames; a model that takes a part for the whole
            explains fewer frames, by less.
        busy: share of frames in which it is.
    """

    clear: float
    whole: float
    busy: float


def evidence(model: StickModel, luma: np.ndarray) -> Evidence:
    """By crops (N, h, w)."""
    scores = track.scores(window_of(model, luma[:: max(1, len(luma) // FRAMES)]), model)
    shift = track.peak(scores, model.reach)
    x, y = np.round(model.rest).astype(int) + model.reach
    gain = scores.max((1, 2)) - scores[:, y, x]
    far = np.hypot(*(shift - model.rest).T) >= track.FAR
    if far.sum() < track.FEWEST:
        return Evidence(0.0, 0.0, 0.0)
    clear = float(np.percentile(gain[far], 20) / model.mask.sum())
    return Evidence(clear, float(gain.mean()), float(far.mean()))


def _steady(model: StickModel, luma: np.ndarray) -> Steady | None:
    """What takes the game away from its window; None where pictures are read as they are."""
    if model.plain:
        return None
    size = model.half + model.reach + APRON
    x, y = model.centre
    rows, columns = slice(max(y - size, 0), y + size + 1), slice(max(x - size, 0), x + size + 1)
    return Steady.told(luma[:, rows, columns])


def button(spot: Spot, name: str, planes: Planes) -> ButtonModel:
    """The model of a spot, from the crops in which it was found."""
    left, top, right, bottom = (edge // spots.CELL for edge in spot.box)
    rows, columns = (part.ravel() for part in np.mgrid[top:bottom, left:right])
    values = spots.cells(planes)[:, :, rows, columns]
    looks, spreads = [], []
    least = np.repeat(SPREAD, len(rows))
    for here in (~spot.pressed, spot.pressed):
        part = values[here].reshape(here.sum(), -1)
        middle = np.median(part, 0)
        looks.append(middle)
        spreads.append(np.maximum(1.4826 * np.median(np.abs(part - middle), 0), least))
    return ButtonModel(name, rows, columns, np.stack(looks), np.stack(spreads))
