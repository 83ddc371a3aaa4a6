"""The second stick, which looks like the first: it may be used for moments only."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from nitrogen_jax.labeling.discover import levels, track
from nitrogen_jax.labeling.discover.learn import window_of
from nitrogen_jax.labeling.discover.reader import StickModel

ALIKE = 0.55  # correlation of its picture with that of the first
APART = 0.2  # widths
UNKNOWN = 30.0  # scatter of a background that was never seen, levels
SURE = 40.0  # log-likelihood by which a shift beats rest
FEWEST = 4  # frames in which it moves


class Twin(NamedTuple):
    """Something that looks like a stick.

    Attributes:
        alike: correlation, -1..1.
        moves: share of frames in which it is away from rest.
    """

    model: StickModel
    alike: float
    moves: float


def find(
    first: StickModel, luma: np.ndarray, box: tuple[int, int, int, int], width: float
) -> Twin | None:
    """What looks most like a stick elsewhere in crops (N, h, w), within a box of the crop."""
    median = levels.detail(np.median(luma[:: max(1, len(luma) // 150)], 0).astype(np.float32))
    sprite = np.ascontiguousarray(first.sprite, np.float32)
    if min(np.subtract(median.shape, sprite.shape)) < 1:
        return None
    mask = np.ascontiguousarray(first.mask, np.float32)
    alike = cv2.matchTemplate(median, sprite, cv2.TM_CCORR_NORMED, mask=mask)
    alike = np.nan_to_num(alike, nan=0.0, posinf=0.0, neginf=0.0)
    y, x = np.mgrid[: alike.shape[0], : alike.shape[1]] + first.half
    far = np.abs(x - first.centre[0]) > APART * width  # one for each hand
    inside = (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
    alike = np.where(far & inside, alike, -1.0)
    row, column = np.unravel_index(alike.argmax(), alike.shape)
    if alike[row, column] < ALIKE:
        return None
    centre = int(column) + first.half, int(row) + first.half
    model = _at(first, centre, luma)
    view = window_of(model, luma)
    scores = track.scores(view, model)
    gain = scores.max((1, 2)) - scores[:, model.reach, model.reach]
    shift = track.peak(scores, model.reach)
    moves = (gain > SURE) & (np.hypot(*shift.T) >= track.FAR)
    return Twin(model, float(alike[row, column]), float(moves.mean()))


def _at(first: StickModel, centre: tuple[int, int], luma: np.ndarray) -> StickModel:
    model = replace(first, side="", centre=centre, rest=np.zeros(2), steady=None)
    view = window_of(model, luma[:: max(1, len(luma) // 200)])
    ground = np.median(view, 0)
    loose = np.maximum(1.4826 * np.median(np.abs(view - ground), 0), 3.0)
    inner = slice(model.reach, model.reach + 2 * model.half + 1)
    loose[inner, inner] = np.where(model.mask > 0, UNKNOWN, loose[inner, inner])
    return replace(model, ground=ground, loose=loose)
