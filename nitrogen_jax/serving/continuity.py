"""How one chunk continues another: what is kept of the old one, when a button changes, and how
smooth the result is. NumPy only.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.gamepad import ACTION_DIM, NUM_BUTTONS, Pad
from nitrogen_jax.serving.facts import LAYOUT, Wanted

_SLICES = gamepad.layout_slices(LAYOUT)


def soft_mask(frozen: int, overlap: int, horizon: int) -> np.ndarray:
    """Weights (horizon,) float32 of the old chunk's actions in the new one.

    1 while it is certain that the old ones are played, then falling, 0 beyond the old chunk's end.
    """
    frozen, at = min(frozen, overlap), np.arange(horizon)
    left = np.clip((overlap - at) / (overlap - frozen + 1), 0, 1)
    weights = left * np.expm1(left) / np.expm1(1)
    return np.where(at < frozen, 1, weights).astype(np.float32)


def wanted(old: np.ndarray, frozen: int, horizon: int) -> Wanted | None:
    """What the next chunk is to agree with; None where there is nothing to agree with.

    Sticks are continuous: they are drawn to the old chunk with a soft mask. A button is pressed or
    not: what will be played is known exactly and frozen as 0 or 1, and of what comes after that
    nothing is asked, so that a press may come at any moment.

    Args:
        old: (N, 25), the old chunk's actions at the first steps of the new one.
        frozen: the number of them that will be played in any case.
    """
    overlap = min(len(old), horizon)
    if overlap == 0:
        return None
    actions = np.zeros((horizon, ACTION_DIM), np.float32)
    actions[:overlap] = old[:overlap]
    actions[:, _SLICES.buttons] = actions[:, _SLICES.buttons] > 0.5
    weights = np.zeros_like(actions)
    weights[:, _SLICES.sticks] = soft_mask(frozen, overlap, horizon)[:, None]
    weights[: min(frozen, overlap), _SLICES.buttons] = 1
    return Wanted(actions, weights)


class ButtonRule:
    """When a button changes: clearly above or below the threshold, and not again at once."""

    def __init__(self, margin: float = 0.1, hold: int = 3):
        """
        Args:
            margin: how far beyond 0.5 a value must be to change a button.
            hold: control steps for which a change lasts at least.
        """
        self.margin, self.hold = margin, hold
        self.release()

    def release(self) -> None:
        """All buttons are up, and may be pressed at once."""
        self._pressed = np.zeros(NUM_BUTTONS, bool)
        self._since = np.full(NUM_BUTTONS, self.hold)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The buttons (21,) bool of the next step, from a chunk's values (21,)."""
        beyond = np.where(self._pressed, values < 0.5 - self.margin, values > 0.5 + self.margin)
        change = beyond & (self._since >= self.hold)
        self._pressed = self._pressed ^ change
        self._since = np.where(change, 1, self._since + 1)
        return self._pressed.copy()


def stick_jerk(pads: Pad) -> np.ndarray:
    """How abruptly the sticks move, (N - 3,): the third difference of played pads (N,)."""
    sticks = np.concatenate([pads.left, pads.right], axis=-1)
    return np.linalg.norm(np.diff(sticks, n=3, axis=0), axis=-1)


def button_flicker(pads: Pad, short: int = 3) -> np.ndarray:
    """(N,) how many buttons are in a state there that lasts less than `short` steps.

    The first and the last state of a button are not counted: nobody knows how long they last.
    """
    pressed = pads.pressed
    flicker = np.zeros(len(pressed), int)
    for button in pressed.T:
        changes = np.flatnonzero(np.diff(button)) + 1
        for begin, end in pairwise(changes):
            if end - begin < short:
                flicker[begin:end] += 1
    return flicker
