"""Players that play what a search has found; only games that repeat can be played so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nitrogen_jax.evaluation.task import Expert
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import actions
from nitrogen_jax.sim.pad_env import PadEnv

PROOFS = Path(__file__).parents[1] / "proofs"


def recorded(name: str) -> Expert:
    """Plays the proof of a task, whatever the seed.

    Args:
        name: of the task, with "__" where that has "/".
    """

    def play(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        pads = actions.read(PROOFS / f"{name}.npz")
        return (pads[step] for step in range(pads.shape[0]))

    return play
