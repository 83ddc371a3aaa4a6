"""Other action spaces over the same pad: the 16 buttons of the paper, and flat vectors."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import (
    ACTION_DIM,
    BUTTON_INDEX,
    COLUMNS,
    LAYOUTS,
    NUM_BUTTONS,
    decode,
    neutral,
)
from nitrogen_jax.sim.spaces import NUM_AXES, to_action

# The buttons of the label files in their order, all but GUIDE.
PAPER_BUTTONS = tuple(button for button in COLUMNS.values() if button != "GUIDE")


class PaperActions(gymnasium.ActionWrapper):
    """The space of the paper: (20,) float32, 16 buttons and then four axes.

    A button is pressed above 0.5; axes are in [-1, 1] as in the dict. The buttons are those of the
    label files without GUIDE, in their order, see PAPER_BUTTONS.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        low = np.r_[np.zeros(len(PAPER_BUTTONS)), -np.ones(NUM_AXES)].astype(np.float32)
        self.action_space = spaces.Box(low, np.ones_like(low))

    def action(self, action: Any) -> dict[str, np.ndarray]:
        """The dict that the environment takes."""
        vector = _vector(action, len(PAPER_BUTTONS) + NUM_AXES)
        buttons = np.zeros(NUM_BUTTONS, np.int8)
        buttons[[BUTTON_INDEX[name] for name in PAPER_BUTTONS]] = vector[:-NUM_AXES] > 0.5
        return {"buttons": buttons, "sticks": np.clip(vector[-NUM_AXES:], -1, 1)}


class VectorActions(gymnasium.ActionWrapper):
    """The vectors of networks: (25,) float32 in [0, 1], see `gamepad.decode`."""

    def __init__(self, env: gymnasium.Env, threshold: float = 0.5, layout: str = "buttons_first"):
        super().__init__(env)
        if layout not in LAYOUTS:
            raise NitrogenError(f"action layout {layout!r} is not one of {', '.join(LAYOUTS)}")
        self.threshold, self.layout = threshold, layout
        self.action_space = spaces.Box(0.0, 1.0, (ACTION_DIM,), np.float32)

    def action(self, action: Any) -> dict[str, np.ndarray]:
        """The dict that the environment takes."""
        return to_action(decode(_vector(action, ACTION_DIM), self.threshold, self.layout))

    def idle(self) -> np.ndarray:
        """The vector that does nothing."""
        return neutral(layout=self.layout)


def _vector(action: Any, length: int) -> np.ndarray:
    try:
        vector = np.asarray(action, np.float32)
    except (TypeError, ValueError):
        raise NitrogenError("action is not an array of numbers") from None
    if vector.shape != (length,):
        raise NitrogenError(f"action has shape {vector.shape}, where ({length},) is needed")
    if not np.isfinite(vector).all():
        at = int(np.argmin(np.isfinite(vector)))
        raise NitrogenError(f"action holds {vector[at]} at {at}, where finite numbers are needed")
    return vector
