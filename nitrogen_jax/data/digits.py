"""A frame number that is drawn into a picture and read from its pixels, to test alignment.

32 cells, black or white, in 4 rows of 8: 20 bits of the number and 12 of a checksum over it. In a
quarter of the width and an eighth of the height it survives H.264 at crf 20 or JPEG at 90, and the
stretch to 256 x 256.
"""

from __future__ import annotations

import numpy as np

from nitrogen_jax.errors import NitrogenError

ROWS, COLUMNS = 4, 8
NUMBER_BITS, CHECK_BITS = 20, 12
LARGEST = (1 << NUMBER_BITS) - 1

CONTRAST = 64  # of brightness between black and white; less is no code

# The checksum is CRC-12, x^12 + x^11 + x^3 + x^2 + x + 1: it finds any two wrong bits.
_POLYNOMIAL, _START = 0x80F, 0x5A5

RelativeBox = tuple[float, float, float, float]  # x, y, width, height in 0..1 of the picture


def draw_number(picture: np.ndarray, box: RelativeBox, number: int) -> None:
    """Draws the number into the picture (H, W, C) uint8, in place."""
    if not 0 <= number <= LARGEST:
        raise NitrogenError(f"frame number {number} is not in 0..{LARGEST}")
    xs, ys = _edges(picture, box)
    if min(np.diff(xs).min(), np.diff(ys).min()) < 1:
        raise NitrogenError(
            f"box {tuple(box)} of a picture of {picture.shape[1]} x {picture.shape[0]} pixels has "
            f"no room for {COLUMNS} x {ROWS} cells"
        )
    code = number << CHECK_BITS | _checksum(number)
    bits = code >> np.arange(ROWS * COLUMNS - 1, -1, -1) & 1
    cells = (bits.reshape(ROWS, COLUMNS) * 255).astype(np.uint8)
    cells = cells.repeat(np.diff(ys), axis=0).repeat(np.diff(xs), axis=1)
    picture[ys[0] : ys[-1], xs[0] : xs[-1]] = cells[..., None]


def read_number(picture: np.ndarray, box: RelativeBox) -> int | None:
    """The number in a picture (H, W, C) uint8 of any size; None where there is none for certain.

    Args:
        box: where it was drawn, relative to the picture.
    """
    xs, ys = _edges(picture, box, part=4)
    light = np.empty((ROWS, COLUMNS))
    for row, column in np.ndindex(light.shape):
        # The inner half of the cell: its edges are mixed with its neighbours.
        top, bottom = ys[4 * row + 1], ys[4 * row + 3]
        left, right = xs[4 * column + 1], xs[4 * column + 3]
        light[row, column] = picture[top : max(bottom, top + 1), left : max(right, left + 1)].mean()
    if not light.max() - light.min() >= CONTRAST:
        return None
    bits = light.ravel() > (light.max() + light.min()) / 2
    code = int("".join("01"[bit] for bit in bits.astype(int)), 2)
    number, check = code >> CHECK_BITS, code & ((1 << CHECK_BITS) - 1)
    return number if check == _checksum(number) else None


def _edges(picture: np.ndarray, box: RelativeBox, part: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Pixel columns and rows between the cells, or between the parts of cells."""
    x, y, width, height = box
    if not (0 <= x < x + width <= 1 + 1e-9 and 0 <= y < y + height <= 1 + 1e-9):
        raise NitrogenError(f"box {tuple(box)} is not x, y, width, height inside of 0..1")
    across = x + width * np.linspace(0, 1, COLUMNS * part + 1)
    down = y + height * np.linspace(0, 1, ROWS * part + 1)
    xs = np.rint(across * picture.shape[1]).astype(int).clip(0, picture.shape[1])
    ys = np.rint(down * picture.shape[0]).astype(int).clip(0, picture.shape[0])
    return xs, ys


def _checksum(number: int) -> int:
    state, top = _START, 1 << (CHECK_BITS - 1)
    for shift in range(NUMBER_BITS - 1, -1, -1):
        bit = number >> shift & 1
        carry = bool(state & top) ^ bool(bit)
        state = (state << 1 & (2 * top - 1)) ^ (_POLYNOMIAL if carry else 0)
    return state
