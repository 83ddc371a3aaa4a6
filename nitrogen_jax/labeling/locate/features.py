"""Key points of pictures and of drawn skins, and their matches.

SIFT's key points have a size and a direction: a single match already says at which scale and where
a skin lies. XFeat's have neither: two matches do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CONTRAST = 0.03
UPRIGHT = 20.0  # degrees by which the direction of a match may differ: overlays do not turn
RATIO = 0.85  # of the nearest descriptor's distance to the second's of the same picture
MOST = 6000  # key points of a picture


@dataclass(frozen=True, eq=False)
class Features:
    """Key points of a picture.

    Attributes:
        points: (N, 2) float32 x and y; the centre of the first pixel is (0.5, 0.5).
        descriptors: (N, D) float32 of unit length.
        sizes, angles: (N,) in pixels and degrees, None where the method has none.
    """

    points: np.ndarray
    descriptors: np.ndarray
    sizes: np.ndarray | None = None
    angles: np.ndarray | None = None


def sift(grey: np.ndarray, mask: np.ndarray | None = None, most: int = MOST) -> Features:
    """RootSIFT of a picture (H, W) uint8, where a mask (H, W) uint8 is not 0."""
    detector = cv2.SIFT_create(
        nfeatures=most,
        contrastThreshold=CONTRAST,
        edgeThreshold=20,
        enable_precise_upscale=True,  # without it, all points lie a quarter of a pixel off
    )
    points, descriptors = detector.detectAndCompute(grey, mask)
    if not points:
        empty = np.zeros(0, np.float32)
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32), empty, empty)
    descriptors = descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-6)
    return Features(
        np.array([point.pt for point in points], np.float32) + 0.5,
        np.sqrt(descriptors).astype(np.float32),
        np.array([point.size for point in points], np.float32),
        np.array([point.angle for point in points], np.float32),
    )


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of key points: rows of the first and of the second picture, and how alike, -1..1."""

    first: np.ndarray
    second: np.ndarray
    alike: np.ndarray


def match(similar: np.ndarray, ratio: float = RATIO) -> Matches:
    """The nearest of the second picture for each key point of the first, where it stands out.

    Args:
        similar: (N, M) products of the descriptors.
    """
    if similar.shape[1] < 2 or not len(similar):
        none = np.zeros(0, int)
        return Matches(none, none, np.zeros(0, np.float32))
    nearest = similar.argmax(1)
    rows = np.arange(len(similar))
    best = similar[rows, nearest]
    rest = similar.copy()
    rest[rows, nearest] = -1
    second = rest.max(1)
    distance, other = np.sqrt(np.maximum(2 - 2 * best, 0)), np.sqrt(np.maximum(2 - 2 * second, 0))
    good = distance < ratio * other
    return Matches(rows[good], nearest[good], best[good])


def upright(one: Features, other: Features, matches: Matches) -> Matches:
    """The matches whose directions agree."""
    if one.angles is None or other.angles is None:
        return matches
    turned = one.angles[matches.first] - other.angles[matches.second]
    good = np.abs((turned + 180) % 360 - 180) < UPRIGHT
    return Matches(matches.first[good], matches.second[good], matches.alike[good])
