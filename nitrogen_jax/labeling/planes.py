"""The overlay's pixels as the video stores them: a luma plane and two chroma planes.

Frames are never converted to RGB as a whole: the part with the overlay is cut out of the planes,
and the sprites are converted instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import av
import cv2
import numpy as np

from nitrogen_jax.data.colours import FULL, LIMITED
from nitrogen_jax.labeling.skins.draw import Region

# Weights of red and blue in luma, by FFmpeg's number of the matrix; others are BT.601's.
_WEIGHTS = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593), 7: (0.212, 0.087)}
_BT601 = (0.299, 0.114)

_DIRECT = ("yuv420p", "yuvj420p")  # formats whose planes are taken as they are


class Colours(NamedTuple):
    """How a stream stores colours."""

    matrix: int
    full: bool

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """(3, 3) and (3,): Y, U, V of 0..255 are matrix @ RGB + offset."""
        red, blue = _WEIGHTS.get(self.matrix, _BT601)
        green = 1 - red - blue
        luma = np.array([red, green, blue])
        u = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
        v = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
        scale = np.array([1, 1, 1]) if self.full else np.array([219, 224, 224]) / 255
        offset = np.array([0.0 if self.full else 16.0, 128.0, 128.0])
        return np.stack([luma, u, v]) * scale[:, None], offset


class Planes(NamedTuple):
    """Y (h, w) and UV (2, h/2, w/2), with any leading axes."""

    y: np.ndarray
    uv: np.ndarray


def colours_of(raw: av.VideoFrame) -> Colours:
    """What a decoded frame is tagged with."""
    full = int(raw.color_range) == FULL or raw.format.name.startswith("yuvj")
    return Colours(int(raw.colorspace), full)


def aligned(region: Region, size: tuple[int, int], to: int = 2) -> Region:
    """A region grown to multiples of `to` pixels and clipped to a picture of (height, width)."""
    height, width = size[0] // 2 * 2, size[1] // 2 * 2
    left, top = region.left // to * to, region.top // to * to
    right, bottom = -(-region.right // to) * to, -(-region.bottom // to) * to
    return Region(
        min(max(left, 0), width),
        min(max(top, 0), height),
        min(max(right, 0), width),
        min(max(bottom, 0), height),
    )


def cut(raw: av.VideoFrame, region: Region) -> Planes:
    """The pixels of a region, whose edges are even, out of a decoded frame; uint8 copies."""
    if raw.format.name not in _DIRECT:
        # NOTE: swscale takes an untagged "yuvj" for limited and untagged RGB for full.
        stored = FULL if colours_of(raw).full else LIMITED
        raw = raw.reformat(
            format="yuv420p",
            src_color_range=FULL if raw.format.is_rgb else stored,
            dst_color_range=stored,
        )
    planes = [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in raw.planes[:3]
    ]
    left, top, right, bottom = region
    half = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
    return Planes(
        planes[0][top:bottom, left:right].copy(), np.stack([plane[half] for plane in planes[1:]])
    )


@dataclass(frozen=True)
class Painted:
    """A drawn overlay in the colours of a stream, premultiplied.

    The picture is `opacity * colour + (1 - opacity * alpha) * background`, plane by plane.

    Attributes:
        colour, alpha: Y (h, w) and UV (2, h/2, w/2) float32; alpha in 0..1, UV's the same twice.
    """

    colour: Planes
    alpha: Planes


def painted(rgba: np.ndarray, colours: Colours) -> Painted:
    """(h, w, 4) premultiplied RGBA, 0..255, of even sides, in the colours of a stream."""
    matrix, offset = colours.weights()
    alpha = rgba[..., 3] / 255
    stored = rgba[..., :3] @ matrix.T.astype(np.float32) + alpha[..., None] * offset
    stored = stored.astype(np.float32)
    half = stored.shape[1] // 2, stored.shape[0] // 2
    chroma = cv2.resize(np.ascontiguousarray(stored[..., 1:]), half, interpolation=cv2.INTER_AREA)
    thin = cv2.resize(np.ascontiguousarray(alpha), half, interpolation=cv2.INTER_AREA)
    return Painted(
        Planes(stored[..., 0], np.moveaxis(chroma.reshape(half[1], half[0], 2), -1, 0)),
        Planes(alpha, np.stack([thin, thin])),
    )


def pooled(planes: Planes, block: int) -> np.ndarray:
    """Means of blocks as vectors (..., n): Y in blocks of `block`, UV in blocks of half of that.

    Args:
        planes: sides are multiples of 2 and of `block`.
    """
    y, uv = planes
    lead = y.shape[:-2]
    if block > 1:
        y = _means(y, block)
        uv = _means(uv, block // 2)
    y = y.reshape(*lead, -1).astype(np.float32)
    return np.concatenate([y, uv.reshape(*lead, -1).astype(np.float32)], axis=-1)


def _means(plane: np.ndarray, block: int) -> np.ndarray:
    if block == 1:
        return plane
    *lead, height, width = plane.shape
    shape = (*lead, height // block, block, width // block, block)
    return plane.reshape(shape).mean((-3, -1), dtype=np.float32)
