"""The spaces that all environments share, and actions as pads.

An action is a dict: `buttons` (21,) of 0 and 1 in the order of `gamepad.BUTTONS`, and `sticks`
(4,) in [-1, 1] in the order of `gamepad.STICK_AXES`, y down. An observation is one RGB frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import NUM_BUTTONS, STICK_AXES, Pad

NUM_AXES = len(STICK_AXES)
SMALLEST, LARGEST = 16, 4096  # pixels of a side


def action_space() -> spaces.Dict:
    """21 buttons and the four axes of two sticks."""
    return spaces.Dict(
        buttons=spaces.MultiBinary(NUM_BUTTONS),
        sticks=spaces.Box(-1.0, 1.0, (NUM_AXES,), np.float32),
    )


def observation_space(size: tuple[int, int]) -> spaces.Box:
    """One RGB frame (height, width, 3) uint8.

    Args:
        size: (width, height).
    """
    width, height = check_size(size, "size")
    return spaces.Box(0, 255, (height, width, 3), np.uint8)


def check_size(size: tuple[int, int], what: str) -> tuple[int, int]:
    """(width, height) in pixels, checked."""
    try:
        width, height = (int(side) for side in size)
        exact = (width, height) == tuple(size)
    except (TypeError, ValueError):
        exact = False
    if not exact or not all(SMALLEST <= side <= LARGEST for side in (width, height)):
        raise NitrogenError(
            f"{what} is {size}, where (width, height) of {SMALLEST} to {LARGEST} pixels is needed"
        )
    return width, height


def to_pad(action: Mapping[str, Any]) -> Pad:
    """The pad of an action; NitrogenError where its shape or its values are wrong."""
    if not isinstance(action, Mapping) or set(action) != {"buttons", "sticks"}:
        got = sorted(action) if isinstance(action, Mapping) else type(action).__name__
        raise NitrogenError(
            f"action is {got}, where a dict of buttons ({NUM_BUTTONS},) and sticks ({NUM_AXES},) "
            "is needed"
        )
    buttons = _vector(action["buttons"], "buttons", NUM_BUTTONS)
    sticks = _vector(action["sticks"], "sticks", NUM_AXES)
    if not np.isin(buttons, (0, 1)).all():
        raise NitrogenError(
            f"action: buttons hold {buttons[~np.isin(buttons, (0, 1))][0]}, where 0 or 1 is needed"
        )
    return Pad(buttons.astype(bool), sticks[:2], sticks[2:])


def to_action(pad: Pad) -> dict[str, np.ndarray]:
    """A pad () as an action."""
    sticks = np.concatenate([pad.left, pad.right]).astype(np.float32)
    return {"buttons": pad.pressed.astype(np.int8), "sticks": sticks}


def idle() -> dict[str, np.ndarray]:
    """The action that does nothing."""
    return {"buttons": np.zeros(NUM_BUTTONS, np.int8), "sticks": np.zeros(NUM_AXES, np.float32)}


def _vector(values: Any, name: str, length: int) -> np.ndarray:
    try:
        vector = np.asarray(values)
        if vector.dtype != bool:
            vector = vector.astype(np.float32)
    except (TypeError, ValueError):
        raise NitrogenError(f"action: {name} are not an array of numbers") from None
    if vector.shape != (length,):
        raise NitrogenError(
            f"action: {name} have shape {vector.shape}, where ({length},) is needed"
        )
    if vector.dtype != bool and not np.isfinite(vector).all():
        at = int(np.argmin(np.isfinite(vector)))
        raise NitrogenError(
            f"action: {name} hold {vector[at]} at {at}, where finite numbers are needed"
        )
    return vector
