"""Candidate placements of skins in one picture, out of matched key points.

Overlays are not turned: a placement is a scale and a place, and one match of key points that have a
size tells both, two matches in any case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nitrogen_jax.labeling.locate.features import Features, Matches, match, upright
from nitrogen_jax.labeling.locate.templates import Template, Templates
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import Skin

TRIED = 12  # templates with the most matches that are looked at
CELLS = 25  # inliers are counted once in each cell of a grid over the skin
WIDTHS = (50.0, 0.8)  # least pixels and largest share of a picture's width that a skin covers
MOST_PAIRS = 400


@dataclass(frozen=True)
class Candidate:
    """A skin at a place, and how many matches agree with it."""

    skin: Skin
    at: Placement
    inliers: int


def candidates(
    templates: Templates,
    features: Features,
    size: tuple[int, int],
    tried: int = TRIED,
    pair: Callable[[np.ndarray], Matches] = match,
) -> list[Candidate]:
    """Placements in a picture of (height, width), those with the most inliers first.

    Args:
        pair: matches of key points out of the products (N, M) of their descriptors.
    """
    if len(features.points) < 2 or not len(templates.descriptors):
        return []
    similar = features.descriptors @ templates.descriptors.T
    owners = templates.owner
    starts = np.searchsorted(owners, np.arange(len(templates.templates) + 1))
    matched: list[tuple[int, int, Matches]] = []
    for at, template in enumerate(templates.templates):
        part = similar[:, starts[at] : starts[at + 1]]
        found = upright(features, template.features, pair(part))
        matched.append((len(found.first), at, found))
    matched.sort(key=lambda one: (-one[0], one[1]))
    placed = []
    for number, at, found in matched[:tried]:
        if number >= 2:
            best = place(templates.templates[at], features, found, size)
            if best is not None:
                placed.append(best)
    return sorted(placed, key=lambda one: -one.inliers)


def place(
    template: Template, features: Features, matches: Matches, size: tuple[int, int]
) -> Candidate | None:
    """The placement with which most matches agree, None if no two do."""
    there = features.points[matches.first]
    here = template.features.points[matches.second]
    if features.sizes is not None and template.features.sizes is not None:
        scales = features.sizes[matches.first] / template.features.sizes[matches.second]
        rough = np.stack([scales, *(there - scales[:, None] * here).T], 1)
    else:
        rough = _pairs(here, there)
    rough = rough[_sensible(rough, template.skin, size)]
    best, agreed = None, 0
    for scale, x, y in rough[: 2 * MOST_PAIRS]:
        # A single match knows its scale to some 10 %: what agrees roughly is fitted, and fitted
        # again with what agrees well.
        at = np.array([scale, x, y])
        for tolerance in (4.0 + 0.04 * scale * template.skin.size[0], 3.0, 2.0):
            far = np.hypot(*(there - at[0] * here - at[1:]).T)
            near = far < tolerance
            if near.sum() < 2:
                break
            fitted = fit(here[near], there[near])
            if fitted is None:
                break
            at = fitted
        else:
            far = np.hypot(*(there - at[0] * here - at[1:]).T)
            number = _distinct(here[far < 2.0], template.skin)
            if number > agreed and _sensible(at[None], template.skin, size)[0]:
                best, agreed = Placement(*map(float, at)), number
    if best is None or agreed < 2:
        return None
    return Candidate(template.skin, best, agreed)


def fit(here: np.ndarray, there: np.ndarray) -> np.ndarray | None:
    """(scale, x, y) that maps points (N, 2) onto others, by least squares; None where they lie in
    one place."""
    centre, other = here.mean(0), there.mean(0)
    spread = ((here - centre) ** 2).sum()
    if spread < 1e-3:
        return None
    scale = ((here - centre) * (there - other)).sum() / spread
    if scale <= 0:
        return None
    return np.array([scale, *(other - scale * centre)])


def _pairs(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(P, 3) placements of pairs of matches, a fixed choice of them where there are many."""
    one, other = np.triu_indices(len(here), 1)
    if len(one) > MOST_PAIRS:
        pick = np.random.default_rng(0).choice(len(one), MOST_PAIRS, replace=False)
        one, other = one[pick], other[pick]
    apart = np.hypot(*(here[one] - here[other]).T)
    good = apart > 1e-3
    one, other, apart = one[good], other[good], apart[good]
    scales = np.hypot(*(there[one] - there[other]).T) / apart
    return np.stack([scales, *(there[one] - scales[:, None] * here[one]).T], 1)


def _sensible(placements: np.ndarray, skin: Skin, size: tuple[int, int]) -> np.ndarray:
    """(N,) bool: of a usual size, and with the centre in the picture."""
    scale, x, y = placements.T
    wide, high = scale * skin.size[0], scale * skin.size[1]
    inside = (x + wide / 2 > 0) & (x + wide / 2 < size[1])
    inside &= (y + high / 2 > 0) & (y + high / 2 < size[0])
    return inside & (wide >= WIDTHS[0]) & (wide <= WIDTHS[1] * size[1]) & (high <= size[0])


def _distinct(points: np.ndarray, skin: Skin) -> int:
    """Points of a skin, each cell of a grid counted once."""
    cells = np.floor(points / np.array(skin.size) * CELLS).astype(int)
    return len(np.unique(cells, axis=0))
