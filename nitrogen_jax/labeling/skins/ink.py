"""Drawing of sprites: filled and outlined shapes and letters, antialiased, premultiplied.

A canvas is (h, w, 4) uint8, premultiplied RGBA; coordinates are pixels, and pixel i covers
[i, i + 1). Shapes are polygons (N, 2). Everything is drawn larger and made small again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

FINE, COARSE = 4, 2  # times larger, of shapes up to SMALL pixels and up to LARGE
SMALL, LARGE = 300, 700  # still larger ones, whose edges are few, are smoothed by OpenCV alone
SHIFT = 4  # OpenCV takes coordinates in units of 1/16 pixel

Points = np.ndarray


class Ink(NamedTuple):
    """A colour, 0..255, and how opaque it is, 0..1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def faded(self, alpha: float) -> Ink:
        """The same colour, more transparent."""
        return self._replace(alpha=self.alpha * alpha)

    def towards(self, other: Ink, share: float) -> Ink:
        """A mixture with another colour; its own opacity stays."""
        mixed = (a + (b - a) * share for a, b in zip(self[:3], other[:3], strict=True))
        return Ink(*mixed, self.alpha)


WHITE, BLACK = Ink(255, 255, 255), Ink(0, 0, 0)


def blank(width: int, height: int) -> np.ndarray:
    """A canvas with nothing on it."""
    return np.zeros((height, width, 4), np.uint8)


def fill(canvas: np.ndarray, points: Points, ink: Ink) -> None:
    """Fills a polygon, in place."""
    _drawn(
        canvas,
        points,
        ink,
        0.0,
        lambda mask, at, _: cv2.fillPoly(mask, [at], 255, cv2.LINE_AA, SHIFT),
    )


def stroke(canvas: np.ndarray, points: Points, width: float, ink: Ink, closed: bool = True) -> None:
    """Draws along a polygon's edge, in place.

    Args:
        width: of the line, pixels.
    """

    def draw(mask, at, times):
        thick = max(1, round(width * times))
        cv2.polylines(mask, [at], closed, 255, thick, cv2.LINE_AA, SHIFT)

    _drawn(canvas, points, ink, width, draw)


def write(
    canvas: np.ndarray, text: str, centre: tuple[float, float], height: float, ink: Ink, font: int
) -> None:
    """Writes letters about a centre, in place.

    Args:
        height: of a capital letter, pixels.
        font: one of OpenCV's Hershey fonts.
    """
    thick = max(1, round(height * FINE / 7))
    (_, one), _ = cv2.getTextSize("X", font, 1.0, 1)
    scale = height * FINE / max(one, 1)
    (wide, high), below = cv2.getTextSize(text, font, scale, thick)
    if not wide or not high:
        return
    pad = thick + below
    mask = np.zeros((high + 2 * pad, wide + 2 * pad), np.uint8)
    cv2.putText(mask, text, (pad, pad + high), font, scale, 255, thick, cv2.LINE_AA)
    size = [max(1, round(side / FINE)) for side in mask.shape[::-1]]
    left, top = (round(at - side / 2) for at, side in zip(centre, size, strict=True))
    _paint(canvas, cv2.resize(mask, size, interpolation=cv2.INTER_AREA), left, top, ink)


def glow(canvas: np.ndarray, points: Points, reach: float, ink: Ink) -> None:
    """A soft halo about a polygon, in place.

    Args:
        reach: how far it goes, pixels.
    """
    left, top, right, bottom = _box(canvas, points, 2 * reach)
    width, height = right - left, bottom - top
    if not width or not height:
        return
    # NOTE: what is soft anyway is blurred small, which takes a tenth of the time.
    less = max(1, round(reach / 6))
    small = -(-width // less), -(-height // less)
    mask = np.zeros(small[::-1], np.uint8)
    at = np.rint(((points - (left, top)) / less - 0.5) * 2**SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [at], 255, cv2.LINE_AA, SHIFT)
    side = 2 * max(1, round(reach / less)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side // 2 | 1, side // 2 | 1))
    mask = cv2.GaussianBlur(cv2.dilate(mask, kernel), (side, side), 0)
    mask = cv2.resize(mask, (small[0] * less, small[1] * less))[:height, :width]
    _paint(canvas, mask, left, top, ink)


def _box(canvas, points: Points, margin: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels that a shape touches."""
    low = np.floor(points.min(axis=0) - margin / 2 - 1).astype(int)
    high = np.ceil(points.max(axis=0) + margin / 2 + 1).astype(int)
    left, top = (max(0, int(v)) for v in low)
    right, bottom = min(canvas.shape[1], int(high[0])), min(canvas.shape[0], int(high[1]))
    right, bottom = max(left, right), max(top, bottom)
    return left, top, right, bottom


def _drawn(canvas, points: Points, ink: Ink, margin: float, draw) -> None:
    left, top, right, bottom = _box(canvas, points, margin)
    width, height = right - left, bottom - top
    if not width or not height:
        return
    side = max(width, height)
    times = FINE if side <= SMALL else COARSE if side <= LARGE else 1
    mask = np.zeros((height * times, width * times), np.uint8)
    at = np.rint(((points - (left, top)) * times - 0.5) * 2**SHIFT).astype(np.int32)
    draw(mask, at, times)
    if times > 1:
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    _paint(canvas, mask, left, top, ink)


def _paint(canvas: np.ndarray, mask: np.ndarray, left: int, top: int, ink: Ink) -> None:
    """Lays ink over a canvas where a mask (h, w) uint8 says so, in place."""
    x, y = max(left, 0), max(top, 0)
    right, bottom = left + mask.shape[1], top + mask.shape[0]
    below = canvas[y : max(bottom, 0), x : max(right, 0)]
    mask = mask[y - top : y - top + below.shape[0], x - left : x - left + below.shape[1]]
    if not mask.size:
        return
    alpha = np.rint(np.arange(256) * ink.alpha)
    table = np.rint(np.outer(alpha, [*(np.clip(ink[:3], 0, 255) / 255), 1])).astype(np.uint8)
    # NOTE: four bytes are looked up at once.
    above = np.ascontiguousarray(table).view(np.uint32)[:, 0][mask].view(np.uint8)
    above = above.reshape(*mask.shape, 4)
    rest = cv2.merge([255 - above[..., 3]] * 4)
    below[:] = cv2.add(above, cv2.multiply(np.ascontiguousarray(below), rest, scale=1 / 255))


def ellipse(centre, rx: float, ry: float | None = None, number: int = 72) -> Points:
    """An ellipse, or a circle of radius `rx`."""
    turns = np.linspace(0, 2 * np.pi, number, endpoint=False)
    ring = np.stack([rx * np.cos(turns), (rx if ry is None else ry) * np.sin(turns)], axis=-1)
    return ring + np.asarray(centre, float)


def regular(centre, rx: float, ry: float, corners: int, turn: float = 0.0) -> Points:
    """A regular polygon, stretched; `turn` is a share of the angle between two corners."""
    turns = (np.arange(corners) + turn) * 2 * np.pi / corners - np.pi / 2
    ring = np.stack([rx * np.cos(turns), ry * np.sin(turns)], axis=-1)
    return ring + np.asarray(centre, float)


def rounded(centre, hx: float, hy: float, radius: float) -> Points:
    """A rectangle of half sizes hx and hy with round corners."""
    radius = min(radius, hx, hy)
    turns = np.linspace(0, np.pi / 2, 8)
    corners = []
    for at, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        arc = np.stack([np.cos(turns + at * np.pi / 2), np.sin(turns + at * np.pi / 2)], axis=-1)
        corners.append(arc * radius + (sx * (hx - radius), sy * (hy - radius)))
    return np.concatenate(corners) + np.asarray(centre, float)


def cross(centre, reach: float, arm: float) -> Points:
    """A plus sign: `reach` from the centre to an arm's end, `arm` half of an arm's width."""
    a, r = arm, reach
    corners = [(a, -r), (a, -a), (r, -a), (r, a), (a, a), (a, r)]
    corners += [(-x, -y) for x, y in corners]
    return np.array(corners, float) + np.asarray(centre, float)


def smooth(points: Points, steps: int = 10) -> Points:
    """A closed curve through some points (Catmull-Rom)."""
    p0, p1, p2, p3 = (np.roll(points, shift, axis=0)[:, None] for shift in (1, 0, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
    curve = (curve + (3 * p1 - p0 - 3 * p2 + p3) * t**3) / 2
    return curve.reshape(-1, 2)


def turned(points: Points, centre, quarters: int) -> Points:
    """A polygon turned clockwise by quarters of a circle about a centre."""
    sin, cos = round(math.sin(quarters * math.pi / 2)), round(math.cos(quarters * math.pi / 2))
    return (points - centre) @ np.array([[cos, sin], [-sin, cos]]) + np.asarray(centre, float)
