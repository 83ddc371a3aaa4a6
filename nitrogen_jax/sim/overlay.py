"""A controller overlay drawn into the picture of a game, as in the videos that players publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, Pad
from nitrogen_jax.labeling.skins import draw, library
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.skins.skin import Skin

CORNERS = ("bottom-left", "bottom-right", "top-left", "top-right")
MARGIN = 0.02  # of the picture's width, from its edge


@dataclass(frozen=True)
class Look:
    """How an overlay lies in a picture.

    Attributes:
        width: of the overlay, as a part of the picture's.
        corner: of CORNERS.
        opacity: above 0, up to 1.
    """

    skin: Skin
    width: float = 0.35
    corner: str = "bottom-left"
    opacity: float = 1.0

    def __post_init__(self):
        if not 0.05 <= self.width <= 1:
            raise NitrogenError(f"overlay: width is {self.width}, where 0.05 to 1 is possible")
        if self.corner not in CORNERS:
            raise NitrogenError(
                f"overlay: corner {self.corner!r} is not one of {', '.join(CORNERS)}"
            )
        if not 0 < self.opacity <= 1:
            raise NitrogenError(f"overlay: opacity is {self.opacity}, where above 0 to 1 is needed")

    def at(self, size: tuple[int, int]) -> draw.Placement:
        """Where the skin lies in a picture of (width, height)."""
        width, height = size
        # It is never higher than half of the picture.
        scale = min(self.width * width / self.skin.size[0], height / 2 / self.skin.size[1])
        gap = MARGIN * width
        right, below = (side * scale for side in self.skin.size)
        x = gap if self.corner.endswith("left") else width - right - gap
        y = gap if self.corner.startswith("top") else height - below - gap
        return draw.Placement(scale, round(x), round(y))


class Overlay:
    """Draws a look into pictures of one size."""

    def __init__(self, look: Look, size: tuple[int, int]):
        """
        Args:
            size: (width, height) of the pictures.
        """
        self.look, at = look, look.at(size)
        self._painter = draw.Painter(look.skin, at)
        # What it can cover, within the picture: x, y, width, height.
        region = self._painter.region
        left, top = max(region.left, 0), max(region.top, 0)
        right, bottom = min(region.right, size[0]), min(region.bottom, size[1])
        self.box = (float(left), float(top), float(right - left), float(bottom - top))

    def draw(self, picture: np.ndarray, pad: Pad) -> None:
        """Draws a pad () into a picture (h, w, 3) uint8 RGB, in place."""
        buttons = pad.pressed
        triggers = [buttons[BUTTON_INDEX[f"{side}_TRIGGER"]] for side in ("LEFT", "RIGHT")]
        rgba = self._painter.rgba(buttons, pad.left, pad.right, np.array(triggers, np.float32))
        draw.blend(picture, rgba, self._painter.region, self.look.opacity)


def find_skin(folders: Sequence[Path], name: str | None) -> Skin:
    """A skin of some folders, the first one for None; NitrogenError with the nearest names."""
    import difflib

    skins = library.load(folders).skins
    if name is None:
        return skins[0]
    names = [skin.name for skin in skins]
    if name in names:
        return skins[names.index(name)]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
    raise NitrogenError(f"no skin is called {name!r}: perhaps {', '.join(near)}")


def made_up(number: int) -> Skin:
    """A skin of our own making, one for each number, that shows all that can be pressed."""
    # NOTE: made-up skins differ in what they show; most have no stick or no trigger missing.
    for seed in range(1000 * number, 1000 * (number + 1)):
        skin = generate(seed)
        if len(skin.buttons) >= 16 and len(skin.sides) == 2:
            return skin.renamed(f"made-up-{number}")
    raise NitrogenError(f"there is no made-up skin of number {number}")
