"""Draws a skin in any state, at any scale and position, onto anything.

`Painter` keeps what it has resampled: sticks are placed on a grid of 1/8 pixel, and so everything
that a video of the overlay needs is computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.skins.resample import placed
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, PRESSED_TRIGGER, Element, Skin, States

STICK_GRID = 8  # positions of a stick to a pixel
LEVELS = 64  # how far an analog trigger is drawn, in this many steps


class Placement(NamedTuple):
    """Where a skin lies in a picture: pixel = (x, y) + scale * pixel of the skin."""

    scale: float
    x: float
    y: float

    def box(self, skin: Skin) -> tuple[float, float, float, float]:
        """(x, y, width, height) of the skin's picture."""
        return self.x, self.y, skin.size[0] * self.scale, skin.size[1] * self.scale


class Region(NamedTuple):
    """Whole pixels of a picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.bottom - self.top, self.right - self.left


def overlay_region(skin: Skin, at: Placement, margin: float = 0.0) -> Region:
    """The pixels that an overlay may touch, sticks beyond its picture included.

    What lies further out than half the picture's size is left out: it is a mistake of the skin.
    """
    (width, height), extents = skin.size, [element.extent for element in skin.elements]
    lefts, tops, rights, bottoms = zip(*extents, (0, 0, width, height), strict=True)
    extent = (
        *(max(min(lefts), -width / 2), max(min(tops), -height / 2)),
        *(min(max(rights), 1.5 * width), min(max(bottoms), 1.5 * height)),
    )
    return around(extent, at, margin)


def around(extent: tuple[float, float, float, float], at: Placement, margin: float) -> Region:
    """The pixels of an extent in skin coordinates, and `margin` more on all sides."""
    left, top, right, bottom = extent
    return Region(
        int(np.floor(at.x + at.scale * left - margin)),
        int(np.floor(at.y + at.scale * top - margin)),
        int(np.ceil(at.x + at.scale * right + margin)),
        int(np.ceil(at.y + at.scale * bottom + margin)),
    )


def over(canvas: np.ndarray, patch: np.ndarray, left: int, top: int) -> None:
    """Draws a premultiplied patch (h, w, 4), 0..255, onto a premultiplied canvas, in place."""
    height, width = canvas.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + patch.shape[1], width), min(top + patch.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = patch[y0 - top : y1 - top, x0 - left : x1 - left]
    below = canvas[y0:y1, x0:x1]
    below *= 1 - part[..., 3:] / 255
    below += part


@dataclass
class Painter:
    """A skin at one place in a picture.

    Attributes:
        region: the pixels that it draws; what lies outside of them is not drawn.
    """

    skin: Skin
    at: Placement
    region: Region = None  # type: ignore[assignment]
    _kept: dict = field(default_factory=dict, repr=False)

    def __post_init__(self):
        if self.region is None:
            self.region = overlay_region(self.skin, self.at)
        # Everything below the first element that moves is drawn once.
        moving = [i for i, element in enumerate(self.skin.elements) if element.moves]
        self._first = moving[0] if moving else len(self.skin.elements)
        self._base = np.zeros((*self.region.shape, 4), np.float32)
        for element in self.skin.elements[: self._first]:
            self._put(self._base, element, 0)

    def rgba(
        self,
        buttons: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        triggers: np.ndarray,
    ) -> np.ndarray:
        """The overlay in one state: (h, w, 4) float32 of the region, premultiplied, 0..255.

        Args:
            buttons, left, right, triggers: one row of `States`.
        """
        canvas = self._base.copy()
        for element in self.skin.elements[self._first :]:
            self.draw(canvas, element, buttons, left, right, triggers)
        return canvas

    def states(self, states: States) -> Iterable[np.ndarray]:
        """The overlay in each of many states."""
        return (self.rgba(*row) for row in zip(*states, strict=True))

    def draw(self, canvas, element: Element, buttons, left, right, triggers) -> None:
        """One element in one state onto a canvas of the region."""
        pressed = element.button is not None and bool(buttons[BUTTON_INDEX[element.button]])
        if element.kind == "stick":
            stick = left if element.side == "left" else right
            self._put(canvas, element, int(pressed), (float(stick[0]), float(stick[1])))
        elif element.kind == "dpad":
            self._put(canvas, element, dpad_state(buttons))
        elif element.kind == "trigger":
            value = float(triggers[0 if element.side == "left" else 1])
            if not element.bar:
                self._put(canvas, element, int(value >= PRESSED_TRIGGER))
            else:
                self._put(canvas, element, 0)
                self._put_bar(canvas, element, round(min(max(value, 0), 1) * LEVELS))
        else:
            self._put(canvas, element, int(pressed))

    def _put(self, canvas, element: Element, which: int, stick=(0.0, 0.0)) -> None:
        shift = tuple(
            round(value * travel * self.at.scale * STICK_GRID) / STICK_GRID
            for value, travel in zip(stick, element.travel, strict=True)
        )
        key = element.name, which, shift
        if key not in self._kept:
            x = self.at.x + self.at.scale * element.position[0] + shift[0]
            y = self.at.y + self.at.scale * element.position[1] + shift[1]
            self._kept[key] = placed(element.sprites[which], self.at.scale, x, y)
        patch, (left, top) = self._kept[key]
        over(canvas, patch, left - self.region.left, top - self.region.top)

    def _put_bar(self, canvas, element: Element, level: int) -> None:
        key = element.name, "bar", level
        if key not in self._kept:
            sprite, offset = cropped(element.sprites[1], level / LEVELS, element.direction)
            x = self.at.x + self.at.scale * (element.position[0] + offset[0])
            y = self.at.y + self.at.scale * (element.position[1] + offset[1])
            self._kept[key] = placed(sprite, self.at.scale, x, y) if sprite.size else None
        if self._kept[key] is not None:
            patch, (left, top) = self._kept[key]
            over(canvas, patch, left - self.region.left, top - self.region.top)


def cropped(sprite: np.ndarray, value: float, direction: str) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of a sprite that shows a value of 0..1, growing to `direction`, and its corner."""
    height, width = sprite.shape[:2]
    if direction in ("up", "down"):
        rows = round(height * value)
        top = height - rows if direction == "up" else 0
        return sprite[top : top + rows], (0, top)
    columns = round(width * value)
    left = width - columns if direction == "left" else 0
    return sprite[:, left : left + columns], (left, 0)


def dpad_state(buttons: np.ndarray) -> int:
    """Which of a d-pad's nine sprites shows these buttons (21,)."""
    pressed = [int(buttons[BUTTON_INDEX[f"DPAD_{way}"]]) for way in ("LEFT", "RIGHT", "UP", "DOWN")]
    return DPAD_STATES.index((pressed[1] - pressed[0], pressed[3] - pressed[2]))


def blend(frame: np.ndarray, rgba: np.ndarray, region: Region, opacity: float = 1.0) -> None:
    """Draws an overlay onto a frame (H, W, 3) uint8, in place; what leaves the frame is cut off.

    Args:
        rgba: (h, w, 4) of the region, premultiplied, 0..255.
    """
    height, width = frame.shape[:2]
    x0, y0 = max(region.left, 0), max(region.top, 0)
    x1, y1 = min(region.right, width), min(region.bottom, height)
    if x0 >= x1 or y0 >= y1:
        return
    part = rgba[y0 - region.top : y1 - region.top, x0 - region.left : x1 - region.left]
    below = frame[y0:y1, x0:x1].astype(np.float32)
    mixed = below * (1 - part[..., 3:] * (opacity / 255)) + part[..., :3] * opacity
    frame[y0:y1, x0:x1] = np.rint(mixed).clip(0, 255).astype(np.uint8)


def picture(skin: Skin, width: int, state: States | None = None) -> np.ndarray:
    """A skin as a picture of a given width: (h, width, 4) float32, premultiplied, 0..255."""
    scale = width / skin.size[0]
    region = Region(0, 0, width, max(1, round(skin.size[1] * scale)))
    painter = Painter(skin, Placement(scale, 0, 0), region)
    return next(iter(painter.states(state or States.idle())))
