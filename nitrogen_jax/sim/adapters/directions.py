"""What an old joystick with one stick and few buttons makes of a pad."""

from __future__ import annotations

from nitrogen_jax.gamepad import BUTTON_INDEX, Pad

THRESHOLD = 0.4  # how far a stick must be pushed to count


def held(pad: Pad, *buttons: str) -> bool:
    """Whether one of the buttons of a pad () is pressed."""
    return any(pad.pressed[BUTTON_INDEX[name]] for name in buttons)


def stick(values) -> tuple[int, int]:
    """A stick (2,) as steps of -1, 0, 1 to the right and down."""
    x, y = (float(value) for value in values)
    return (x >= THRESHOLD) - (x <= -THRESHOLD), (y >= THRESHOLD) - (y <= -THRESHOLD)


def direction(pad: Pad) -> tuple[int, int]:
    """The left stick, or the d-pad where that is at rest, as steps to the right and down."""
    x, y = stick(pad.left)
    if (x, y) != (0, 0):
        return x, y
    x = held(pad, "DPAD_RIGHT") - held(pad, "DPAD_LEFT")
    return x, held(pad, "DPAD_DOWN") - held(pad, "DPAD_UP")
