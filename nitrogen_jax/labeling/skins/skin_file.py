"""Skins in a format of our own: a folder with skin.json and atlas.png.

`skin.json` lists the elements with rectangles [x, y, w, h] of the atlas, whose alpha is straight,
as PNG has it. Skins that were baked from web pages are kept in it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.labeling.skins import atlas as atlases
from nitrogen_jax.labeling.skins.fields import read_object
from nitrogen_jax.labeling.skins.skin import SPRITES, Element, Skin

NAME, ATLAS = "skin.json", "atlas.png"
FORMAT = "nitrogen-skin"
VERSION = 1
GAP = 1  # transparent pixels between sprites
WIDE = 2048  # pixels of an atlas's side, unless a sprite is wider
MOST_ELEMENTS = 500
MOST_REACH = 4  # an element further away than this many sizes of the picture is a mistake
_DIRECTIONS = ("up", "down", "left", "right")


def write(skin: Skin, folder: Path) -> Path:
    """Writes a skin as a folder, which may exist and is replaced; returns it."""
    rectangles, atlas = _pack([sprite for one in skin.elements for sprite in one.sprites])
    at = iter(rectangles)
    elements = [
        {
            "kind": one.kind,
            "name": one.name,
            "position": list(one.position),
            "sprites": [next(at) for _ in one.sprites],
            "button": one.button,
            "side": one.side,
            "travel": list(one.travel),
            "bar": one.bar,
            "direction": one.direction,
        }
        for one in skin.elements
    ]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "name": skin.name,
        "size": list(skin.size),
        "controller": skin.controller,
        "elements": elements,
    }
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / NAME).write_text(json.dumps(content, indent=1) + "\n")
        if not cv2.imwrite(str(temporary / ATLAS), atlases.straight(atlas)):
            raise NitrogenError(f"cannot write {folder / ATLAS}")
    return folder


def read(path: Path) -> Skin:
    """A skin from its skin.json."""
    path = Path(path)
    content = read_object(path)
    if content.get("format") != FORMAT or content.get("version") != VERSION:
        raise NitrogenError(f"{path} is not a {FORMAT} of version {VERSION}")
    atlas = atlases.read(path.with_name(ATLAS))
    if atlas is None:
        raise NitrogenError(f"{path.with_name(ATLAS)} cannot be read as a PNG")
    try:
        width, height = size = tuple(int(n) for n in content["size"])
        if len(content["elements"]) > MOST_ELEMENTS:
            raise NitrogenError(f"more than {MOST_ELEMENTS} elements")
        elements = tuple(_element(one, atlas, max(width, height)) for one in content["elements"])
        # A name becomes the name of files.
        name = re.sub(r"[^\w.+~#() -]", "_", str(content["name"])).lstrip(".")[:100] or "skin"
        return Skin(name, size, elements, str(content.get("controller", "unknown")))
    except NitrogenError as error:
        raise NitrogenError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise NitrogenError(f"{path} is no skin: {type(error).__name__} {error}") from None


def _element(one: dict[str, Any], atlas: np.ndarray, side: int) -> Element:
    kind = one["kind"]
    if kind not in SPRITES:
        raise NitrogenError(f"element {one['name']!r:.40}: kind {kind!r:.40} is not known")
    sprites = []
    for x, y, w, h in one["sprites"]:
        if not (0 <= x < x + w <= atlas.shape[1] and 0 <= y < y + h <= atlas.shape[0]):
            raise NitrogenError(f"element {one['name']!r:.40}: a sprite leaves the atlas")
        sprites.append(atlases.cut(atlas, x, y, w, h))
    position, travel = (tuple(float(v) for v in one[name]) for name in ("position", "travel"))
    far = [abs(value) for value in (*position, *travel)]
    if len(position) != 2 or len(travel) != 2 or not all(v <= MOST_REACH * side for v in far):
        raise NitrogenError(
            f"element {one['name']!r:.40}: position and travel are no [x, y] near the picture"
        )
    if one["side"] not in ("left", "right", None) or one["direction"] not in _DIRECTIONS:
        raise NitrogenError(f"element {one['name']!r:.40}: side or direction is not known")
    return Element(
        kind,
        str(one["name"]),
        position,
        tuple(sprites),
        one["button"],
        one["side"],
        travel,
        bool(one["bar"]),
        one["direction"],
    )


def _pack(sprites: list[np.ndarray]) -> tuple[list[list[int]], np.ndarray]:
    """Rectangles of sprites on shelves, and the atlas with them."""
    wide = max([WIDE, *(sprite.shape[1] for sprite in sprites)])
    order = sorted(range(len(sprites)), key=lambda i: -sprites[i].shape[0])
    rectangles: list[list[int]] = [[] for _ in sprites]
    x = y = shelf = 0
    for i in order:
        height, width = sprites[i].shape[:2]
        if x + width > wide:
            x, y, shelf = 0, y + shelf + GAP, 0
        rectangles[i] = [x, y, width, height]
        x, shelf = x + width + GAP, max(shelf, height)
    atlas = np.zeros((y + shelf or 1, wide, 4), np.uint8)
    for sprite, (x, y, width, height) in zip(sprites, rectangles, strict=True):
        atlas[y : y + height, x : x + width] = sprite
    return rectangles, atlas
