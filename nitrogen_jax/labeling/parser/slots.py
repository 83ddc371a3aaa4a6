"""Where elements of a skin are, and where they go in the picture that the network sees.

That picture, a *mosaic*, is 96 x 96 pixels whatever the skin: two slots of 44 x 44 for the sticks,
so that features at a quarter of the size have exactly 11 x 11 cells for each, and fifteen slots of
16 x 16 for whatever can be pressed. The network learns what pressing and moving look like, and
never where a skin has its buttons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nitrogen_jax.gamepad import BUTTON_INDEX, COLUMNS
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element, Skin

SIDE = 96  # pixels of a mosaic
CELL = 4  # pixels of a cell of the network's features
STICK, GRID = 44, 11  # pixels and cells of a stick's slot
PRESS = 16  # pixels of any other slot

SIDES = ("left", "right")
READ = tuple(COLUMNS.values())  # the 17 buttons that are read, in the order of the label files
READ_INDEX = np.array([BUTTON_INDEX[name] for name in READ])  # in the 21 of `gamepad.BUTTONS`
CLICKS = tuple(READ.index(f"{side.upper()}_THUMB") for side in SIDES)
PRESSES = tuple(name for name in READ if not name.endswith("THUMB"))

STICK_CORNERS = ((0, 0), (48, 0))  # (x, y) of the two sticks' slots
PRESS_CORNERS = tuple((16 * (at % 6), 48 + 16 * (at // 6)) for at in range(len(PRESSES)))
PRESS_READ = np.array([READ.index(name) for name in PRESSES])

VISIBLE = 24  # levels by which a pixel must differ to count as a sign
ROOM = 1.06  # of what an element covers, in its slot

_WAYS = {"LEFT": (-1, 0), "RIGHT": (1, 0), "UP": (0, -1), "DOWN": (0, 1)}


@dataclass(frozen=True)
class Window:
    """What a slot shows of a skin, in pixels of the skin's own picture.

    Attributes:
        slot: (x, y) of the slot's corner in the mosaic.
        pixels: side of the slot.
    """

    left: float
    top: float
    width: float
    height: float
    slot: tuple[int, int]
    pixels: int


@dataclass(frozen=True, eq=False)
class Slots:
    """What a mosaic shows of one skin.

    Attributes:
        windows: of all slots that are not empty.
        sticks: (2,) bool, which sticks there are.
        travel: (2, 2) float32, x and y cells that the left and the right stick move.
        presses: (17,) bool, which of READ can be seen.
    """

    windows: tuple[Window, ...]
    sticks: np.ndarray
    travel: np.ndarray
    presses: np.ndarray


def slots(skin: Skin) -> Slots:
    """The slots of a skin; where it shows a thing twice, its first element is looked at."""
    windows: list[Window] = []
    sticks, presses = np.zeros(2, bool), np.zeros(len(READ), bool)
    travel = np.zeros((2, 2), np.float32)
    for element in skin.elements:
        if element.kind == "stick":
            side = SIDES.index(element.side)
            if sticks[side] or max(map(abs, element.travel)) == 0:
                continue
            window = _stick_window(element, STICK_CORNERS[side])
            windows.append(window)
            sticks[side] = True
            travel[side] = np.array(element.travel) * STICK / window.width / CELL
            presses[CLICKS[side]] = element.button == READ[CLICKS[side]] and _signs(
                *element.sprites
            )
            continue
        for button in element.buttons:
            if button not in PRESSES or presses[READ.index(button)]:
                continue
            box = _press_box(element, button)
            if box is not None:
                at = PRESSES.index(button)
                windows.append(_press_window(element, box, PRESS_CORNERS[at]))
                presses[PRESS_READ[at]] = True
    return Slots(tuple(windows), sticks, travel, presses)


def _stick_window(element: Element, slot: tuple[int, int]) -> Window:
    """A square about the knob at rest, with room for all that it travels."""
    left, top, right, bottom = _extent(element.sprites[0][..., 3] > VISIBLE, element)
    x, y = element.position[0] + (left + right) / 2, element.position[1] + (top + bottom) / 2
    half = max(
        (right - left) / 2 + abs(element.travel[0]), (bottom - top) / 2 + abs(element.travel[1])
    )
    half *= ROOM
    return Window(x - half, y - half, 2 * half, 2 * half, slot, STICK)


def _press_window(
    element: Element, box: tuple[int, int, int, int], slot: tuple[int, int]
) -> Window:
    left, top, right, bottom = box
    wide, high = (right - left) * ROOM, (bottom - top) * ROOM
    x, y = element.position[0] + (left + right) / 2, element.position[1] + (top + bottom) / 2
    return Window(x - wide / 2, y - high / 2, wide, high, slot, PRESS)


def _press_box(element: Element, button: str) -> tuple[int, int, int, int] | None:
    """What of an element changes when a button is pressed: left, top, right, bottom; or nothing."""
    other = 1
    if element.kind == "dpad":
        other = DPAD_STATES.index(_WAYS[button.removeprefix("DPAD_")])
    released, pressed = element.sprites[0], element.sprites[other]
    if released.shape != pressed.shape:
        return 0, 0, *element.size
    changed = np.abs(released.astype(np.int16) - pressed).max(-1) > VISIBLE
    return _extent(changed, element) if changed.any() else None


def _extent(there: np.ndarray, element: Element) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a mask; all of the element where it is empty."""
    if not there.any():
        return 0, 0, *element.size
    columns, rows = np.flatnonzero(there.any(0)), np.flatnonzero(there.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _signs(released: np.ndarray, pressed: np.ndarray) -> bool:
    """Whether a click can be seen."""
    if released.shape != pressed.shape:
        return True
    return bool((np.abs(released.astype(np.int16) - pressed).max(-1) > VISIBLE).any())
