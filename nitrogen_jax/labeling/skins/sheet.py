"""What skins look like and what can be seen on them: a contact sheet and the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region, blend
from nitrogen_jax.labeling.skins.skin import Skin, States

CELL = 240, 180  # pixels of one picture of the sheet
NAME_HEIGHT = 18
SQUARE = 8  # pixels of the checkerboard
GREYS = 96, 150
PAGE = 40_000  # pixels: a sheet is no higher

MOMENTS = ("idle", "everything pressed", "sticks to the lower right")


@dataclass(frozen=True)
class Row:
    """What there is to say of a skin.

    Attributes:
        width, height: pixels of its picture.
        buttons: that can be seen on it.
        sticks: "left", "right".
        travel: of the stick that moves most, percent of the width.
        siblings: names of the other skins with the same geometry, which differ in their colours.
        unread: what was not understood, a sentence each.
    """

    name: str
    width: int
    height: int
    controller: str
    buttons: tuple[str, ...]
    sticks: tuple[str, ...]
    travel: float
    siblings: tuple[str, ...]
    unread: tuple[str, ...]


def rows(skins: Sequence[Skin]) -> list[Row]:
    """One row a skin, in their order."""
    alike: dict[str, list[str]] = {}
    for skin in skins:
        alike.setdefault(skin.geometry, []).append(skin.name)
    return [
        Row(
            skin.name,
            *skin.size,
            skin.controller,
            skin.buttons,
            skin.sides,
            100 * max((max(one.travel) for one in skin.elements), default=0.0) / skin.size[0],
            tuple(name for name in alike[skin.geometry] if name != skin.name),
            skin.unread,
        )
        for skin in skins
    ]


def moments() -> States:
    """The states that a sheet shows, as MOMENTS names them."""
    states = States.idle(len(MOMENTS))
    states.buttons[1] = np.ones(NUM_BUTTONS, bool)
    # NOTE: opposite directions of a d-pad cancel, and show nothing.
    states.buttons[1, [BUTTON_INDEX["DPAD_LEFT"], BUTTON_INDEX["DPAD_DOWN"]]] = False
    states.triggers[1] = 1
    states.left[2] = states.right[2] = np.sqrt(0.5)
    states.triggers[2] = 0.5
    return states


def contact_sheet(skins: Sequence[Skin], columns: int = 2) -> np.ndarray:
    """Every skin at the three MOMENTS on a checkerboard: (H, W, 3) uint8 RGB.

    Args:
        columns: skins beside each other.
    """
    width, height = CELL
    across, down = width * len(MOMENTS), height + NAME_HEIGHT
    lines = min(-(-len(skins) // columns), PAGE // down)
    sheet = np.zeros((max(lines, 1) * down, columns * across, 3), np.uint8)
    for at, skin in enumerate(skins[: lines * columns]):
        y, x = at // columns * down, at % columns * across
        for i, cell in enumerate(_cells(skin)):
            left = x + i * width
            sheet[y + NAME_HEIGHT : y + down, left : left + width] = cell
        title = f"{skin.name} {skin.size[0]} x {skin.size[1]}"
        title = title.encode("ascii", "replace").decode()
        where = (x + 4, y + NAME_HEIGHT - 5)
        cv2.putText(sheet, title, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (230, 230, 230), 1)
    return sheet


def _cells(skin: Skin) -> list[np.ndarray]:
    """A skin at each of the MOMENTS, as large as a cell holds it."""
    width, height = CELL
    scale = 0.92 * min(width / skin.size[0], height / skin.size[1])
    x, y = (side - scale * size for side, size in zip(CELL, skin.size, strict=True))
    region = Region(0, 0, width, height)
    painter = Painter(skin, Placement(scale, x / 2, y / 2), region)
    cells = []
    for rgba in painter.states(moments()):
        cells.append(checkerboard(height, width))
        blend(cells[-1], rgba, region)
    return cells


def checkerboard(height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: what shows through a picture with transparent parts."""
    squares = np.add.outer(np.arange(height) // SQUARE, np.arange(width) // SQUARE) % 2
    return np.repeat(np.array(GREYS, np.uint8)[squares][..., None], 3, axis=-1)
