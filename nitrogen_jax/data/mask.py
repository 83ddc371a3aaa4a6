"""Frames for training: the controller overlay is painted over, then crop and stretch.

Boxes are (x, y, width, height). Whatever part of a pixel a box covers is covered whole.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from nitrogen_jax.data.images import to_frame
from nitrogen_jax.errors import NitrogenError

FILLS = ("none", "black", "mean", "blur")

BORDER = 8  # pixels around a box that "blur" goes on from
GRID = 32  # points a side at which "blur" is computed; it is smooth in between

PixelBox = tuple[float, float, float, float]  # x, y, width, height
RelativeArea = tuple[float, float, float, float]  # left, top, right, bottom in 0..1


def fill(picture: np.ndarray, box: PixelBox, how: str = "black") -> np.ndarray:
    """A copy of a picture in which a box tells nothing any more.

    Args:
        picture: (H, W, C) uint8.
        box: in pixels of the picture; what of it lies outside is ignored.
        how: "black"; "mean", the mean colour of everything outside the box; "blur", a smooth
            surface that goes on from the pixels around the box; or "none", which leaves it. No
            way but "none" depends on a pixel inside. A box over everything is black.
    """
    check_fill(how)
    left, top, right, bottom = _whole(box, picture.shape[:2])
    picture = picture.copy()
    inside = picture[top:bottom, left:right]
    if how == "none" or inside.size == 0:
        return picture
    if how == "black" or inside.shape == picture.shape:
        inside[:] = 0
    elif how == "mean":
        around = (picture[:top], picture[bottom:])
        around += (picture[top:bottom, :left], picture[top:bottom, right:])
        around = [part for part in around if part.size]
        total = np.sum([cv2.sumElems(part)[: picture.shape[2]] for part in around], axis=0)
        pixels = sum(part.shape[0] * part.shape[1] for part in around)
        inside[:] = np.rint(total / pixels)
    else:
        inside[:] = _surface(picture, left, top, right, bottom)
    return picture


def check_fill(how: str) -> None:
    """NitrogenError if there is no such way to fill a box."""
    if how not in FILLS:
        raise NitrogenError(f"mask fill {how!r} is not one of {', '.join(FILLS)}")


def scale_box(box: PixelBox, labelled: tuple[int, int], actual: tuple[int, int]) -> PixelBox:
    """A box in pixels of one resolution (height, width) in those of another."""
    for what, size in (("labelled", labelled), ("actual", actual)):
        if min(size) <= 0:
            raise NitrogenError(f"{what} resolution is {size}, where pixels above 0 are needed")
    down, across = actual[0] / labelled[0], actual[1] / labelled[1]
    x, y, width, height = box
    return x * across, y * down, width * across, height * down


def crop(picture: np.ndarray, area: RelativeArea) -> np.ndarray:
    """The part of a picture (H, W, C) that an area names, to whole pixels; a view."""
    left, top, right, bottom = _pixels(area, picture.shape[:2])
    return picture[top:bottom, left:right]


def training_frame(
    picture: np.ndarray,
    size: int = 256,
    box: PixelBox | None = None,
    how: str = "black",
    area: RelativeArea | None = None,
) -> np.ndarray:
    """What a policy sees of a picture: masked, cropped, and stretched, (size, size, 3) uint8.

    Args:
        picture: (H, W, 3) uint8 RGB.
        size: pixels a side.
        box: the controller overlay in pixels of the picture, painted over as `fill` does.
        how: one of FILLS.
        area: of the game, relative to the picture; all of it if None.
    """
    check_fill(how)
    if box is not None:  # before the stretch, which would mix the overlay into pixels around it
        picture = fill(picture, box, how)
    if area is not None:
        picture = crop(picture, area)
    return to_frame(picture, size)


def box_in_frame(
    box: PixelBox | None, size: tuple[int, int], area: RelativeArea | None = None
) -> tuple[float, float, float, float]:
    """Where `training_frame` masks: (x, y, width, height) in 0..1 of its result, 0 if nowhere.

    Args:
        box: in pixels of the picture.
        size: (height, width) of the picture.
        area: of the game, relative to the picture; all of it if None.
    """
    if box is None:
        return 0.0, 0.0, 0.0, 0.0
    left, top, right, bottom = _pixels((0, 0, 1, 1) if area is None else area, size)
    x0, y0, x1, y1 = _whole(box, size)
    x0, x1 = (min(max(x, left), right) for x in (x0, x1))
    y0, y1 = (min(max(y, top), bottom) for y in (y0, y1))
    if x0 >= x1 or y0 >= y1:
        return 0.0, 0.0, 0.0, 0.0
    wide, high = right - left, bottom - top
    return (x0 - left) / wide, (y0 - top) / high, (x1 - x0) / wide, (y1 - y0) / high


# ---------------------------------------------------------------------------------------------
# Pixels


def _whole(box: PixelBox, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a box, rounded outward and clipped to (height, width)."""
    x, y, width, height = box
    if not all(map(math.isfinite, box)) or width < 0 or height < 0:
        raise NitrogenError(
            f"box {tuple(box)} is not x, y, width, height: finite numbers, and sizes of 0 or more"
        )
    if width == 0 or height == 0:
        return 0, 0, 0, 0
    edges = (math.floor(x), size[1]), (math.floor(y), size[0])
    ends = (math.ceil(x + width), size[1]), (math.ceil(y + height), size[0])
    return tuple(min(max(value, 0), most) for value, most in (*edges, *ends))


def _pixels(area: RelativeArea, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a relative area in a picture of (height, width)."""
    left, top, right, bottom = area
    # NOTE: NaN fails a comparison too.
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise NitrogenError(
            f"game area {tuple(area)} is not left, top, right, bottom with "
            "0 <= left < right <= 1 and 0 <= top < bottom <= 1"
        )
    height, width = size
    x0, y0 = min(round(left * width), width - 1), min(round(top * height), height - 1)
    return x0, y0, max(round(right * width), x0 + 1), max(round(bottom * height), y0 + 1)


def _surface(picture: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """What "blur" paints into a box, (h, w, C) uint8.

    The four strips around the box are averaged across and smoothed along; each point inside is
    their mean, weighted by how near the sides are. A side at the picture's edge has no strip.
    """
    high, wide = bottom - top, right - left
    rows, columns = min(high, GRID), min(wide, GRID)
    down = ((np.arange(rows) + 0.5) / rows * high)[:, None, None]  # pixels from the top
    across = ((np.arange(columns) + 0.5) / columns * wide)[None, :, None]
    sides = (
        (picture[max(top - BORDER, 0) : top, left:right], 0, down),
        (picture[bottom : bottom + BORDER, left:right], 0, high - down),
        (picture[top:bottom, max(left - BORDER, 0) : left], 1, across),
        (picture[top:bottom, right : right + BORDER], 1, wide - across),
    )
    total, weights = 0.0, 0.0
    for strip, axis, distance in sides:
        if strip.size:
            line = strip.mean(axis, keepdims=True, dtype=np.float32)
            shape = (columns, 1) if axis == 0 else (1, rows)
            line = cv2.resize(line, shape, interpolation=cv2.INTER_AREA)
            ends = (columns // 4 * 2 + 1, 1) if axis == 0 else (1, rows // 4 * 2 + 1)
            line = cv2.blur(line, ends, borderType=cv2.BORDER_REPLICATE)
            line = line.reshape(*shape[::-1], -1)  # cv2 drops an axis of one channel
            total, weights = total + line / distance, weights + 1 / distance
    surface = (total / weights).astype(np.float32)
    surface = cv2.resize(surface, (wide, high), interpolation=cv2.INTER_LINEAR)
    return np.rint(surface).clip(0, 255).astype(np.uint8).reshape(high, wide, -1)
