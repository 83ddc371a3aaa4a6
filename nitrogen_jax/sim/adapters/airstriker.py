"""Airstriker, a homebrew shooter for the Mega Drive, which stable-retro brings with it.

Left stick or d-pad: fly; A, X, B or a trigger: fire.
"""

from __future__ import annotations

import sys

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.adapters import directions
from nitrogen_jax.sim.adapters.worker_env import WorkerEnv

BUTTONS = {
    "A": ("WEST", "LEFT_TRIGGER"),
    "B": ("SOUTH", "RIGHT_TRIGGER"),
    "C": ("EAST",),
    "X": ("LEFT_SHOULDER",),
    "Y": ("NORTH",),
    "Z": ("RIGHT_SHOULDER",),
    "START": ("START",),
    "MODE": ("BACK",),
}


def levels() -> tuple[str, ...]:
    """The only one."""
    return ("Level1",)


class AirstrikerEnv(WorkerEnv):
    """320 x 224 pixels; variables: score, lives, gameover."""

    slug = "airstriker"
    script = "airstriker_worker.py"

    def _python(self) -> str:
        return sys.executable

    def _action(self, pad: Pad) -> list[str]:
        return held(pad)


def held(pad: Pad) -> list[str]:
    """The names of the console's buttons that a pad () holds."""
    x, y = directions.direction(pad)
    ways = {"LEFT": x < 0, "RIGHT": x > 0, "UP": y < 0, "DOWN": y > 0}
    names = [name for name, on in ways.items() if on]
    return names + [name for name, sources in BUTTONS.items() if directions.held(pad, *sources)]
