"""The same skin with fewer pixels, for drawing it small: large sprites only cost time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import Skin

SPARE = 1.5  # sprites keep this many pixels for one of the picture


def suited(skin: Skin, at: Placement) -> tuple[Skin, Placement]:
    """A skin whose pixels are means of blocks of the original's, and the same place for it."""
    factor = int(1 / (SPARE * at.scale))
    if factor < 2:
        return skin, at
    elements = tuple(
        replace(
            element,
            position=(element.position[0] / factor, element.position[1] / factor),
            travel=(element.travel[0] / factor, element.travel[1] / factor),
            sprites=tuple(_means(sprite, factor) for sprite in element.sprites),
        )
        for element in skin.elements
    )
    size = -(-skin.size[0] // factor), -(-skin.size[1] // factor)
    return replace(skin, size=size, elements=elements), at._replace(scale=at.scale * factor)


def _means(sprite: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks; a rest at the right and the bottom is filled up with transparency."""
    height, width = sprite.shape[:2]
    rest = -height % factor, -width % factor
    padded = np.pad(sprite, ((0, rest[0]), (0, rest[1]), (0, 0)))
    shape = padded.shape[0] // factor, factor, padded.shape[1] // factor, factor, 4
    means = padded.reshape(shape).mean((1, 3), dtype=np.float32)
    return np.rint(means).astype(np.uint8)
