"""A controller overlay as data: elements with sprites, positions, travel and pressed states.

Coordinates are pixels of the skin's own picture, x to the right and y down; an element's position
is the top left corner of its sprites. Elements are drawn in their order, later ones on top. Sprites
are RGBA with premultiplied alpha.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS, NUM_BUTTONS

Kind = Literal["texture", "button", "stick", "trigger", "dpad"]
Side = Literal["left", "right"]
Direction = Literal["up", "down", "left", "right"]

# Sprites that an element of each kind has.
SPRITES = {"texture": 1, "button": 2, "stick": 2, "trigger": 2, "dpad": 9}

# What the nine sprites of a d-pad show, as (x, y) with y down.
DPAD_STATES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1))

LEAST_CHANGE = 0.5  # levels of 0..255, on average, by which a press changes an element
PRESSED_TRIGGER = 0.1  # an analog trigger shows as pressed from here on
MOST_PIXELS = 8192  # of a side, more is a mistake or an attack


@dataclass(frozen=True, eq=False)
class Element:
    """One thing that a skin draws.

    Attributes:
        kind: what it is, see SPRITES.
        name: unique within its skin.
        position: (x, y) of the sprites' top left corner, the stick's at rest.
        sprites: (h, w, 4) uint8, premultiplied RGBA. Of a button: released, pressed; of a stick:
            at rest, clicked; of a trigger: released, pressed; of a d-pad: as DPAD_STATES.
        button: the button that presses it, a name of `gamepad.BUTTONS`; of a stick, its click.
        side: of a stick or a trigger.
        travel: (x, y) pixels that a stick moves when its axis is 1.
        bar: whether a trigger shows how far it is pressed, by a part of its pressed sprite.
        direction: to which side that part grows.
    """

    kind: Kind
    name: str
    position: tuple[float, float]
    sprites: tuple[np.ndarray, ...]
    button: str | None = None
    side: Side | None = None
    travel: tuple[float, float] = (0.0, 0.0)
    bar: bool = False
    direction: Direction = "up"

    def __post_init__(self):
        if len(self.sprites) != SPRITES[self.kind]:
            raise NitrogenError(
                f"element {self.name}: a {self.kind} has {SPRITES[self.kind]} sprites, and "
                f"{len(self.sprites)} are given"
            )
        for sprite in self.sprites:
            if sprite.ndim != 3 or sprite.shape[2] != 4 or sprite.dtype != np.uint8:
                raise NitrogenError(
                    f"element {self.name}: a sprite is {sprite.dtype} {sprite.shape}, where uint8 "
                    "(height, width, 4) is needed"
                )
        if self.button is not None and self.button not in BUTTON_INDEX:
            raise NitrogenError(f"element {self.name}: there is no button {self.button}")
        if self.kind in ("stick", "trigger") and self.side is None:
            raise NitrogenError(f"element {self.name}: a {self.kind} needs a side")

    @property
    def shows(self) -> bool:
        """Whether it can look different from what it is at rest."""
        return self.kind in ("stick", "dpad") or self.press_shows

    @functools.cached_property
    def press_shows(self) -> bool:
        """Whether its sprites differ; some presets have nothing where a pressed one should be."""
        if self.kind in ("texture", "dpad"):
            return self.kind == "dpad"
        plain, pressed = (sprite.astype(np.int32) for sprite in self.sprites)
        if plain.shape != pressed.shape:
            return True
        if self.bar:  # drawn on top
            pressed = pressed + plain * (255 - pressed[..., 3:]) // 255
        return bool(np.abs(pressed - plain).mean() > LEAST_CHANGE)

    @property
    def buttons(self) -> tuple[str, ...]:
        """The buttons that can be seen on it."""
        if not self.press_shows:
            return ()
        if self.kind == "dpad":
            return ("DPAD_LEFT", "DPAD_RIGHT", "DPAD_UP", "DPAD_DOWN")
        if self.kind == "trigger":
            return (f"{self.side.upper()}_TRIGGER",)
        return () if self.button is None else (self.button,)

    @property
    def moves(self) -> bool:
        """Whether anything that a pad does can be seen on it."""
        return self.kind == "stick" or bool(self.buttons)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the largest sprite."""
        return max(s.shape[1] for s in self.sprites), max(s.shape[0] for s in self.sprites)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of whatever it may cover."""
        (x, y), (w, h) = self.position, self.size
        dx, dy = (abs(t) for t in self.travel)
        return x - dx, y - dy, x + w + dx, y + h + dy


@dataclass(frozen=True, eq=False)
class Skin:
    """A whole overlay.

    Attributes:
        name: unique in a library, also a file's name.
        size: (width, height) of its picture.
        elements: in the order in which they are drawn.
        controller: as in label files, such as "xboxone", or "unknown".
        unread: what in its files was not understood, a sentence each.
    """

    name: str
    size: tuple[int, int]
    elements: tuple[Element, ...]
    controller: str = "unknown"
    unread: tuple[str, ...] = field(default=())

    def __post_init__(self):
        if min(self.size) < 1 or max(self.size) > MOST_PIXELS:
            raise NitrogenError(
                f"skin {self.name}: its size is {self.size}, where 1 to {MOST_PIXELS} is possible"
            )
        names = [element.name for element in self.elements]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise NitrogenError(f"skin {self.name}: two elements are called {twice}")

    @property
    def buttons(self) -> tuple[str, ...]:
        """The buttons that can be seen on it, in the order of `gamepad.BUTTONS`."""
        seen = {button for element in self.elements for button in element.buttons}
        return tuple(button for button in BUTTONS if button in seen)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sticks that can be seen on it."""
        seen = {element.side for element in self.elements if element.kind == "stick"}
        return tuple(side for side in ("left", "right") if side in seen)

    @property
    def geometry(self) -> str:
        """The same for skins that differ in their colours only: where their elements are."""
        said = [(self.size)]
        for element in self.elements:
            if element.kind != "texture":
                at = (*element.position, *element.size, *element.travel)
                said.append((element.kind, element.button, element.side, *map(round, at)))
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]

    def renamed(self, name: str) -> Skin:
        """The same under another name."""
        return replace(self, name=name)


class States(NamedTuple):
    """What a pad shows at N moments.

    Attributes:
        buttons: (N, 21) bool, in the order of `gamepad.BUTTONS`.
        left, right: (N, 2) float32, x and y in [-1, 1], y down.
        triggers: (N, 2) float32, left and right in [0, 1].
    """

    buttons: np.ndarray
    left: np.ndarray
    right: np.ndarray
    triggers: np.ndarray

    @staticmethod
    def idle(number: int = 1) -> States:
        """A pad that nobody touches."""
        return States(
            np.zeros((number, NUM_BUTTONS), bool),
            *(np.zeros((number, 2), np.float32) for _ in range(3)),
        )

    def take(self, index) -> States:
        """Some of the moments."""
        return States(*(part[index] for part in self))

    @property
    def number(self) -> int:
        """How many moments."""
        return len(self.buttons)
