"""The smallest policy that looks back, and an engine around it, made once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("jax")

from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.serving.agent import make_engine
from nitrogen_jax.weights.policies import random_policy

TINY = dataclasses.replace(
    policy_preset("test"), frames=2, frame_spacing=3, context_length=8, euler_steps=3
).check()


def picture(number: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Noise that follows from its number, (h, w, 3) uint8."""
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def tiny():
    """The policy."""
    return random_policy(TINY, seed=1)


@pytest.fixture(scope="session")
def engine(tiny):
    """Batches of 1, 2 and 4; known actions; warm."""
    made = make_engine(tiny, batch=4, inpaint=True)
    made.warm_up()
    return made


@pytest.fixture(scope="session")
def make_picture():
    return picture
