"""A chunk of actions drawn: as a grid of characters, and as little pads beside the input frame."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import (
    BUTTON_INDEX,
    DEAD_ZONE,
    LABELS,
    NUM_BUTTONS,
    Pad,
    deflection,
)

PRESSED, RELEASED = "■", "·"
# One eighth of a turn each, counter-clockwise from the right.
ARROWS = "→↗↑↖←↙↓↘"


def text_grid(pad: Pad, dead_zone: float = DEAD_ZONE) -> list[str]:
    """A pad (T,) as lines: a row for each button that is ever pressed and for each stick."""
    _check(pad)
    steps = range(pad.shape[0])
    rows = {"step": [str(step) for step in steps]}
    for name, label in LABELS.items():
        pressed = pad.pressed[:, BUTTON_INDEX[name]]
        if pressed.any():
            rows[label] = [PRESSED if is_pressed else RELEASED for is_pressed in pressed]
    rows["left stick"] = [arrow(pad.left[step], dead_zone) for step in steps]
    rows["right stick"] = [arrow(pad.right[step], dead_zone) for step in steps]
    width = max(map(len, rows))
    return [
        f"{name:<{width}}" + "".join(f"{cell:>3}" for cell in row) for name, row in rows.items()
    ]


def arrow(stick: np.ndarray, dead_zone: float = DEAD_ZONE) -> str:
    """The direction of a stick (2,) as one character."""
    if not deflection(stick) > dead_zone:
        return RELEASED
    return ARROWS[round(float(np.arctan2(-stick[1], stick[0])) / (np.pi / 4)) % len(ARROWS)]


# ---------------------------------------------------------------------------------------------
# As a picture


class Shape(NamedTuple):
    """Where a button is on a pad of 160 x 120 units."""

    kind: str  # "disc" or "box"
    x: int  # of the centre
    y: int
    width: int  # a disc's radius, half of a box's width
    height: int = 0  # half of a box's height


PAD_WIDTH, PAD_HEIGHT = 160, 120
STICKS: Mapping[str, tuple[int, int]] = MappingProxyType({"left": (42, 54), "right": (102, 82)})
STICK_RADIUS = 14

SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "LEFT_TRIGGER": Shape("box", 36, 10, 16, 5),
        "RIGHT_TRIGGER": Shape("box", 124, 10, 16, 5),
        "LEFT_SHOULDER": Shape("box", 36, 23, 18, 4),
        "RIGHT_SHOULDER": Shape("box", 124, 23, 18, 4),
        "NORTH": Shape("disc", 128, 40, 6),
        "WEST": Shape("disc", 114, 52, 6),
        "EAST": Shape("disc", 142, 52, 6),
        "SOUTH": Shape("disc", 128, 64, 6),
        "BACK": Shape("box", 68, 46, 5, 3),
        "GUIDE": Shape("disc", 80, 36, 5),
        "START": Shape("box", 92, 46, 5, 3),
        "DPAD_UP": Shape("box", 58, 75, 3, 4),
        "DPAD_DOWN": Shape("box", 58, 91, 3, 4),
        "DPAD_LEFT": Shape("box", 50, 83, 4, 3),
        "DPAD_RIGHT": Shape("box", 66, 83, 4, 3),
        # The click of a stick is the ring around it, the four unnamed ones are ticks outside.
        "LEFT_THUMB": Shape("ring", *STICKS["left"], STICK_RADIUS),
        "RIGHT_THUMB": Shape("ring", *STICKS["right"], STICK_RADIUS),
        "RIGHT_UP": Shape("box", 102, 64, 3, 2),
        "RIGHT_BOTTOM": Shape("box", 102, 100, 3, 2),
        "RIGHT_LEFT": Shape("box", 84, 82, 2, 3),
        "RIGHT_RIGHT": Shape("box", 120, 82, 2, 3),
    }
)

BACKGROUND, BODY, OUTLINE = (24, 26, 32), (44, 48, 58), (92, 98, 112)
LIT, STICK, INK = (255, 196, 64), (120, 200, 255), (206, 210, 218)

COLUMNS = 6
_GAP, _CAPTION = 8, 16


def draw(frame: np.ndarray, pad: Pad, columns: int = COLUMNS) -> np.ndarray:
    """The input beside what is done about it: (H, W, 3) uint8 RGB.

    Args:
        frame: (h, w, 3) uint8 RGB, shown as high as the pads are together; a very long or high
            one is squeezed.
        pad: of shape (T,), drawn in rows of `columns`.
    """
    _check(pad)
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or 0 in frame.shape:
        raise NitrogenError(
            f"frame is {frame.dtype} {frame.shape}, where uint8 (height, width, 3) is needed"
        )
    cells = [draw_pad(pad[step], f"step {step}") for step in range(pad.shape[0])]
    high, wide = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    height = rows * (high + _GAP) + _GAP
    shown = height - 2 * _GAP
    aspect = np.clip(frame.shape[1] / frame.shape[0], 1 / 4, 4)
    left = round(shown * aspect) + 2 * _GAP
    canvas = np.full((height, left + columns * (wide + _GAP), 3), BACKGROUND, np.uint8)
    picture = cv2.resize(frame, (left - 2 * _GAP, shown), interpolation=cv2.INTER_AREA)
    canvas[_GAP : _GAP + shown, _GAP : left - _GAP] = picture
    for index, cell in enumerate(cells):
        top = _GAP + index // columns * (high + _GAP)
        at = left + index % columns * (wide + _GAP)
        canvas[top : top + high, at : at + wide] = cell
    return canvas


def draw_pad(pad: Pad, caption: str = "") -> np.ndarray:
    """One step, a pad of shape (): (PAD_HEIGHT + caption, PAD_WIDTH, 3) uint8 RGB."""
    canvas = np.full((PAD_HEIGHT + _CAPTION, PAD_WIDTH, 3), BODY, np.uint8)
    for name, shape in SHAPES.items():
        _draw_button(canvas, shape, bool(pad.pressed[BUTTON_INDEX[name]]))
    for name, centre in STICKS.items():
        # NOTE: y points down on the pad and in the picture alike.
        tip = np.rint(np.add(centre, (STICK_RADIUS - 4) * getattr(pad, name))).astype(int).tolist()
        cv2.line(canvas, centre, tip, STICK, 2, cv2.LINE_AA)
        cv2.circle(canvas, tip, 4, STICK, cv2.FILLED, cv2.LINE_AA)
    at = (6, PAD_HEIGHT + 10)
    cv2.putText(canvas, caption, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, INK, 1, cv2.LINE_AA)
    return canvas


def _draw_button(canvas: np.ndarray, shape: Shape, pressed: bool) -> None:
    colour, thickness = (LIT, cv2.FILLED) if pressed else (OUTLINE, 1)
    if shape.kind == "box":
        corners = [
            (shape.x + sign * shape.width, shape.y + sign * shape.height) for sign in (-1, 1)
        ]
        cv2.rectangle(canvas, *corners, colour, thickness)
        return
    radius = shape.width
    if shape.kind == "ring" and pressed:
        radius, thickness = radius - 2, 4  # the stick itself stays visible inside
    cv2.circle(canvas, (shape.x, shape.y), radius, colour, thickness, cv2.LINE_AA)


def _check(pad: Pad) -> None:
    if len(pad.shape) != 1 or pad.shape[0] == 0:
        raise NitrogenError(f"pad of shape {pad.shape} is not a chunk: give shape (steps,)")


assert len(SHAPES) == NUM_BUTTONS
