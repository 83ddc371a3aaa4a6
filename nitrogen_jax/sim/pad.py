"""A gamepad's state as SDL's virtual controller wants it."""

from __future__ import annotations

import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX, Pad
from nitrogen_jax.sim.errors import SessionError

# As Linux numbers the buttons of an Xbox 360 pad; the last four are its hat. The four RIGHT_*
# directions of the vector are no buttons of a pad: what they mean is left to a game's bindings.
BUTTON_ORDER = (
    *("SOUTH", "EAST", "WEST", "NORTH", "LEFT_SHOULDER", "RIGHT_SHOULDER", "BACK", "START"),
    *("GUIDE", "LEFT_THUMB", "RIGHT_THUMB"),
    *("DPAD_UP", "DPAD_RIGHT", "DPAD_DOWN", "DPAD_LEFT"),
)
TRIGGERS = ("LEFT_TRIGGER", "RIGHT_TRIGGER")
_BUTTONS = (
    *("SOUTH", "EAST", "WEST", "NORTH", "BACK", "GUIDE", "START", "LEFT_THUMB", "RIGHT_THUMB"),
    *("LEFT_SHOULDER", "RIGHT_SHOULDER", "DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT"),
)
SDL_TRIGGERS = ("LEFT_TRIGGER", "RIGHT_TRIGGER")
_BUTTONS = np.array([BUTTON_INDEX[name] for name in BUTTON_ORDER])
_TRIGGERS = np.array([BUTTON_INDEX[name] for name in TRIGGERS])
MOST = 32767


def sdl_state(pad: Pad) -> tuple[np.ndarray, np.ndarray]:
    """Axes (6,) int16 and buttons (15,) uint8 of one step.

    The axes are left x, y, trigger, right x, y, trigger; a trigger rests at -32768.
    """
    if pad.shape != ():
        raise SessionError(f"pad has shape {pad.shape}, where that of one step, (), is needed")
    left, right = np.rint(pad.left * MOST), np.rint(pad.right * MOST)
    triggers = np.where(pad.pressed[_TRIGGERS], MOST, -MOST - 1)
    axes = np.array([*left, triggers[0], *right, triggers[1]], np.int16)
    return axes, pad.pressed[_BUTTONS].astype(np.uint8)
