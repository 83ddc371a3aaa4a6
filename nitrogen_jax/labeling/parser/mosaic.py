"""Cuts mosaics out of the planes of a video, and out of drawn overlays in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.parser.slots import (
    PRESS,
    PRESS_CORNERS,
    PRESSES,
    SIDE,
    Slots,
    Window,
    slots,
)
from nitrogen_jax.labeling.planes import Colours, Painted, Planes, painted
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region
from nitrogen_jax.labeling.skins.reduce import suited
from nitrogen_jax.labeling.skins.resample import weights
from nitrogen_jax.labeling.skins.skin import Skin, States

CHANNELS = 3  # Y, U, V of a frame's mosaic
TEMPLATE = 8  # Y, U, V, alpha at rest, and the same of everything pressed

Paint = Callable[[States], Painted]  # one moment -> the drawn overlay

_WAYS = ("UP", "RIGHT", "DOWN", "LEFT")


@dataclass(frozen=True, eq=False)
class _Cut:
    """How one slot is made of a plane: `down @ plane[rows, columns] @ across`."""

    rows: slice
    columns: slice
    down: np.ndarray
    across: np.ndarray

    def __call__(self, plane: np.ndarray) -> np.ndarray:
        """(..., h, w) -> (..., S, S) float32."""
        part = plane[..., self.rows, self.columns]
        return self.down @ part.astype(np.float32, copy=False) @ self.across


@dataclass(frozen=True, eq=False)
class Cutter:
    """Cuts the mosaics of one skin at one place out of pictures of one region."""

    windows: tuple[Window, ...]
    luma: tuple[_Cut, ...]
    chroma: tuple[_Cut, ...]

    def planes(self, planes: Planes) -> np.ndarray:
        """Crops of the region, (N, h, w) and (N, 2, h/2, w/2) -> (N, 96, 96, 3) uint8."""
        number = len(planes.y)
        mosaics = np.zeros((number, SIDE, SIDE, CHANNELS), np.uint8)
        for window, luma, chroma in zip(self.windows, self.luma, self.chroma, strict=True):
            place = _place(window)
            mosaics[:, *place, 0] = _levels(luma(planes.y))
            mosaics[:, *place, 1:] = np.moveaxis(_levels(chroma(planes.uv)), 1, -1)
        return mosaics

    def drawn(self, look: Painted) -> np.ndarray:
        """A drawn overlay -> (96, 96, 4) uint8: Y, U, V premultiplied, and alpha in 0..255."""
        mosaic = np.zeros((SIDE, SIDE, 4), np.uint8)
        for window, luma, chroma in zip(self.windows, self.luma, self.chroma, strict=True):
            place = _place(window)
            mosaic[*place, 0] = _levels(luma(look.colour.y))
            mosaic[*place, 1:3] = np.moveaxis(_levels(chroma(look.colour.uv)), 0, -1)
            mosaic[*place, 3] = _levels(255 * luma(look.alpha.y))
        return mosaic


def cutter(windows: tuple[Window, ...], at: Placement, region: Region) -> Cutter:
    """How mosaics are cut out of crops of a region whose edges are even.

    Pixels are means of what they cover, as those of a video's player are.
    """
    luma, chroma = [], []
    for window in windows:
        x = at.x + at.scale * window.left - region.left
        y = at.y + at.scale * window.top - region.top
        wide, high = at.scale * window.width, at.scale * window.height
        for found, step in ((luma, 1), (chroma, 2)):
            down, rows = _axis(region.shape[0] // step, y / step, high / step, window.pixels)
            across, columns = _axis(region.shape[1] // step, x / step, wide / step, window.pixels)
            found.append(_Cut(rows, columns, down, np.ascontiguousarray(across.T)))
    return Cutter(tuple(windows), tuple(luma), tuple(chroma))


def _axis(length: int, start: float, covered: float, pixels: int) -> tuple[np.ndarray, slice]:
    """The weights of a slot's pixels along one axis, and which of the plane's they are for."""
    scale = pixels / covered
    found = weights(length, scale, -start * scale, 0, pixels)
    used = np.flatnonzero(found.any(0))
    part = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
    return np.ascontiguousarray(found[:, part]), part


def _place(window: Window) -> tuple[slice, slice]:
    x, y = window.slot
    return slice(y, y + window.pixels), slice(x, x + window.pixels)


def _levels(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def looks(paint: Paint, cut: Cutter) -> tuple[np.ndarray, np.ndarray]:
    """Mosaics (96, 96, 4) of a skin at rest, and of it with everything pressed.

    The ways of a d-pad exclude each other: each is pressed in its own slot alone.
    """
    rest = cut.drawn(paint(States.idle()))
    pressed = np.zeros_like(rest)
    corners = {window.slot for window in cut.windows}
    ways = [way for way in _WAYS if _corner(way) in corners]
    for way in ways or _WAYS[:1]:
        one = cut.drawn(paint(everything(way)))
        if way == (ways or _WAYS)[0]:
            pressed = one
        x, y = _corner(way)
        place = slice(y, y + PRESS), slice(x, x + PRESS)
        pressed[place] = one[place]
    return rest, pressed


def _corner(way: str) -> tuple[int, int]:
    return PRESS_CORNERS[PRESSES.index(f"DPAD_{way}")]


def everything(way: str) -> States:
    """All buttons pressed, of the d-pad one way alone; sticks at rest."""
    states = States.idle()
    states.buttons[:] = True
    for one in _WAYS:
        states.buttons[0, BUTTON_INDEX[f"DPAD_{one}"]] = one == way
    states.triggers[:] = 1
    return states


def painting(painter: Painter, colours: Colours) -> Paint:
    """How a skin is drawn in the colours of a stream."""
    return lambda states: painted(next(iter(painter.states(states))), colours)


@dataclass(frozen=True, eq=False)
class Canonical:
    """A skin at its place in a video, ready to be read.

    Attributes:
        template: (96, 96, 8) uint8 of an opaque overlay: at rest and with everything pressed.
    """

    slots: Slots
    cut: Cutter
    template: np.ndarray


def canonical(skin: Skin, at: Placement, region: Region, colours: Colours) -> Canonical:
    """A skin at a place, for crops of a region whose edges are even."""
    skin, at = suited(skin, at)
    found = slots(skin)
    cut = cutter(found.windows, at, region)
    rest, pressed = looks(painting(Painter(skin, at, region), colours), cut)
    return Canonical(found, cut, np.concatenate([rest, pressed], -1))


def faded(template: np.ndarray, opacity: float) -> np.ndarray:
    """A template of an overlay that is not opaque."""
    return np.rint(template * np.float32(opacity)).astype(np.uint8)
