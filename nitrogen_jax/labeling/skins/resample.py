"""Sprites at another scale and at positions between pixels, each pixel the mean of what it covers.

Pixel i covers the interval [i, i + 1). A sprite at scale s whose corner is at x covers
[x, x + s * width). Enlarging interpolates linearly instead, as players do.
"""

from __future__ import annotations

import numpy as np


def weights(length: int, scale: float, start: float, first: int, number: int) -> np.ndarray:
    """What `number` pixels from `first` on take of `length` pixels of a sprite: (number, length).

    Args:
        scale: pixels that one of the sprite becomes.
        start: where the sprite begins.
    """
    # The sprite's coordinate of the pixels' edges.
    edges = (first + np.arange(number + 1) - start) / scale
    if scale <= 1:
        cells = np.arange(length)
        low = np.maximum(edges[:-1, None], cells)
        high = np.minimum(edges[1:, None], cells + 1)
        return (np.maximum(high - low, 0) * scale).astype(np.float32)
    centres = (edges[:-1] + edges[1:]) / 2 - 0.5
    near = np.maximum(1 - np.abs(centres[:, None] - np.arange(length)), 0)
    return near.astype(np.float32)


def placed(
    sprite: np.ndarray, scale: float, x: float, y: float
) -> tuple[np.ndarray, tuple[int, int]]:
    """A sprite as pixels of a picture: (h, w, C) float32 and the (left, top) pixel of it.

    Args:
        sprite: (H, W, C), premultiplied where it has an alpha.
        scale: pixels that one of the sprite becomes.
        x, y: where its top left corner lies in the picture.
    """
    height, width = sprite.shape[:2]
    # Enlarged, the outermost pixels fade over half a pixel more.
    margin = 0.0 if scale <= 1 else scale / 2
    left, top = int(np.floor(x - margin)), int(np.floor(y - margin))
    wide = max(int(np.ceil(x + width * scale + margin - 1e-6)) - left, 1)
    high = max(int(np.ceil(y + height * scale + margin - 1e-6)) - top, 1)
    across = weights(width, scale, x, left, wide)
    down = weights(height, scale, y, top, high)
    rows = down @ sprite.reshape(height, -1).astype(np.float32)
    rows = rows.reshape(high, width, -1)
    return across @ rows, (left, top)
