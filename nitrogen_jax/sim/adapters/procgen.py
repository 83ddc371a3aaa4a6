"""Procgen's sixteen games, with levels made from the seed.

The package procgen2 needs an old NumPy and so a Python of its own, see procgen_python.py.

Left stick or d-pad: move; up jumps in platform games, and so does A there. Otherwise A or the
right trigger: the first action (fire); X, Y, B, left and right shoulder: the others.
"""

from __future__ import annotations

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


class ProcgenEnv(WorkerEnv):
    """512 x 512 pixels, 15 frames a second; variables: prev_level_complete, level_seed.

    After the last step of an episode, prev_level_complete says whether its goal was reached.
    """

    slug = "procgen"
    script = "procgen_worker.py"

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
