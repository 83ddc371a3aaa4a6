"""Pixels of the shared memory as an RGB picture."""

from __future__ import annotations

import cv2
import numpy as np

from nitrogen_jax.sim import shared
from nitrogen_jax.sim.errors import SessionError

_TO_RGB = {shared.BGRA: cv2.COLOR_BGRA2RGB, shared.RGBA: cv2.COLOR_RGBA2RGB}
ATTEMPTS = 100


def read(memory: shared.Shared, size: tuple[int, int] | None) -> np.ndarray | None:
    """The last captured frame (height, width, 3) uint8 RGB, or None where there is none.

    Args:
        size: (width, height) that it is shrunk or grown to by area; None: as it is.
    """
    page = memory.page
    for _ in range(ATTEMPTS):
        # A game that runs freely may write a new frame meanwhile: the word tells.
        word = int(page["pixel_word"])
        width, height, format = int(page["width"]), int(page["height"]), int(page["format"])
        fits = 0 < width * height * 4 <= len(memory.pixels)
        if not fits or format not in _TO_RGB:
            return None
        picture = memory.pixels[: width * height * 4].reshape(height, width, 4)
        picture = convert(picture, format, bool(page["bottom_up"]), size)
        if word % 2 == 0 and word == int(page["pixel_word"]):
            return picture
    raise SessionError(f"no frame could be read in {ATTEMPTS} attempts: a new one came each time")


def convert(
    picture: np.ndarray, format: int, bottom_up: bool, size: tuple[int, int] | None
) -> np.ndarray:
    """(h, w, 4) uint8 as a new array (height, width, 3) uint8 RGB."""
    picture = cv2.cvtColor(picture, _TO_RGB[format])  # first: three channels are resized faster
    if size is not None and (picture.shape[1], picture.shape[0]) != tuple(size):
        picture = cv2.resize(picture, tuple(size), interpolation=cv2.INTER_AREA)
    return cv2.flip(picture, 0) if bottom_up else picture
