"""Finds the overlay in some frames of a video: which skin, where, how opaque; or none at all.

First the median picture of the frames is searched, in which the game is gone and the overlay stays;
where a display of the game lies below the overlay and stays too, single frames are; and where key
points (SIFT's, then XFeat's) fail on small or faint overlays, every skin is compared with the
median picture everywhere. A candidate counts if its details agree with the picture and with most
single frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from nitrogen_jax.labeling.locate import by_xfeat, search
from nitrogen_jax.labeling.locate.align import Drawn, compare, refine
from nitrogen_jax.labeling.locate.features import sift
from nitrogen_jax.labeling.locate.templates import Templates
from nitrogen_jax.labeling.locate.vote import Candidate, candidates
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import Skin

ACCEPTED = 0.55  # score of a median picture from which on an overlay is there
SURE = 0.8  # score from which on nothing better is looked for
SINGLE = 0.25  # score that most single frames must have
FRAMES = 5  # single frames that are searched, at most
REFINED = 6  # candidates of a picture whose place is refined
OTHER_BOX = 0.2  # boxes that share less of the smaller one are two overlays


@dataclass(frozen=True)
class Found:
    """An overlay in a picture.

    Attributes:
        score: how well it agrees with the median picture, 0..1.
        frames: share of the single frames that agree with it.
        visible: share of it that is in the picture.
        siblings: (skin, score, opacity) of all skins of its layout, at the same place.
    """

    skin: Skin
    at: Placement
    opacity: float
    score: float
    frames: float
    visible: float
    siblings: tuple[tuple[Skin, float, float], ...] = ()


def locate(
    pictures: Sequence[np.ndarray],
    templates: Templates,
    box: tuple[float, float, float, float] | None = None,
    everywhere: bool = True,
    fine: bool = True,
) -> list[Found]:
    """The overlays that are in most of some pictures, best first; none if the list is empty.

    Args:
        pictures: (H, W, 3) uint8 RGB, all of one size.
        box: (x, y, width, height) outside of which nothing is looked for.
        everywhere: whether all places are compared where key points tell of none, which is slow.
        fine: whether placements are refined.
    """
    median = median_picture(pictures)
    mask = _mask(median.shape[:2], box)
    found = _search(median, median, templates, mask, fine)
    if not found or found[0].score < SURE:
        step = max(1, len(pictures) // FRAMES)
        for picture in pictures[::step][:FRAMES]:
            found += _search(picture, median, templates, mask, fine)
            if found and max(one.score for one in found) >= SURE:
                break
    if everywhere and not _accepted(found):
        found += _refined(by_xfeat.search(median, templates.library, mask), median)
    if everywhere and not _accepted(found):
        found += _refined(search.everywhere(median, templates.library, mask), median)
    checked = []
    for one in sorted(found, key=lambda one: -one.score):
        if one.score < ACCEPTED:
            break
        if any(shared(one, other) >= OTHER_BOX for other in checked):
            continue
        drawn = Drawn(one.skin, one.at.scale)
        step = max(1, len(pictures) // 12)
        scores = [compare(picture, drawn, one.at).score for picture in pictures[::step]]
        agree = float(np.mean(np.array(scores) > SINGLE))
        if agree >= 0.5:
            siblings = _siblings(median, templates, one)
            checked.append(replace(one, frames=agree, siblings=siblings))
    return checked


def _accepted(found: Sequence[Found]) -> bool:
    return any(one.score >= ACCEPTED for one in found)


def _siblings(
    median: np.ndarray, templates: Templates, found: Found
) -> tuple[tuple[Skin, float, float], ...]:
    compared = []
    for skin in templates.library.siblings(found.skin):
        agreement = compare(median, Drawn(skin, found.at.scale), found.at, True)
        compared.append((skin, agreement.score, agreement.opacity))
    return tuple(compared)


def median_picture(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W, 3) uint8: of each pixel the median over the pictures, computed in strips."""
    first = pictures[0]
    if len(pictures) < 3:
        return first
    result = np.empty_like(first)
    rows = max(1, 4_000_000 // (len(pictures) * first.shape[1] * 3))
    middle = len(pictures) // 2
    for top in range(0, first.shape[0], rows):
        strip = np.stack([picture[top : top + rows] for picture in pictures])
        strip.partition(middle, axis=0)
        result[top : top + rows] = strip[middle]
    return result


def shared(one: Found, other: Found) -> float:
    """Intersection of the boxes over the smaller one: a part of an overlay is no second one."""
    return _over(one.at.box(one.skin), other.at.box(other.skin))[1]


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    return _over(one, other)[0]


def _over(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, float]:
    """Intersection over union, and over the smaller box."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(wide, 0) * max(high, 0)
    areas = one[2] * one[3], other[2] * other[3]
    return both / max(sum(areas) - both, 1e-9), both / max(min(areas), 1e-9)


def _mask(size: tuple[int, int], box: tuple[float, float, float, float] | None):
    if box is None:
        return None
    mask = np.zeros(size, np.uint8)
    x, y, wide, high = box
    spare = 0.1 * max(wide, high)
    rows = slice(max(int(y - spare), 0), max(int(y + high + spare) + 1, 0))
    mask[rows, max(int(x - spare), 0) : max(int(x + wide + spare) + 1, 0)] = 255
    return mask


def _search(
    picture: np.ndarray,
    median: np.ndarray,
    templates: Templates,
    mask: np.ndarray | None,
    fine: bool,
) -> list[Found]:
    """Candidates of one picture by key points, refined on the median picture."""
    features = sift(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), mask)
    return _refined(candidates(templates, features, picture.shape[:2]), median, fine)


def _refined(found: Sequence[Candidate], median: np.ndarray, fine: bool = True) -> list[Found]:
    """The best candidates at their best places; one for each skin and place."""
    kept: list[Candidate] = []
    for one in found:
        box = one.at.box(one.skin)
        if not any(
            one.skin is other.skin and iou(box, other.at.box(other.skin)) > 0.8 for other in kept
        ):
            kept.append(one)
    results = []
    for one in kept[:REFINED]:
        drawn = Drawn(one.skin, one.at.scale)
        at = refine(median, drawn, one.at) if fine else one.at
        grey, colour = compare(median, drawn, at), compare(median, drawn, at, True)
        results.append(Found(one.skin, at, grey.opacity, colour.score, 0.0, grey.visible))
    return results
