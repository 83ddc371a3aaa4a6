"""Pictures of games to draw overlays on: made up, or from a folder of videos and images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from nitrogen_jax.data import video
from nitrogen_jax.errors import NitrogenError

IMAGES = (".png", ".jpg", ".jpeg", ".webp")


class Footage(Protocol):
    """An endless stream of frames, decided by its seed."""

    def frames(self, size: tuple[int, int], rate: float, seed: int) -> Iterator[np.ndarray]:
        """Frames (height, width, 3) uint8 RGB of `size` (width, height)."""


class MadeUp:
    """Scenes of many textured shapes, a camera that pans and zooms, things that move, cuts."""

    def frames(self, size: tuple[int, int], rate: float, seed: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(seed)
        while True:
            scene = _scene(rng)
            number = int(rng.uniform(2.5, 7) * rate)
            yield from _shots(rng, scene, size, rate, number)


class FromFolder:
    """The videos of a folder from beginning to end, and its images held for some seconds."""

    def __init__(self, folder: Path):
        files = sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []
        wanted = (*video.SUFFIXES, *IMAGES)
        self.files = [path for path in files if path.suffix.lower() in wanted]
        if not self.files:
            raise NitrogenError(
                f"folder {folder} of footage holds no video or image ({', '.join(wanted)})"
            )

    def frames(self, size: tuple[int, int], rate: float, seed: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(seed)
        while True:
            given = 0
            for at in rng.permutation(len(self.files)):
                for frame in self._of(self.files[at], size, rate):
                    given += 1
                    yield frame
            if not given:
                raise NitrogenError(f"none of the {len(self.files)} files of footage can be read")

    def _of(self, path: Path, size: tuple[int, int], rate: float) -> Iterator[np.ndarray]:
        if path.suffix.lower() in IMAGES:
            picture = _image(path)
            if picture is not None:
                yield from [fitted(picture, size)] * max(1, round(3 * rate))
            return
        try:
            for frame in video.frames(path, threads=1):
                yield fitted(frame.picture(), size)
        except video.Damaged:
            return


def _image(path: Path) -> np.ndarray | None:
    """(h, w, 3) uint8 RGB; None where it cannot be read."""
    try:
        return cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # such as more pixels than are allowed
        return None


def fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture scaled to fill (width, height) and cut to it."""
    if picture.shape[1::-1] == size:
        return picture
    scale = max(size[0] / picture.shape[1], size[1] / picture.shape[0])
    wide = max(round(picture.shape[1] * scale), size[0])
    high = max(round(picture.shape[0] * scale), size[1])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(picture, (wide, high), interpolation=way)
    left, top = (wide - size[0]) // 2, (high - size[1]) // 2
    return np.ascontiguousarray(picture[top : top + size[1], left : left + size[0]])


def noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Clouds with detail at all sizes, as natural pictures have it: (h, w) float32, about -1..1."""
    total = np.zeros((height, width), np.float32)
    for octave in range(1, 8):
        small = rng.normal(0, 1, (2 + 2**octave, 2 + 2**octave)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total


def _scene(rng: np.random.Generator, height: int = 900, width: int = 1600) -> np.ndarray:
    """A large picture of a place, (h, w, 3) uint8."""
    base = rng.uniform(20, 200, 3)
    clouds = noise(rng, height, width)[..., None] * rng.uniform(10, 60)
    picture = base + clouds * rng.uniform(0.5, 1.5, 3)
    slope = np.linspace(-1, 1, height)[:, None, None] * rng.uniform(-50, 50, 3)
    picture = np.ascontiguousarray((picture + slope).clip(0, 255).astype(np.uint8))
    grain = (noise(rng, height, width) * 25).astype(np.int16)
    for _ in range(int(rng.integers(30, 140))):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = (int(v) for v in rng.gamma(2, 50, 2) + 4)
        shape = rng.integers(0, 4)
        if shape == 0:
            cv2.rectangle(picture, (x, y), (x + w, y + h), colour, -1)
        elif shape == 1:
            cv2.ellipse(picture, (x, y), (w, h), float(rng.uniform(0, 180)), 0, 360, colour, -1)
        elif shape == 2:
            corners = np.array([x, y]) + rng.normal(0, 60, (int(rng.integers(3, 6)), 2))
            cv2.fillPoly(picture, [corners.astype(np.int32)], colour)
        else:
            end = x + int(rng.normal(0, 200)), y + int(rng.normal(0, 200))
            cv2.line(picture, (x, y), end, colour, int(rng.integers(1, 8)), cv2.LINE_AA)
    return (picture + grain[..., None]).clip(0, 255).astype(np.uint8)


def _shots(
    rng: np.random.Generator, scene: np.ndarray, size: tuple[int, int], rate: float, number: int
) -> Iterator[np.ndarray]:
    """One shot: the camera drifts and turns over a scene, sprites cross it."""
    height, width = scene.shape[:2]
    centre, speed = rng.uniform(0.35, 0.65, 2), rng.normal(0, 0.05, 2) / rate
    zoom, growth = rng.uniform(0.45, 0.8), rng.normal(0, 0.03) / rate
    angle, turning = 0.0, rng.normal(0, 3) / rate
    sprites = [_sprite(rng, size) for _ in range(int(rng.integers(1, 7)))]
    spots = rng.uniform(0, 1, (len(sprites), 2)) * size
    moves = rng.normal(0, 0.3, (len(sprites), 2)) * size / rate
    for _ in range(number):
        scale = zoom * width / size[0]
        cos, sin = np.cos(np.radians(angle)) * scale, np.sin(np.radians(angle)) * scale
        there = centre * (width, height)
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
        matrix[:, 2] = there - matrix[:, :2] @ (np.array(size) / 2)
        frame = cv2.warpAffine(
            scene,
            matrix,
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        for sprite, (x, y) in zip(sprites, spots, strict=True):
            h, w = sprite.shape[:2]
            left, top = int(x) % (size[0] + w) - w, int(y) % (size[1] + h) - h
            x0, y0 = max(left, 0), max(top, 0)
            x1, y1 = min(left + w, size[0]), min(top + h, size[1])
            if x0 < x1 and y0 < y1:
                frame[y0:y1, x0:x1] = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
        yield frame
        spots = spots + moves
        centre, zoom, angle = centre + speed, np.clip(zoom + growth, 0.3, 0.9), angle + turning


def _sprite(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    h, w = (max(6, int(v)) for v in rng.gamma(2, 0.03, 2) * size[1])
    texture = rng.integers(0, 256, (max(2, h // 8), max(2, w // 8), 3)).astype(np.uint8)
    return cv2.resize(texture, (w, h), interpolation=cv2.INTER_NEAREST)


def draw_hud(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A head-up display that stays: (h, w, 3) uint8 and where it is drawn, (h, w) bool."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    unit = size[1] / 720
    for _ in range(int(rng.integers(6, 14))):
        x, y = int(rng.uniform(0, 0.9) * size[0]), int(rng.uniform(0.03, 0.97) * size[1])
        colour = tuple(int(c) for c in rng.integers(40, 256, 3))
        if rng.random() < 0.5:
            text = "".join(rng.choice(list("ABCDEHKLMNORST0123456789"), int(rng.integers(3, 12))))
            scale = float(rng.uniform(0.5, 1.4) * unit)
            cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2)
        else:
            w, h = int(rng.uniform(60, 260) * unit), int(rng.uniform(8, 40) * unit)
            cv2.rectangle(picture, (x, y), (x + w, y + h), colour, int(rng.choice([-1, 2])))
    return picture, picture.any(-1)
