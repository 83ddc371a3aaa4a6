"""The Arcade Learning Environment: games of the Atari 2600, with a score.

Left stick or d-pad: the joystick; A, B or a trigger: its button. Nothing is random but what the
game does: the seed is the machine's, and no action is repeated by chance.
"""

from __future__ import annotations

from collections.abc import Mapping

import ale_py
import ale_py.roms
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.adapters import directions
from nitrogen_jax.sim.adapters.adapter_env import AdapterEnv

FIRST = "breakout"
WORDS = ({0: "", -1: "LEFT", 1: "RIGHT"}, {0: "", -1: "UP", 1: "DOWN"})
SETTLE = 64  # frames without an action, at most, by which the seed moves the beginning


def levels() -> tuple[str, ...]:
    """All games that the package brings, FIRST first."""
    return (FIRST, *sorted(set(ale_py.roms.get_all_rom_ids()) - {FIRST}))


class AleEnv(AdapterEnv):
    """A game; 160 x 210 pixels."""

    slug = "ale"

    def __init__(self, **options):
        super().__init__(**options)
        self._machine: ale_py.ALEInterface | None = None

    def memory(self) -> np.ndarray:
        """The console's memory, (128,) uint8, for judges."""
        if self._machine is None:
            raise NitrogenError("the console is not running: reset() it")
        return self._machine.getRAM()

    def _start(self, seed: int) -> Mapping[str, float]:
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        machine = self._machine = ale_py.ALEInterface()
        machine.setInt("random_seed", seed)
        machine.setFloat("repeat_action_probability", 0.0)
        machine.loadROM(ale_py.roms.get_rom_path(self.level))
        machine.reset_game()
        # NOTE: most games are decided by when the first action comes and by nothing else.
        for _ in range(int(np.random.default_rng(seed).integers(SETTLE))):
            machine.act(ale_py.Action.NOOP)
        if machine.game_over():
            machine.reset_game()
        self._frame = machine.getScreenRGB()
        return self._variables()

    def _act(self, pad: Pad, frames: int) -> tuple[float, bool, str, Mapping[str, float]]:
        machine = self._machine
        assert machine is not None
        action, reward = getattr(ale_py.Action, word(pad)), 0.0
        for _ in range(frames):
            reward += machine.act(action)
            if machine.game_over():
                break
        self._frame = machine.getScreenRGB()
        return reward, bool(machine.game_over()), "", self._variables()

    def _variables(self) -> dict[str, float]:
        machine = self._machine
        assert machine is not None
        return {"lives": float(machine.lives())}

    def _end(self) -> None:
        self._machine = None


def word(pad: Pad) -> str:
    """The name of the joystick's state, such as "UPRIGHTFIRE" or "NOOP"."""
    x, y = directions.direction(pad)
    fire = directions.held(pad, "SOUTH", "EAST", "LEFT_TRIGGER", "RIGHT_TRIGGER")
    return WORDS[1][y] + WORDS[0][x] + ("FIRE" if fire else "") or "NOOP"
