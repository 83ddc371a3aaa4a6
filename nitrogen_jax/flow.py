"""Flow matching: every convention of this project, stated once.

  (1) time        t in [0, 1]; t = 0 is noise, t = 1 is the action
  (2) path        x_t = (1 - t) noise + t action
  (3) target      v = d x_t / d t = action - noise
  (4) training t  t = scale * (1 - u),  u ~ Beta(alpha, beta)
  (5) the network is told the integer floor(buckets * t), not t
  (6) sampling    Euler: t_i = i / N,  x_{i+1} = x_i + v(x_i, t_i) / N,  i = 0 .. N-1
  (7) guidance    v = v_c + s (v_c - v_u); s = 0 is plain conditional sampling
  (8) inpainting  a^ = x + (1 - t) v is where the step believes to end; with known values y of
                  weight w in [0, 1]   v' = v + k(t) (da^/dx)^T (w (y - a^)),
                  k(t) = min(limit, (t^2 + (1 - t)^2) / (t (1 - t)))

Arrays only; an action chunk is (..., T, D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def interpolate(noise: Array, action: Array, t: Array) -> Array:
    """(2) The point of the path at t (B,) between noise and action (B, T, D)."""
    t = t[:, None, None]
    return (1 - t) * noise + t * action


def target(noise: Array, action: Array) -> Array:
    """(3) The velocity that the network learns, (B, T, D)."""
    return action - noise


def sample_time(
    key: Array, shape: tuple[int, ...], alpha: float, beta: float, scale: float
) -> Array:
    """(4) Times for training, float32 in [0, scale]."""
    return scale * (1 - jax.random.beta(key, alpha, beta, shape, jnp.float32))


def to_bucket(t: Array, buckets: int) -> Array:
    """(5) The integer that stands for time t."""
    return jnp.floor(t * buckets).astype(jnp.int32)


def euler_buckets(steps: int, buckets: int) -> np.ndarray:
    """(5) at the times (6): (steps,) int32, in double precision so that i/N does not fall short."""
    return np.asarray([int(i / steps * buckets) for i in range(steps)], np.int32)


def masked_squares(
    prediction: Array, wanted: Array, mask: Array | None = None
) -> tuple[Array, Array]:
    """Sum of squared errors over the entries that `mask` (same shape, bool or 0/1) keeps, and how
    many those are; two float32 scalars."""
    error = jnp.square(prediction.astype(jnp.float32) - wanted.astype(jnp.float32))
    kept = jnp.ones_like(error) if mask is None else jnp.broadcast_to(mask, error.shape)
    kept = kept.astype(jnp.float32)
    return (error * kept).sum(), kept.sum()


def masked_mse(prediction: Array, wanted: Array, mask: Array | None = None) -> Array:
    """Mean squared error over the entries that `mask` (same shape, bool or 0/1) keeps; a scalar.

    Always in float32; 0 where nothing is kept.
    """
    total, count = masked_squares(prediction, wanted, mask)
    return total / jnp.maximum(count, 1.0)


def euler(velocity: Callable[[Array, object], Array], noise: Array, per_step: object) -> Array:
    """(6) Integrates from noise (B, T, D) at t = 0 to an action at t = 1.

    Args:
        velocity: (x (B, T, D), what belongs to this step) -> v (B, T, D).
        per_step: a pytree of arrays whose leading axis is the steps: what `velocity` is given,
            for example the times or whatever was computed from them once.
    """
    steps = jax.tree.leaves(per_step)[0].shape[0]

    def step(x, given):
        return x + velocity(x, given).astype(x.dtype) / steps, None

    return jax.lax.scan(step, noise, per_step)[0]


def guide(conditional: Array, unconditional: Array, scale: Array | float) -> Array:
    """(7) The guided velocity."""
    return conditional + scale * (conditional - unconditional)


class Known(NamedTuple):
    """What a chunk is to agree with: values and weights, both (B, T, D).

    Weight 1 freezes a value, weight 0 leaves it free, between them it is pulled.
    """

    actions: Array
    weights: Array


def pull(steps: int, limit: float) -> np.ndarray:
    """k of (8) at the times (6), (steps,) float32.

    NOTE: never more than the number of steps, beyond which one step would overshoot.
    """
    t = np.arange(steps) / steps
    exact = (t**2 + (1 - t) ** 2) / np.maximum(t * (1 - t), 1e-9)
    return np.minimum(exact, min(limit, steps)).astype(np.float32)


def inpaint(
    velocity: Callable[[Array, object], Array],
    noise: Array,
    per_step: object,
    known: Known,
    limit: float = 5.0,
) -> Array:
    """(6) with (8): as `euler`, drawn to what is known; frozen values come out as they are known.

    The rest of the chunk follows through the derivative of the network: what fits the known part.

    Args:
        limit: the most that k may be.
    """
    steps = jax.tree.leaves(per_step)[0].shape[0]
    times = jnp.arange(steps, dtype=jnp.float32) / steps

    def step(x, given):
        t, k, own = given

        def end(x):
            v = velocity(x, own).astype(x.dtype)
            return x + (1 - t) * v, v

        ended, transposed, v = jax.vjp(end, x, has_aux=True)
        (drawn,) = transposed(known.weights * (known.actions - ended))
        return x + (v + k * drawn) / steps, None

    x = jax.lax.scan(step, noise, (times, jnp.asarray(pull(steps, limit)), per_step))[0]
    return jnp.where(known.weights >= 1, known.actions, x)
