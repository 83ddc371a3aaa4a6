"""The second way to find key points, XFeat: a network, tried where SIFT finds no overlay.

Its key points have neither size nor direction, and it sees small overlays less well than large
ones.
"""

from __future__ import annotations

import functools
import importlib.util

import numpy as np

from nitrogen_jax.labeling import xfeat_features
from nitrogen_jax.labeling.locate.features import Features, Matches
from nitrogen_jax.labeling.locate.templates import GREYS, Template, Templates, together
from nitrogen_jax.labeling.locate.vote import Candidate, candidates
from nitrogen_jax.labeling.skins.draw import Region, blend, picture
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import Skin

CANVAS = (288, 352)  # (height, width) on which every skin is drawn: one program serves them all
WIDTHS = (140, 300)  # pixels at which skins are drawn, unless they are too high
MARGIN = 16
MOST, MOST_DRAWN = 3000, 400  # key points of a picture, and of a drawn skin


def there() -> bool:
    """Whether the network can run here."""
    return importlib.util.find_spec("jax") is not None


def search(
    colours: np.ndarray, library: Library, mask: np.ndarray | None = None
) -> list[Candidate]:
    """Placements in a picture (H, W, 3) uint8 RGB, those with the most inliers first.

    Args:
        mask: (H, W) uint8, 0 where nothing is looked for.
    """
    if not there():
        return []
    features = detect(colours, MOST)
    if mask is not None:
        x, y = features.points.astype(int).T
        inside = mask[np.clip(y, 0, mask.shape[0] - 1), np.clip(x, 0, mask.shape[1] - 1)] > 0
        features = Features(features.points[inside], features.descriptors[inside])
    return candidates(prepared(library), features, colours.shape[:2], pair=mutual)


def detect(colours: np.ndarray, most: int) -> Features:
    """Key points of a picture (H, W, 3) uint8."""
    points, descriptors = xfeat_features.detect(colours, most)
    return Features(points + 0.5, descriptors)


def mutual(similar: np.ndarray) -> Matches:
    """Key points that are each other's nearest, out of the products (N, M) of descriptors."""
    first, second = xfeat_features.mutual(similar).T
    return Matches(first, second, similar[first, second])


@functools.lru_cache(maxsize=2)
def prepared(library: Library) -> Templates:
    """The key points of all skins of a library; skins of one layout are drawn in all colours."""
    found = [
        _template(skin, width, grey) for skin in library.skins for width in WIDTHS for grey in GREYS
    ]
    return together(library, found, 64)


def _template(skin: Skin, width: int, grey: int) -> Template:
    width = min(width, int((CANVAS[0] - 2 * MARGIN) * skin.size[0] / skin.size[1]))
    drawn = picture(skin, width)
    canvas = np.full((*CANVAS, 3), grey, np.uint8)
    height = drawn.shape[0]
    blend(canvas, drawn, Region(MARGIN, MARGIN, MARGIN + width, MARGIN + height))
    features = detect(canvas, MOST_DRAWN)
    scale = width / skin.size[0]
    return Template(skin, scale, Features((features.points - MARGIN) / scale, features.descriptors))
