"""From XFeat's maps to points: the best pixels that no neighbour beats, and their descriptors.

Points are (x, y) in pixels, whole numbers at the middle of pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.models.xfeat import CELL, Maps

THRESHOLD = 0.05  # the least probability of a point
REACH = 2  # pixels to each side in which a point has no better neighbour
CUBIC = -0.75  # the parameter of PyTorch's bicubic kernel


class Points(NamedTuple):
    """The best N places of each picture, best first; those of score 0 or less are none."""

    xy: Array  # (B, N, 2) float32
    scores: Array  # (B, N)
    descriptors: Array  # (B, N, 64) of unit length


def detect(maps: Maps, top_k: int, inside_HW: Array | None = None) -> Points:
    """The `top_k` best points.

    Args:
        maps: of pictures.
        top_k: places in the answer, never more than pixels.
        inside_HW: pixels where a point may be; everywhere without it.
    """
    heat = heatmap(maps.points)
    scores = jnp.where(is_peak(heat), heat * _at_pixels(maps.reliability), 0)
    if inside_HW is not None:
        scores = jnp.where(inside_HW, scores, 0)
    # NOTE: the original samples the heat map at x * W / (W - 1) - 1/2, which is beyond the last
    # pixel at the last column and row; and it takes (0, 0) for padding.
    scores = scores.at[:, -1].set(0).at[:, :, -1].set(0).at[:, 0, 0].set(0)
    batch, height, width = scores.shape
    best, index = jax.lax.top_k(scores.reshape(batch, -1), min(top_k, height * width))
    xy = jnp.stack([index % width, index // width], -1).astype(jnp.float32)
    return Points(xy, best, describe(maps.descriptors, xy))


def heatmap(points_Bhw65: Array) -> Array:
    """(B, H, W): the probability that a pixel is a point."""
    batch, height, width = points_Bhw65.shape[:3]
    chance = jax.nn.softmax(points_Bhw65.astype(jnp.float32), axis=-1)[..., : CELL * CELL]
    chance = chance.reshape(batch, height, width, CELL, CELL).transpose(0, 1, 3, 2, 4)
    return chance.reshape(batch, height * CELL, width * CELL)


def is_peak(heat_BHW: Array) -> Array:
    """(B, H, W) bool: above the threshold and the best of its neighbourhood."""
    best = _windowed_max(_windowed_max(heat_BHW, 1), 2)
    return (heat_BHW == best) & (heat_BHW > THRESHOLD)


def describe(descriptors_BhwD: Array, xy_BN2: Array) -> Array:
    """(B, N, D) of unit length: the map at the points, bicubic between unit vectors."""
    batch, rows, columns, depth = descriptors_BhwD.shape
    unit = _unit(descriptors_BhwD.astype(jnp.float32)).reshape(batch, rows * columns, depth)
    index_x, weight_x = _taps(xy_BN2[..., 0], columns)
    index_y, weight_y = _taps(xy_BN2[..., 1], rows)
    total = jnp.zeros((*xy_BN2.shape[:2], depth))
    for row in range(4):
        for column in range(4):
            index = index_y[..., row] * columns + index_x[..., column]
            weight = weight_y[..., row] * weight_x[..., column]
            picked = jnp.take_along_axis(unit, index[..., None], axis=1)
            total = total + picked * weight[..., None]
    return _unit(total)


def _at_pixels(map_Bhw: Array) -> Array:
    """A map at every pixel (B, H, W), bilinear, zeros beyond its borders."""
    rows, columns = map_Bhw.shape[1:]
    along_y, along_x = _bilinear(rows), _bilinear(columns)
    return jnp.einsum("Hh,bhw,Ww->bHW", along_y, map_Bhw.astype(jnp.float32), along_x,
                      precision="highest")  # fmt: skip


def _bilinear(cells: int) -> Array:
    """(8 * cells, cells): the weights of the map's cells at each pixel."""
    where = _in_cells(jnp.arange(cells * CELL, dtype=jnp.float32), cells)
    return jnp.maximum(0, 1 - jnp.abs(where[:, None] - jnp.arange(cells)))


def _in_cells(pixel: Array, cells: int) -> Array:
    """Pixels -> positions in a map of `cells`, as the original's grid has them."""
    # NOTE: it counts pixels from corner to corner and then cells from edge to edge; kept, because
    # the published parameters were trained with it.
    return pixel / (cells * CELL - 1) * cells - 0.5


def _taps(pixel_BN: Array, cells: int) -> tuple[Array, Array]:
    """The four cells around each pixel along one axis, and their bicubic weights (B, N, 4)."""
    where = _in_cells(pixel_BN, cells)
    first = jnp.floor(where) - 1
    index = first[..., None] + jnp.arange(4)
    distance = jnp.abs(where[..., None] - index)
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    weight = jnp.where(distance <= 1, near, far)
    inside = (index >= 0) & (index < cells)
    return jnp.clip(index, 0, cells - 1).astype(jnp.int32), jnp.where(inside, weight, 0)


def _windowed_max(x: Array, axis: int) -> Array:
    """The greatest of every value and its `REACH` neighbours on both sides along `axis`."""
    padding = [(0, 0)] * x.ndim
    padding[axis] = (REACH, REACH)
    padded = jnp.pad(x, padding, constant_values=-jnp.inf)
    best = x
    for shift in range(2 * REACH + 1):
        best = jnp.maximum(
            best, jax.lax.slice_in_dim(padded, shift, shift + x.shape[axis], axis=axis)
        )
    return best


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
