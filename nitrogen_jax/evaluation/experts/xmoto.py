"""Drives X-Moto by a script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv


def gas(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Gives gas, which is enough where the ground is not too steep."""
    while True:
        yield Press(1.0, ("RIGHT_TRIGGER",)).pad
