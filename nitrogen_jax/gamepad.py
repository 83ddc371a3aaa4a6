"""What an action is: 21 buttons and two sticks, as a pad, as a vector and as label columns.

  pad      `Pad`: buttons (..., 21) pressed or not, sticks (..., 2) in [-1, 1], x to the right
           and y DOWN, so that negative y is up, as in the label files
  vector   (..., 25) float32, what networks read and write: a pressed button is 1, a stick value v
           is stored as (v + 1) / 2, so that a stick at rest is 0.5
  columns  one table column per button and one [x, y] column per stick, as in the label files

A vector has one of two layouts. "buttons_first" is the usual one; "sticks_first" belongs to old
checkpoints and puts the four stick values before the buttons.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nitrogen_jax.errors import NitrogenError

BUTTONS = (
    *("BACK", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT", "DPAD_UP", "EAST", "GUIDE"),
    *("LEFT_SHOULDER", "LEFT_THUMB", "LEFT_TRIGGER", "NORTH"),
    *("RIGHT_BOTTOM", "RIGHT_LEFT", "RIGHT_RIGHT"),
    *("RIGHT_SHOULDER", "RIGHT_THUMB", "RIGHT_TRIGGER", "RIGHT_UP"),
    *("SOUTH", "START", "WEST"),
)
STICK_AXES = ("LEFT_X", "LEFT_Y", "RIGHT_X", "RIGHT_Y")
DIMENSIONS = BUTTONS + STICK_AXES
NUM_BUTTONS = len(BUTTONS)
ACTION_DIM = len(DIMENSIONS)
BUTTON_INDEX = MappingProxyType({name: index for index, name in enumerate(BUTTONS)})

LAYOUTS = ("buttons_first", "sticks_first")

# Label column -> button, in the order of the label files. RIGHT_{BOTTOM,LEFT,RIGHT,UP} have none.
COLUMNS = MappingProxyType(
    {
        name: name.upper()
        for name in (
            *("dpad_down", "dpad_left", "dpad_right", "dpad_up"),
            *("left_shoulder", "left_thumb", "left_trigger"),
            *("right_shoulder", "right_thumb", "right_trigger"),
            *("south", "west", "east", "north"),
            *("back", "start", "guide"),
        )
    }
)
STICK_COLUMNS = ("j_left", "j_right")

NO_MENUS = frozenset({"START", "GUIDE", "BACK"})  # buttons that leave the game rather than play it

DEAD_ZONE = 0.1  # a stick deflected this far or less counts as at rest


class Slices(NamedTuple):
    """Where the parts of an action are on the last axis of a vector."""

    buttons: slice
    left: slice
    right: slice
    sticks: slice


_SLICES = {
    "buttons_first": Slices(slice(0, 21), slice(21, 23), slice(23, 25), slice(21, 25)),
    "sticks_first": Slices(slice(4, 25), slice(0, 2), slice(2, 4), slice(0, 4)),
}


@dataclass(frozen=True, eq=False)
class Pad:
    """The state of a gamepad, at one step or at many: all parts share the leading shape.

    Attributes:
        buttons: (..., 21) bool, or float32 for values that no threshold has decided yet.
        left: (..., 2) float32, x and y of the left stick in [-1, 1]; negative y is up.
        right: (..., 2) float32, the same for the right stick.

    Lists and other number types are converted; wrong shapes and values are refused.
    """

    buttons: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def __post_init__(self):
        buttons = _numbers(self.buttons, "pad: buttons", NUM_BUTTONS)
        if buttons.dtype != bool:
            buttons = _finite(buttons.astype(np.float32), "pad: buttons")
        # NOTE: a frozen dataclass can only be filled through object.__setattr__.
        object.__setattr__(self, "buttons", buttons)
        for name in ("left", "right"):
            what = f"pad: {name} stick"
            stick = _finite(_numbers(getattr(self, name), what, 2).astype(np.float32), what)
            if stick.shape[:-1] != self.shape:
                raise NitrogenError(
                    f"{what} has leading shape {stick.shape[:-1]} and the buttons have "
                    f"{self.shape}, where both must be the same"
                )
            if stick.size and np.abs(stick).max() > 1:
                raise NitrogenError(
                    f"{what} holds {stick.flat[np.abs(stick).argmax()]}, where values must be "
                    "in [-1, 1]"
                )
            object.__setattr__(self, name, stick)

    @property
    def shape(self) -> tuple[int, ...]:
        """The leading shape: () for a single step."""
        return self.buttons.shape[:-1]

    @property
    def pressed(self) -> np.ndarray:
        """(..., 21) bool; float buttons are pressed above 0.5."""
        return self.buttons if self.buttons.dtype == bool else self.buttons > 0.5

    def __getitem__(self, index) -> Pad:
        """Some of the steps: `index` picks from the leading axes, counted from the first."""
        return Pad(self.buttons[index], self.left[index], self.right[index])


# ---------------------------------------------------------------------------------------------
# Pad <-> vector


def layout_slices(layout: str = "buttons_first") -> Slices:
    """Where buttons and sticks are in a vector of this layout."""
    if layout not in LAYOUTS:
        raise NitrogenError(f"action layout {layout!r} is not one of {', '.join(LAYOUTS)}")
    return _SLICES[layout]


def layout_names(layout: str = "buttons_first") -> tuple[str, ...]:
    """The 25 dimension names in the order of this layout."""
    at = layout_slices(layout)
    return BUTTONS + STICK_AXES if at.buttons.start == 0 else STICK_AXES + BUTTONS


def scale_stick(value: ArrayLike) -> np.ndarray:
    """Stick values from [-1, 1] to the [0, 1] that vectors store; float32."""
    return (np.asarray(value, np.float32) + 1) / 2


def unscale_stick(stored: ArrayLike) -> np.ndarray:
    """Stick values from the [0, 1] that vectors store to [-1, 1]; float32, nothing clipped."""
    return 2 * np.asarray(stored, np.float32) - 1


def pack(pad: Pad, layout: str = "buttons_first") -> np.ndarray:
    """A pad (...) as a vector (..., 25) float32."""
    at = layout_slices(layout)
    vector = np.empty((*pad.shape, ACTION_DIM), np.float32)
    vector[..., at.buttons] = pad.buttons
    vector[..., at.left] = scale_stick(pad.left)
    vector[..., at.right] = scale_stick(pad.right)
    return vector


def unpack(
    vector: ArrayLike, layout: str = "buttons_first"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The raw parts of a vector (..., 25): buttons (..., 21), left (..., 2), right (..., 2).

    float32, without threshold or clipping. It undoes `pack` to float32 rounding (6e-8 of stick).
    """
    at = layout_slices(layout)
    vector = _numbers(vector, "action vector", ACTION_DIM).astype(np.float32)
    left, right = unscale_stick(vector[..., at.left]), unscale_stick(vector[..., at.right])
    return vector[..., at.buttons], left, right


def decode(vector: ArrayLike, threshold: float = 0.5, layout: str = "buttons_first") -> Pad:
    """The pad that a network's vector (..., 25) means.

    A button is pressed strictly above the threshold; sticks are clipped to [-1, 1].
    """
    vector = _numbers(vector, "action vector", ACTION_DIM).astype(np.float32)
    buttons, left, right = unpack(_finite(vector, "action vector"), layout)
    return Pad(buttons > threshold, np.clip(left, -1, 1), np.clip(right, -1, 1))


def convert_layout(vector: ArrayLike, source: str, target: str) -> np.ndarray:
    """The same vector (..., 25), of any type, in another layout."""
    old, new = layout_slices(source), layout_slices(target)
    vector = np.asarray(vector)
    _check_last(vector, "action vector", ACTION_DIM)
    converted = np.empty_like(vector)
    converted[..., new.buttons] = vector[..., old.buttons]
    converted[..., new.sticks] = vector[..., old.sticks]
    return converted


def neutral(shape: int | tuple[int, ...] = (), layout: str = "buttons_first") -> np.ndarray:
    """Idle actions (*shape, 25) float32: nothing pressed, sticks at rest."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    vector = np.zeros((*shape, ACTION_DIM), np.float32)
    vector[..., layout_slices(layout).sticks] = 0.5
    return vector


# ---------------------------------------------------------------------------------------------
# Label columns <-> vector


def columns_to_vector(
    columns: Mapping[str, ArrayLike], layout: str = "buttons_first", where: str = "label table"
) -> np.ndarray:
    """The columns of a label table of T rows as vectors (T, 25) float32.

    Buttons (T,) may be bool, int or float: pressed above 0.5. Sticks may be (T, 2), or (T,) of
    [x, y] lists, and are clipped to [-1, 1]. Other columns are ignored; the four buttons without a
    column stay 0.

    Args:
        where: what error messages call the table, for example its path.
    """
    missing = [name for name in (*COLUMNS, *STICK_COLUMNS) if name not in columns]
    if missing:
        raise NitrogenError(
            f"{where}: no column {', '.join(missing)}, where one column per button and the "
            f"sticks {' and '.join(STICK_COLUMNS)} are needed"
        )
    read = {
        name: _column(columns[name], f"{where}: column {name}", row, needed)
        for names, row, needed in (
            (STICK_COLUMNS, (2,), "the two numbers [x, y]"),
            (COLUMNS, (), "a bool or a number"),
        )
        for name in names
    }
    steps = len(read["j_left"])
    for name, column in read.items():
        if len(column) != steps:
            raise NitrogenError(
                f"{where}: column {name} has {len(column)} rows and j_left has {steps}, "
                "where all must have the same"
            )
    buttons = np.zeros((steps, NUM_BUTTONS), bool)
    for name, button in COLUMNS.items():
        buttons[:, BUTTON_INDEX[button]] = read[name] > 0.5
    left, right = (np.clip(read[name], -1, 1) for name in STICK_COLUMNS)
    return pack(Pad(buttons, left, right), layout)


def vector_to_columns(
    vector: ArrayLike, threshold: float = 0.5, layout: str = "buttons_first"
) -> dict[str, np.ndarray]:
    """Vectors (T, 25) as the columns of a label table: buttons (T,) bool, sticks (T, 2) float32.

    The four buttons without a column are lost.
    """
    if np.ndim(vector) != 2:
        raise NitrogenError(
            f"action vector has shape {np.shape(vector)}, where a table needs (steps, {ACTION_DIM})"
        )
    pad = decode(vector, threshold, layout)
    buttons = {
        column: pad.buttons[:, BUTTON_INDEX[button]].copy() for column, button in COLUMNS.items()
    }
    return {**buttons, "j_left": pad.left, "j_right": pad.right}


# ---------------------------------------------------------------------------------------------
# Buttons that must not be pressed, and steps at which nothing is done


def button_set(names: Collection[str]) -> frozenset[str]:
    """Button names, checked."""
    unknown = sorted(set(names) - set(BUTTONS))
    if unknown:
        raise NitrogenError(
            f"button {', '.join(unknown)} is not known: the names are {', '.join(BUTTONS)}"
        )
    return frozenset(names)


def apply_mask(pad: Pad, forbidden: Collection[str] = NO_MENUS) -> Pad:
    """The pad with the forbidden buttons released."""
    buttons = pad.buttons.copy()
    buttons[..., [BUTTON_INDEX[name] for name in sorted(button_set(forbidden))]] = 0
    return Pad(buttons, pad.left, pad.right)


def deflection(stick: np.ndarray) -> np.ndarray:
    """How far sticks (..., 2) are from rest, (...) float: 1 is the rim, the corners are beyond."""
    return np.hypot(stick[..., 0], stick[..., 1])


def is_idle(pad: Pad, dead_zone: float = DEAD_ZONE) -> np.ndarray:
    """(...) bool: no button pressed and neither stick deflected by more than the dead zone."""
    moved = (deflection(pad.left) > dead_zone) | (deflection(pad.right) > dead_zone)
    return ~(pad.pressed.any(-1) | moved)


# ---------------------------------------------------------------------------------------------
# For people

# In the order in which a description names them; Xbox names, as most games print those.
LABELS = MappingProxyType(
    {
        **{"SOUTH": "A", "EAST": "B", "WEST": "X", "NORTH": "Y"},
        **{"LEFT_SHOULDER": "LB", "RIGHT_SHOULDER": "RB"},
        **{"LEFT_TRIGGER": "LT", "RIGHT_TRIGGER": "RT"},
        **{f"DPAD_{name.upper()}": f"d-pad {name}" for name in ("up", "down", "left", "right")},
        **{"LEFT_THUMB": "left stick click", "RIGHT_THUMB": "right stick click"},
        **{"BACK": "Back", "START": "Start", "GUIDE": "Guide"},
        **{name: name for name in ("RIGHT_UP", "RIGHT_BOTTOM", "RIGHT_LEFT", "RIGHT_RIGHT")},
    }
)
# One eighth of a turn each, counter-clockwise.
_DIRECTIONS = ("right", "up-right", "up", "up-left", "left", "down-left", "down", "down-right")


def describe(pad: Pad, dead_zone: float = DEAD_ZONE) -> str:
    """One step in words, such as "A + left stick halfway up-right", or "idle".

    A stick is named beyond the dead zone: "slightly" below 0.4, "halfway" below 0.75.
    """
    if pad.shape != ():
        raise NitrogenError(
            f"pad of shape {pad.shape} cannot be described at once: give one step, shape ()"
        )
    pressed = [label for name, label in LABELS.items() if pad.pressed[BUTTON_INDEX[name]]]
    sticks = [_describe_stick(pad.left, "left", dead_zone)]
    sticks += [_describe_stick(pad.right, "right", dead_zone)]
    return " + ".join([*pressed, *filter(None, sticks)]) or "idle"


def describe_chunk(pad: Pad, dead_zone: float = DEAD_ZONE) -> list[str]:
    """Consecutive steps of a pad (T,) in words, equal ones as one line: "steps 0-4: A"."""
    if len(pad.shape) != 1:
        raise NitrogenError(f"pad of shape {pad.shape} is not a chunk: give shape (steps,)")
    words = [describe(pad[step], dead_zone) for step in range(pad.shape[0])]
    lines, first = [], 0
    for text, group in groupby(words):
        last = first + len(list(group)) - 1
        steps = f"step {first}" if first == last else f"steps {first}-{last}"
        lines.append(f"{steps}: {text}")
        first = last + 1
    return lines


def _describe_stick(stick: np.ndarray, name: str, dead_zone: float) -> str | None:
    far = deflection(stick)
    if not far > dead_zone:
        return None
    eighth = round(float(np.arctan2(-stick[1], stick[0])) / (np.pi / 4)) % 8
    strength = "slightly " if far < 0.4 else "halfway " if far < 0.75 else ""
    return f"{name} stick {strength}{_DIRECTIONS[eighth]}"


# ---------------------------------------------------------------------------------------------
# Checks


def _numbers(values: ArrayLike, what: str, last: int) -> np.ndarray:
    """An array (..., last) of real numbers or bools."""
    try:
        values = np.asarray(values)
    except ValueError:
        raise NitrogenError(f"{what} is not an array: its rows differ in length") from None
    # NOTE: bfloat16 is of NumPy's kind "V"; that it can be cast tells it from text and dates.
    if values.dtype.kind not in "biuf" and not np.can_cast(values.dtype, np.float32):
        raise NitrogenError(f"{what} has type {values.dtype}, where real numbers are needed")
    _check_last(values, what, last)
    return values


def _check_last(array: np.ndarray, what: str, last: int) -> None:
    if array.ndim == 0 or array.shape[-1] != last:
        raise NitrogenError(
            f"{what} has shape {array.shape}, where the last dimension must be {last}"
        )


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))[0].tolist()
        raise NitrogenError(
            f"{what} holds {values[tuple(bad)]} at {bad}, where finite numbers are needed"
        )
    return values


def _column(values: ArrayLike, what: str, row: tuple[int, ...], needed: str) -> np.ndarray:
    """A table's column as float64 (T, *row), whatever type its reader made of it."""
    column = _united(values)
    if column is not None and column.shape[:1] == (0,):
        return np.zeros((0, *row))
    if column is None or column.ndim == 0 or column.shape[1:] != row:
        listed = isinstance(values, list | tuple)  # rows that no array of objects may hold
        rows = list(values) if listed else np.atleast_1d(np.asarray(values, object)).tolist()
        shapes = [None if (one := _united(value)) is None else one.shape for value in rows]
        at = next((i for i, shape in enumerate(shapes) if shape != row), 0)
        raise NitrogenError(
            f"{what}, row {at}: {rows[at]!r:.60} cannot be read, where it needs {needed}"
        )
    return _finite(column.astype(np.float64), what)


def _united(values: ArrayLike) -> np.ndarray | None:
    """One array of numbers or bools, from nested lists, arrays and arrays of objects; else None."""
    try:
        array = np.asarray(values)
        for _ in ("rows", "their elements"):  # a reader may hand over objects on both levels
            array = np.asarray(array.tolist()) if array.dtype == object else array
    except ValueError:  # rows of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None
