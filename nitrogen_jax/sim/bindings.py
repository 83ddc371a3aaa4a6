"""A pad played on keyboard and mouse, for games that read no pad.

Bindings are data: which key a button or a direction of a stick holds down, which stick moves the
mouse. `Hands` turns pads into what is held, and keeps the part of a pixel that is left over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, Pad, button_set

MOUSE_BUTTONS = ("left", "middle", "right")
DIRECTIONS = ("up", "down", "left", "right")
STICKS = ("left", "right")


class Held(NamedTuple):
    """What fingers do in one frame.

    Attributes:
        keys: X names of the keys that are down, such as "Return", "Left" and "a".
        buttons: of the mouse that are down, of MOUSE_BUTTONS.
        motion: (x, y) whole pixels that the mouse moves, y down.
    """

    keys: frozenset[str]
    buttons: frozenset[str]
    motion: tuple[int, int]


@dataclass(frozen=True)
class Bindings:
    """Which keys a pad's buttons and sticks stand for.

    Attributes:
        keys: button or direction -> X key name. A direction is "left_stick_up" and so on, of
            either stick; several may stand for the same key.
        mouse: button or direction -> button of the mouse.
        mouse_stick: the stick that moves the mouse, "" for none.
        mouse_speed: pixels per second of game time at full deflection.
        threshold: how far a stick must be pushed to hold its direction's key.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    mouse: Mapping[str, str] = field(default_factory=dict)
    mouse_stick: str = ""
    mouse_speed: float = 600.0
    threshold: float = 0.4

    def __post_init__(self):
        for name in (*self.keys, *self.mouse):
            if name not in SOURCES:
                button_set([name])  # says what the names are
        wrong = sorted(set(self.mouse.values()) - set(MOUSE_BUTTONS))
        if wrong:
            raise NitrogenError(
                f"mouse button {', '.join(wrong)} is not one of {', '.join(MOUSE_BUTTONS)}"
            )
        if self.mouse_stick not in ("", *STICKS):
            raise NitrogenError(f"mouse_stick is {self.mouse_stick!r}, where left or right can be")
        if not 0 < self.threshold <= 1:
            raise NitrogenError(f"threshold is {self.threshold}, where above 0 and up to 1 can be")


# Directions of the sticks that a key can be bound to: name -> (stick, axis, sign).
SOURCES = {
    f"{stick}_stick_{way}": (stick, int(way in ("up", "down")), -1 if way in ("up", "left") else 1)
    for stick in STICKS
    for way in DIRECTIONS
}


def arrows(stick: str = "left", dpad: bool = True, names=("Up", "Down", "Left", "Right")):
    """Key bindings of a stick's four directions, and of the d-pad's alike."""
    found = {f"{stick}_stick_{way}": key for way, key in zip(DIRECTIONS, names, strict=True)}
    if dpad:
        ways = zip(DIRECTIONS, names, strict=True)
        found |= {f"DPAD_{way.upper()}": key for way, key in ways}
    return found


class Hands:
    """Plays pads on a keyboard and a mouse, one frame after the other."""

    def __init__(self, bindings: Bindings, fps: float):
        self.bindings, self._fps = bindings, fps
        self._rest = np.zeros(2)

    def hold(self, pad: Pad) -> Held:
        """What is held, and how the mouse moves, in the next frame; `pad` has shape ()."""
        bound = self.bindings
        keys = frozenset(key for name, key in bound.keys.items() if self._on(name, pad))
        buttons = frozenset(name for source, name in bound.mouse.items() if self._on(source, pad))
        if not bound.mouse_stick:
            return Held(keys, buttons, (0, 0))
        speed = bound.mouse_speed / self._fps
        moved = self._rest + speed * getattr(pad, bound.mouse_stick).astype(np.float64)
        whole = np.trunc(moved)
        self._rest = moved - whole
        return Held(keys, buttons, (int(whole[0]), int(whole[1])))

    def _on(self, name: str, pad: Pad) -> bool:
        if name in SOURCES:
            stick, axis, sign = SOURCES[name]
            return bool(sign * getattr(pad, stick)[axis] >= self.bindings.threshold)
        return bool(pad.pressed[BUTTON_INDEX[name]])
