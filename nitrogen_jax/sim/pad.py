"""A gamepad's state as SDL's virtual controller wants it."""

from __future__ import annotations

import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX, Pad
from nitrogen_jax.sim.errors import SessionError

# SDL's order of game controller buttons. The four RIGHT_* directions of the vector are no buttons
# of a pad, and what they mean is left to the bindings of a game.
SDL_BUTTONS = (
    *("SOUTH", "EAST", "WEST", "NORTH", "BACK", "GUIDE", "START", "LEFT_THUMB", "RIGHT_THUMB"),
    *("LEFT_SHOULDER", "RIGHT_SHOULDER", "DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT"),
)
SDL_TRIGGERS = ("LEFT_TRIGGER", "RIGHT_TRIGGER")
_BUTTONS = np.array([BUTTON_INDEX[name] for name in SDL_BUTTONS])
_TRIGGERS = np.array([BUTTON_INDEX[name] for name in SDL_TRIGGERS])
MOST = 32767


def sdl_state(pad: Pad) -> tuple[np.ndarray, np.ndarray]:
    """Axes (6,) int16 and buttons (15,) uint8 of one step; triggers rest at -32768."""
    if pad.shape != ():
        raise SessionError(f"pad has shape {pad.shape}, where that of one step, (), is needed")
    sticks = np.rint(np.concatenate([pad.left, pad.right]) * MOST)
    triggers = np.where(pad.pressed[_TRIGGERS], MOST, -MOST - 1)
    axes = np.concatenate([sticks, triggers]).astype(np.int16)
    return axes, pad.pressed[_BUTTONS].astype(np.uint8)
