"""Procgen's sixteen games, with levels made from the seed.

The package procgen2 needs an old NumPy and so a Python of its own, see procgen_python.py.

Left stick or d-pad: move; up jumps in platform games, and so does A there. Otherwise A or the
right trigger: the first action (fire); X, Y, B, left and right shoulder: the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.adapters import directions, procgen_python
from nitrogen_jax.sim.adapters.worker_env import WorkerEnv

LEVELS = (
    *("coinrun", "bigfish", "bossfight", "caveflyer", "chaser", "climber", "dodgeball"),
    *("fruitbot", "heist", "jumper", "leaper", "maze", "miner", "ninja", "plunder", "starpilot"),
)
PLATFORMS = {"coinrun", "climber", "jumper", "ninja"}  # games with a jump
# Index of procgen's combinations: [x + 1][y + 1] with y down, then the six single keys.
MOVES = ((2, 1, 0), (5, 4, 3), (8, 7, 6))
KEYS = {9: ("SOUTH", "RIGHT_TRIGGER"), 10: ("WEST",), 11: ("NORTH",), 12: ("EAST",)}
KEYS |= {13: ("LEFT_SHOULDER",), 14: ("RIGHT_SHOULDER",)}


def levels() -> tuple[str, ...]:
    """The names of the games."""
    return LEVELS


class Entity(NamedTuple):
    """A thing of a level: its type, which each game numbers anew, and where it is.

    Places and half sizes are in cells, y up; speeds in cells a frame.
    """

    kind: int
    x: float
    y: float
    speed_x: float
    speed_y: float
    half_width: float
    half_height: float
    theme: int  # which of a type's pictures, such as the colour of a key


@dataclass(frozen=True, eq=False)
class LevelState:
    """What a game knows of its level.

    Attributes:
        entities: of which the first is the player.
        cells: (height, width) int16, the types of what fills them, row 0 at the bottom.
    """

    entities: tuple[Entity, ...]
    cells: np.ndarray


class ProcgenEnv(WorkerEnv):
    """512 x 512 pixels, 15 frames a second; variables: prev_level_complete, level_seed.

    After the last step of an episode, prev_level_complete says whether its goal was reached.
    """

    slug = "procgen"
    script = "procgen_worker.py"

    def __init__(self, *, state: bool = False, **options: Any):
        """
        Args:
            state: whether `level_state` can be asked for, which takes a millisecond a step.
            options: of `AdapterEnv`.
        """
        super().__init__(**options)
        self._state = state

    def level_state(self) -> LevelState:
        """What the game knows, for scripted players and judges; the frames are the same without."""
        if not self._state:
            raise NitrogenError("there is no state: the environment is made without state=True")
        told = self._answer["state"]
        cells = np.frombuffer(told["cells"], "<i2").reshape(told["height"], told["width"])
        return LevelState(tuple(Entity(*one) for one in told["entities"]), cells)

    def _words(self) -> tuple[str, ...]:
        return ("--state",) if self._state else ()

    def _python(self) -> str:
        return str(procgen_python.python())

    def _action(self, pad: Pad) -> int:
        return combination(pad, self.level)


def combination(pad: Pad, level: str) -> int:
    """The index of what a pad () means in a game."""
    x, y = directions.direction(pad)
    if level in PLATFORMS and directions.held(pad, "SOUTH"):
        return MOVES[x + 1][0]
    for index, sources in KEYS.items():
        if directions.held(pad, *sources):
            return index
    return MOVES[x + 1][y + 1]
