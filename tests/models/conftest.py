"""A small policy, made once."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest

from nitrogen_jax.models import policy
from nitrogen_jax.models.presets import policy_preset


@pytest.fixture(scope="session")
def small():
    """Config with two frames and three games, parameters that are nowhere zero."""
    cfg = dataclasses.replace(
        policy_preset("test"), frames=2, games=3, context_length=4 * 2 + 1, euler_steps=5
    ).check()
    params = jax.jit(partial(policy.init, cfg))(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [x + 0.05 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return cfg, jax.tree.unflatten(tree, noisy)


@pytest.fixture(scope="session")
def batch(small):
    """Three examples: nothing dropped, the older frame dropped, a game twice."""
    cfg, _ = small
    rng = np.random.default_rng(0)
    size = cfg.vision.image_size
    chunk = (3, cfg.horizon, cfg.action_dim)
    return {
        "frames": rng.integers(0, 256, (3, 2, size, size, 3), dtype=np.uint8),
        "dropped": np.asarray([[False, False], [True, False], [False, False]]),
        "game_ids": np.asarray([1, 2, 1], np.int32),
        "actions": rng.random(chunk, np.float32),
        "mask": rng.random(chunk) < 0.8,
    }
