"""Pictures from files and arrays: uint8 RGB, stretched to the size that a vision tower takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from nitrogen_jax.errors import NitrogenError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SHAPES = "(height, width) or (height, width, 1, 3 or 4)"


def to_frame(picture: np.ndarray, size: int, what: str = "picture") -> np.ndarray:
    """A picture of any size as (size, size, 3) uint8 RGB, stretched: its aspect is ignored.

    Args:
        picture: uint8 gray (H, W) or (H, W, 1), RGB (H, W, 3), or RGBA (H, W, 4), whose alpha is
            left out.
        size: pixels a side.
        what: what an error calls the picture.
    """
    if not isinstance(picture, np.ndarray):
        raise NitrogenError(
            f"{what} is a {type(picture).__name__}, where a NumPy array {_SHAPES} is needed"
        )
    if picture.dtype != np.uint8:
        needed = "pictures are uint8 from 0 to 255"
        if picture.dtype.kind != "f":
            raise NitrogenError(f"{what} is of type {picture.dtype}: {needed}")
        if not np.isfinite(picture).all():
            raise NitrogenError(f"{what} is of type {picture.dtype} and holds NaN or inf: {needed}")
        raise NitrogenError(f"{what} is of type {picture.dtype}: {needed}; scale and round it")
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise NitrogenError(f"{what} has shape {picture.shape}, where {_SHAPES} is needed")
    if 0 in picture.shape:
        raise NitrogenError(f"{what} has shape {picture.shape}: it is empty")
    if channels == 4:
        picture = picture[..., :3]
    if picture.shape[:2] != (size, size):
        picture = np.ascontiguousarray(picture)  # cv2 refuses some views
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    picture = picture.reshape(size, size, -1)  # cv2 drops an axis of one channel
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def decode(data: bytes) -> np.ndarray | None:
    """An encoded picture as (H, W, 3) uint8 RGB, or None where it is not one.

    Gray becomes RGB, 16 bits become 8, alpha is left out.
    """
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # no bytes at all, or more pixels than it agrees to
        return None


def read(path: Path) -> np.ndarray:
    """The picture in a file as (H, W, 3) uint8 RGB."""
    try:
        picture = decode(path.read_bytes())
    except OSError as error:
        raise NitrogenError(f"cannot read picture {path}: {error.strerror}") from None
    if picture is None:
        raise NitrogenError(
            f"picture {path} cannot be decoded: a complete {', '.join(s[1:] for s in SUFFIXES)} "
            "file is needed"
        )
    return picture


def find(paths: Iterable[str | Path]) -> list[Path]:
    """The pictures that files and folders name: a folder's own, sorted by name."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise NitrogenError(
                    f"folder {path} holds no picture: files ending in {', '.join(SUFFIXES)} "
                    "are needed"
                )
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise NitrogenError(f"picture {path} does not exist")
    if not found:
        raise NitrogenError("no picture is given: name files or folders")
    return found
