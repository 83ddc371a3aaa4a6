"""A library of skins prepared for finding them: key points of each, drawn at rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from nitrogen_jax.labeling.locate.features import Features, sift
from nitrogen_jax.labeling.skins.draw import Region, blend, picture
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import Skin

WIDTHS = (140, 260)  # pixels at which skins are drawn
GREYS = (50, 200)  # levels on which they are drawn
MOST = 250  # key points of a drawn skin


@dataclass(frozen=True, eq=False)
class Template:
    """A skin drawn at one size on one grey.

    Attributes:
        scale: pixels that one of the skin became.
        features: their points are in pixels of the skin's own picture.
    """

    skin: Skin
    scale: float
    features: Features


@dataclass(frozen=True, eq=False)
class Templates:
    """All templates of a library.

    Attributes:
        descriptors: (M, D) of all, one after the other.
        owner: (M,) the template of each.
    """

    library: Library
    templates: tuple[Template, ...]
    descriptors: np.ndarray
    owner: np.ndarray


def prepare(library: Library, advance: Callable[[int], None] = lambda amount: None) -> Templates:
    """Draws all skins of a library and finds their key points."""
    found = []
    for skin in library.skins:
        for width in WIDTHS:
            drawn = picture(skin, width)
            for grey in GREYS:
                found.append(_template(skin, drawn, grey))
        advance(1)
    return together(library, found, 128)


def together(library: Library, found: Sequence[Template], dimensions: int) -> Templates:
    """Templates with their descriptors, of so many dimensions, in one array."""
    none = np.zeros((0, dimensions), np.float32)
    descriptors = np.concatenate([none, *(one.features.descriptors for one in found)])
    owner = np.repeat(np.arange(len(found)), [len(one.features.points) for one in found])
    return Templates(library, tuple(found), descriptors, owner.astype(np.int32))


def _template(skin: Skin, drawn: np.ndarray, grey: int) -> Template:
    margin = 12
    height, width = drawn.shape[:2]
    canvas = np.full((height + 2 * margin, width + 2 * margin, 3), grey, np.uint8)
    blend(canvas, drawn, Region(margin, margin, margin + width, margin + height))
    features = sift(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), most=MOST)
    scale = width / skin.size[0]
    inside = Features(
        (features.points - margin) / scale,
        features.descriptors,
        features.sizes / scale,
        features.angles,
    )
    return Template(skin, scale, inside)
