"""Points of a picture and their descriptors, by XFeat: the second opinion beside SIFT."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from nitrogen_jax.errors import NitrogenError

MULTIPLE = 32  # sides of what the network sees; one program is compiled for each such size
LEAST = 0.82  # cosine of the angle between two descriptors that match
MARGIN = 4  # pixels at padded sides where the padding's edge would pass for a point


def detect(picture: np.ndarray, top_k: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """The best points of a picture, best first, in a picture's own pixels.

    Args:
        picture: uint8, grey (H, W) or colour (H, W, 3) in any order of the channels.
        top_k: no more points than this.

    Returns:
        Points (x, y), (N, 2) float32, and descriptors of unit length, (N, 64) float32.
    """
    grey = _grey(picture)
    height, width = grey.shape
    rows, columns = (-(-side // MULTIPLE) * MULTIPLE for side in grey.shape)
    padded = np.zeros((rows, columns), np.float32)
    padded[:height, :width] = grey
    xy, scores, descriptors = _program(rows, columns, top_k)(
        _parameters(), padded, np.int32(height), np.int32(width)
    )
    found = int(np.count_nonzero(np.asarray(scores) > 0))
    return np.asarray(xy)[:found], np.asarray(descriptors)[:found]


def match(first: np.ndarray, second: np.ndarray, least: float = LEAST) -> np.ndarray:
    """Pairs of indices (M, 2) of descriptors that are each other's nearest.

    Args:
        first: (N, 64) of unit length.
        second: the same of another picture.
        least: the cosine of the angle between two that match.
    """
    return mutual(first @ second.T, least)


def mutual(cosine: np.ndarray, least: float = LEAST) -> np.ndarray:
    """Pairs of indices (M, 2) that are each other's nearest, out of all cosines (N, K)."""
    if 0 in cosine.shape:
        return np.zeros((0, 2), np.intp)
    there, back = cosine.argmax(1), cosine.argmax(0)
    index = np.arange(len(cosine))
    good = (back[there] == index) & (cosine[index, there] > least)
    return np.stack([index, there], 1)[good]


def _grey(picture: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1], the mean of the channels."""
    shape = picture.shape
    if picture.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
        raise NitrogenError(
            f"the picture is {picture.dtype} of shape {shape}, where uint8 (height, width) or "
            "(height, width, 3) is needed"
        )
    if 0 in shape:
        raise NitrogenError(f"the picture has no pixels: its shape is {shape}")
    # NOTE: not the luminance: the network was trained with the plain mean.
    total = picture if len(shape) == 2 else picture.sum(axis=2, dtype=np.uint16)
    return total * np.float32(1 / (255 if len(shape) == 2 else 3 * 255))


@functools.cache
def _parameters() -> dict:
    import jax

    from nitrogen_jax.weights import xfeat

    return jax.device_put(xfeat.shipped())


@functools.cache
def _program(rows: int, columns: int, top_k: int) -> Callable:
    """(parameters, padded grey picture, its height, its width) -> points, scores, descriptors."""
    import jax
    import jax.numpy as jnp

    from nitrogen_jax.models import keypoints, xfeat

    def run(params, grey, height, width):
        def within(height, width):
            return (jnp.arange(rows)[:, None] < height) & (jnp.arange(columns) < width)

        x = xfeat.normalise(grey[None], within(height, width))
        allowed = within(
            jnp.where(height < rows, height - MARGIN, rows),
            jnp.where(width < columns, width - MARGIN, columns),
        )
        return jax.tree.map(
            lambda of_all: of_all[0], keypoints.detect(xfeat.network(params, x), top_k, allowed)
        )

    return jax.jit(run)
