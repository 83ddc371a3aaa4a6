"""Which of the skins of one layout it is: they differ in colours, some only in those of presses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nitrogen_jax.labeling.fit.model import build
from nitrogen_jax.labeling.fit.read import read
from nitrogen_jax.labeling.locate.locate import Found
from nitrogen_jax.labeling.planes import Colours, Planes
from nitrogen_jax.labeling.skins.draw import Region
from nitrogen_jax.labeling.skins.skin import Skin

LEAST = 1e-4  # of a share; less is rounding
LOOKED_AT = 240  # frames of a block, spread over it
CLOSE = 1.6  # times the unexplained share of the best median picture, beyond which it is another


def choose(
    found: Found, crops: Planes, region: Region, size: tuple[int, int], colours: Colours
) -> Found:
    """The sibling whose sprites leave the least of the pixels unexplained, at the same place.

    The median picture tells bodies apart, which no element covers; the frames tell presses apart.
    """
    if len(found.siblings) < 2:
        return found
    left = [max(1 - score**2, LEAST) for _, score, _ in found.siblings]
    likely = [
        one for one, rest in zip(found.siblings, left, strict=True) if rest < CLOSE * min(left)
    ]
    if len(likely) == 1:
        return replace(found, skin=likely[0][0], score=likely[0][1], opacity=likely[0][2])
    names = _differing([skin for skin, _, _ in likely])
    if not names:
        skin, score, opacity = max(likely, key=lambda one: one[1])
        return replace(found, skin=skin, score=score, opacity=opacity)
    step = max(1, len(crops.y) // LOOKED_AT)
    some = Planes(crops.y[::step], crops.uv[::step])
    costs = []
    for skin, score, opacity in likely:
        models = build(skin, found.at, size, colours, names)
        if not models:
            return found
        readings = read(models, some, region, opacity)
        weights = [model.colour.shape[1] for model in models]
        amiss = np.average([reading.amiss for reading in readings], weights=weights)
        costs.append(np.log(amiss) + 0.5 * np.log(1 - score**2 + 1e-6))
    skin, score, opacity = likely[int(np.argmin(costs))]
    return replace(found, skin=skin, score=score, opacity=opacity)


def _differing(skins: Sequence[Skin]) -> set[str]:
    """The elements, by name, whose sprites are not the same in all skins."""
    names: set[str] = set()
    first = {element.name: element for element in skins[0].elements}
    for skin in skins[1:]:
        for element in skin.elements:
            other = first.get(element.name)
            if element.moves and (other is None or not _same(element.sprites, other.sprites)):
                names.add(element.name)
    return names


def _same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))
