"""Compares skins with a picture at every place and many scales: slow, and blind to nothing."""

from __future__ import annotations

import cv2
import numpy as np

from nitrogen_jax.labeling.locate.align import GREY, Drawn, detail
from nitrogen_jax.labeling.locate.vote import Candidate
from nitrogen_jax.labeling.skins.draw import Placement, Region
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import Skin

WIDTHS = (60.0, 420.0)  # of overlays, in pixels of a picture 720 high
STEP = 1.09  # from one scale to the next
MOST = 80  # layouts; with more, it would take minutes
KEPT = 3  # candidates
REDUCED = 640  # pixels of the picture's width while it is searched


def everywhere(
    picture: np.ndarray, library: Library, mask: np.ndarray | None = None
) -> list[Candidate]:
    """The places whose correlation is least by chance, best first.

    Args:
        picture: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, 0 where nothing is looked for.
    """
    layouts: dict[str, Skin] = {}
    for skin in library.skins:
        layouts.setdefault(skin.geometry, skin)
    shrink = max(picture.shape[1] / REDUCED, 1.0)
    size = round(picture.shape[1] / shrink), round(picture.shape[0] / shrink)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    left = top = 0
    if mask is not None:
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        if not len(rows) or not len(columns):
            return []
        top, left = int(rows[0] / shrink), int(columns[0] / shrink)
        small = small[top : int(rows[-1] / shrink) + 1, left : int(columns[-1] / shrink) + 1]
    field = detail(small @ GREY)
    found: list[tuple[float, Candidate]] = []
    unit = picture.shape[0] / 720
    for skin in list(layouts.values())[:MOST]:
        width = WIDTHS[0] * unit
        drawn = Drawn(skin, WIDTHS[1] * unit / shrink / skin.size[0])
        while width <= WIDTHS[1] * unit:
            best = _best(field, drawn, width / shrink / skin.size[0])
            if best is not None:
                score, scale, x, y = best
                at = Placement(scale * shrink, (x + left) * shrink, (y + top) * shrink)
                found.append((score, Candidate(skin, at, 0)))
            width *= STEP
    kept: list[Candidate] = []
    for _, one in sorted(found, key=lambda one: -one[0]):
        if not any(_same(one, other) for other in kept):
            kept.append(one)
    return kept[:KEPT]


def _same(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates are neighbours: refinement leads from both to the same place."""
    (x, y, wide, high), there = one.at.box(one.skin), other.at.box(other.skin)
    far = abs(x + wide / 2 - there[0] - there[2] / 2) + abs(y + high / 2 - there[1] - there[3] / 2)
    close = 1 / STEP**1.5 < wide / there[2] < STEP**1.5
    return one.skin is other.skin and close and far < 0.1 * wide


def _best(
    field: np.ndarray, drawn: Drawn, scale: float
) -> tuple[float, float, float, float] | None:
    """(how little by chance, scale, x, y) of the best place of a skin at a scale.

    Few pixels correlate with anything somewhere: correlations count by what is usual for their
    number (Fisher's z).
    """
    skin = drawn.skin
    wide, high = round(skin.size[0] * scale), round(skin.size[1] * scale)
    if wide < 16 or high < 12 or wide > field.shape[1] or high > field.shape[0]:
        return None
    layers = drawn.at(Placement(scale, 0.0, 0.0), Region(0, 0, wide, high))
    # Over a background of middle grey: the level changes contrasts and no place.
    wanted = detail(layers[..., :3] @ GREY - 110 * layers[..., 3])
    if np.abs(wanted).max() < 1:
        return None
    similar = cv2.matchTemplate(field, wanted, cv2.TM_CCOEFF_NORMED)
    similar[~np.isfinite(similar)] = 0
    y, x = np.unravel_index(similar.argmax(), similar.shape)
    unusual = np.arctanh(min(float(similar[y, x]), 0.999)) * np.sqrt(wide * high)
    return float(unusual), scale, float(x), float(y)
