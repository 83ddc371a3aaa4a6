"""Stick positions as maps of 11 x 11 cells, and back.

A position is told in cells from the middle of a slot, x to the right and y down: it is what the
picture shows, whatever the skin's stick travels. Works on NumPy and JAX arrays.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nitrogen_jax.labeling.parser.slots import GRID

SPREAD = 0.7  # cells, of the targets
REACH = 2  # cells about the best one that a position is read from


def target(at: Any) -> Array:
    """Positions (..., 2) in cells -> (..., 11, 11) that sum to 1, rows are y."""
    axis = jnp.arange(GRID) - GRID // 2
    near = jnp.exp(-0.5 * ((axis - jnp.asarray(at)[..., None]) / SPREAD) ** 2)
    heat = near[..., 1, :, None] * near[..., 0, None, :]
    return heat / heat.sum((-2, -1), keepdims=True)


def cross_entropy(logits: Array, wanted: Array) -> Array:
    """(...) nats by which maps (..., 11, 11) miss their targets; 0 where they are the same."""
    said = jax.nn.log_softmax(logits.reshape(*logits.shape[:-2], -1))
    wanted = wanted.reshape(said.shape)
    entropy = -jax.scipy.special.xlogy(wanted, wanted).sum(-1)
    return -(wanted * said).sum(-1) - entropy


def position(logits: Array) -> tuple[Array, Array]:
    """Maps (..., 11, 11) -> positions (..., 2) in cells, and the share (...) of the mass there.

    The mean over the cells near the best one: further ones are other things.
    """
    lead = logits.shape[:-2]
    heat = jax.nn.softmax(logits.reshape(*lead, -1)).reshape(*lead, GRID, GRID)
    best = jnp.argmax(logits.reshape(*lead, -1), -1)
    axis = jnp.arange(GRID)
    row, column = best // GRID, best % GRID
    near = (jnp.abs(axis - row[..., None]) <= REACH)[..., :, None]
    near = near & (jnp.abs(axis - column[..., None]) <= REACH)[..., None, :]
    heat = jnp.where(near, heat, 0)
    mass = heat.sum((-2, -1))
    middle = axis - GRID // 2
    x, y = (heat.sum(-2) * middle).sum(-1), (heat.sum(-1) * middle).sum(-1)
    return jnp.stack([x, y], -1) / mass[..., None], mass


def best_cell(logits: Array) -> Array:
    """Maps (..., 11, 11) -> positions (..., 2) in cells: the best cell."""
    best = jnp.argmax(logits.reshape(*logits.shape[:-2], -1), -1)
    return jnp.stack([best % GRID, best // GRID], -1) - GRID // 2


def travels(at: np.ndarray, travel: np.ndarray) -> np.ndarray:
    """Positions (..., 2) in cells -> in travels, 0 where there is none."""
    return np.where(travel > 0, at / np.maximum(travel, 1e-6), 0).astype(np.float32)
