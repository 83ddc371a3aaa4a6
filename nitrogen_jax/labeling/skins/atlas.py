"""Atlases: pictures with the sprites of a skin, read from files that nobody has checked."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

MOST_BYTES = 64 << 20  # of a PNG file
MOST_SIDE = 16384
MOST_PIXELS = 1 << 26  # of a picture: a file of a few kilobytes can claim any size

_PNG = b"\x89PNG\r\n\x1a\n"


def read(file: Path) -> np.ndarray | None:
    """(H, W, 4) uint8, premultiplied RGBA; None if it is no PNG, damaged, or too large."""
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        data = file.read_bytes()
    except OSError:
        return None
    # NOTE: its size is read before anything is decoded, so a small file cannot fill the memory.
    if data[:8] != _PNG or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        return None
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if picture is None else premultiplied(picture)


def premultiplied(picture: np.ndarray) -> np.ndarray:
    """What OpenCV read, grey, BGR or BGRA of 8 or 16 bits, as premultiplied RGBA of 8 bits."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.shape[2] == 3:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA)
    picture = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)
    alpha = picture[..., 3:].astype(np.uint16)
    colours = (picture[..., :3] * alpha + 127) // 255
    return np.concatenate([colours.astype(np.uint8), picture[..., 3:]], axis=-1)


def straight(picture: np.ndarray) -> np.ndarray:
    """Premultiplied RGBA as BGRA with straight alpha, which OpenCV writes."""
    alpha = picture[..., 3:].astype(np.float32)
    colours = picture[..., :3] * (255 / np.maximum(alpha, 1))
    whole = np.concatenate([np.rint(colours).clip(0, 255), alpha], axis=-1).astype(np.uint8)
    return cv2.cvtColor(whole, cv2.COLOR_RGBA2BGRA)


def cut(atlas: np.ndarray, x: int, y: int, w: int, h: int) -> np.ndarray:
    """A rectangle of an atlas; what lies outside of it is transparent."""
    part = atlas[y : y + h, x : x + w]
    missing = h - part.shape[0], w - part.shape[1]
    if missing == (0, 0):
        return part
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)))
