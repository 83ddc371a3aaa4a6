"""A scripted player of Airstriker."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

SIDE = 22  # steps to one side


def sweep(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Goes to and fro below the ships and fires all the time."""
    for step in itertools.count():
        way = 1 if (step // SIDE) % 2 == 0 else -1
        yield Press(1.0, ("SOUTH",) if step % 2 else (), (way, 0)).pad
