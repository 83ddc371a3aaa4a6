"""Which of the skins of one layout it is: they differ in colours, some only in those of presses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nitrogen_jax.labeling.fit.model import build
from nitrogen_jax.labeling.fit.read import read
from nitrogen_jax.labeling.locate.locate import Found
from nitrogen_jax.labeling.planes import Colours, Planes
from nitrogen_jax.labeling.skins.draw import Region
from nitrogen_jax.labeling.skins.library import Library

LOOKED_AT = 240  # frames of a block, spread over it


def choose(
    library: Library,
    found: Found,
    crops: Planes,
    region: Region,
    size: tuple[int, int],
    colours: Colours,
) -> Found:
    """The sibling whose sprites leave the least of the pixels unexplained, at the same place."""
    siblings = library.siblings(found.skin)
    if len(siblings) < 2:
        return found
    step = max(1, len(crops.y) // LOOKED_AT)
    some = Planes(crops.y[::step], crops.uv[::step])
    amiss = []
    for skin in siblings:
        models = build(skin, found.at, size, colours)
        readings = read(models, some, region, found.opacity)
        weights = [model.colour.shape[1] for model in models]
        amiss.append(np.average([reading.amiss for reading in readings], weights=weights))
    return replace(found, skin=siblings[int(np.argmin(amiss))])
