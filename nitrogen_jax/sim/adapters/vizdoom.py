"""ViZDoom's scenarios: Doom maps with a task, a reward and a limit of time.

A scenario decides which buttons there are; those that it lacks do nothing. Left stick or d-pad:
walk and sidestep; right stick: turn (and look, where that is allowed), as fast as it is pushed;
right trigger or A: fire; X: use; left shoulder or trigger: run; right shoulder, Y: next weapon.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import DEAD_ZONE, Pad
from nitrogen_jax.sim.adapters import directions
from nitrogen_jax.sim.adapters.worker_env import WorkerEnv

FIRST = "basic"
# They wait for other players, or need WADs that the package does not bring.
LEFT_OUT = {"cig", "multi", "multi_duel", "doom", "doom2", "oblige"}
TURN = 7.0  # degrees in a frame at full deflection: what a running player turns
STEPS = {"LEFT": (-1, 0), "RIGHT": (1, 0), "FORWARD": (0, -1), "BACKWARD": (0, 1)}
PRESSES = {
    "ATTACK": ("RIGHT_TRIGGER", "SOUTH"),
    "USE": ("WEST",),
    "JUMP": ("EAST",),
    "CROUCH": ("RIGHT_THUMB",),
    "SPEED": ("LEFT_SHOULDER", "LEFT_TRIGGER"),
    "SELECT_NEXT_WEAPON": ("RIGHT_SHOULDER", "NORTH"),
    "SELECT_PREV_WEAPON": ("LEFT_THUMB",),
}


def levels() -> tuple[str, ...]:
    """All scenarios that one player can play, FIRST first."""
    import vizdoom

    found = {path.stem for path in Path(vizdoom.scenarios_path).glob("*.cfg")} - LEFT_OUT
    return (FIRST, *sorted(found - {FIRST}))


class VizdoomEnv(WorkerEnv):
    """A scenario; 320 x 240 pixels; variables such as HEALTH, KILLCOUNT and POSITION_X."""

    slug = "vizdoom"
    script = "vizdoom_worker.py"

    def __init__(self, *, labels: bool = False, **options: Any):
        """
        Args:
            labels: whether `labels` can be asked for, which takes half a millisecond a step.
            options: of `AdapterEnv`.
        """
        super().__init__(**options)
        self._labels = labels

    def labels(self) -> Sequence[Mapping[str, Any]]:
        """What is in sight, for scripted players and judges; the frames are the same without it.

        Each has a name of the engine, such as "DoomImp", an id, the place x, y, z of the map and
        the box left, top, width, height in pixels of the frame. The dead are named "Dead...".
        """
        if not self._labels:
            raise NitrogenError("there are no labels: the environment is made without labels=True")
        return self._answer.get("labels", ())

    def _words(self) -> tuple[str, ...]:
        return ("--labels",) if self._labels else ()

    def _python(self) -> str:
        return sys.executable

    def _action(self, pad: Pad) -> dict[str, float]:
        return values(pad)


def values(pad: Pad) -> dict[str, float]:
    """What a pad () means for each button of ViZDoom that it can press."""
    x, y = directions.direction(pad)
    found = {f"MOVE_{name}": float(way[0] * x + way[1] * y > 0) for name, way in STEPS.items()}
    for name, sources in PRESSES.items():
        found[name] = float(directions.held(pad, *sources))
    found["TURN_LEFT_RIGHT_DELTA"] = TURN * _beyond(float(pad.right[0]))
    found["LOOK_UP_DOWN_DELTA"] = TURN * _beyond(float(pad.right[1]))
    return found


def _beyond(value: float) -> float:
    """A stick's axis without its dead zone, still -1..1."""
    if abs(value) <= DEAD_ZONE:
        return 0.0
    return (abs(value) - DEAD_ZONE) / (1 - DEAD_ZONE) * (1 if value > 0 else -1)
