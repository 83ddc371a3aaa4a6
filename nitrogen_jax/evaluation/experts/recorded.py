"""Players that play what a search has found; only games that repeat can be played so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nitrogen_jax.evaluation.proof import file_of
from nitrogen_jax.evaluation.task import Expert
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import actions, play
from nitrogen_jax.sim.pad_env import PadEnv


def recorded(name: str) -> Expert:
    """Plays the proof of a task, whatever the seed.

    Args:
        name: of the task.
    """

    def expert(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        return play.each(actions.read(file_of(name)))

    return expert
