"""The two sinusoids against their definitions in double precision."""

from __future__ import annotations

import math

import numpy as np

from nitrogen_jax.models.timestep import action_sinusoid, denoiser_sinusoid

BUCKETS = np.asarray([0, 1, 62, 500, 999])


def test_denoiser_sinusoid_has_cosines_first():
    frequencies = np.exp(-np.arange(128) * math.log(1e4) / 127)
    phase = BUCKETS[:, None] * frequencies
    wanted = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    np.testing.assert_allclose(denoiser_sinusoid(BUCKETS), wanted, atol=2e-4)


def test_action_sinusoid_has_sines_first():
    frequencies = np.exp(-np.arange(16) * math.log(1e4) / 16)
    phase = BUCKETS[:, None] * frequencies
    wanted = np.concatenate([np.sin(phase), np.cos(phase)], axis=1)
    np.testing.assert_allclose(action_sinusoid(BUCKETS, 32), wanted, atol=2e-4)
