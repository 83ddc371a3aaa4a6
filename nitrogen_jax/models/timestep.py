"""Sinusoids of the integer timestep: one for the denoiser, one for the action tokens."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import Array

TEMB_CHANNELS = 256


def _frequencies(count: int, divisor: float) -> np.ndarray:
    # NOTE: the exponent is rounded to float32 as the original does; a last-bit difference in a
    # frequency is worth 1e-4 in the sine of timestep 999.
    exponent = np.float32(-math.log(10000.0)) * np.arange(count, dtype=np.float32)
    exponent = exponent / np.float32(divisor)
    return np.exp(exponent.astype(np.float64)).astype(np.float32)


def denoiser_sinusoid(bucket: Array) -> Array:
    """Integer timesteps (N,) -> (N, 256) float32, the cosines first."""
    half = TEMB_CHANNELS // 2
    phase = bucket.astype(jnp.float32)[:, None] * _frequencies(half, half - 1)
    return jnp.concatenate([jnp.cos(phase), jnp.sin(phase)], axis=-1)


def action_sinusoid(bucket: Array, width: int) -> Array:
    """Integer timesteps (N,) -> (N, width) float32, the sines first."""
    half = width // 2
    phase = bucket.astype(jnp.float32)[:, None] * _frequencies(half, half)
    return jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], axis=-1)
