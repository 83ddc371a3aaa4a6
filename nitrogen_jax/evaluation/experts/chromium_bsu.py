"""Plays Chromium B.S.U. by a script: the guns are held, which nothing that comes down survives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv


def fire(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Stays where it is, in the middle, and shoots."""
    while True:
        yield Press(1.0, ("SOUTH",)).pad
