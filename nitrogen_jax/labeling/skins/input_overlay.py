"""Presets of the OBS plugin input-overlay: a layout in JSON and an atlas of sprites in PNG.

The format as met in the wild: a layout does not name its PNG, and every PNG beside it that is large
enough is a colour variant; z_level is written and ignored, the order in the file decides; codes are
SDL's, or those with 0xEC00 added; ids may contradict `side`, which is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.skins import atlas as atlases
from nitrogen_jax.labeling.skins.atlas import cut
from nitrogen_jax.labeling.skins.fields import number, read_object, whole, wholes
from nitrogen_jax.labeling.skins.skin import Element, Skin

TEXTURE, BUTTON, STICK, TRIGGER, PAD_ID, DPAD = 0, 2, 5, 6, 7, 8
NOT_PADS = {1: "key", 3: "mouse button", 4: "mouse wheel", 9: "mouse movement"}

# SDL's codes of gamepad buttons.
CODES = {
    **{0: "SOUTH", 1: "EAST", 2: "WEST", 3: "NORTH", 4: "BACK", 5: "GUIDE", 6: "START"},
    **{7: "LEFT_THUMB", 8: "RIGHT_THUMB", 9: "LEFT_SHOULDER", 10: "RIGHT_SHOULDER"},
    **{11: "DPAD_UP", 12: "DPAD_DOWN", 13: "DPAD_LEFT", 14: "DPAD_RIGHT"},
}
LEGACY = 0xEC00  # added to the codes by older versions
DIRECTIONS = {1: "up", 2: "down", 3: "left", 4: "right"}
SIDES = {0: "left", 1: "right"}

# Words in the names of folders and layouts, the first that is found decides.
CONTROLLERS = {
    **{"dualsense": "ps5", "ps5": "ps5", "dualshock4": "ps4", "ds4": "ps4", "ps4": "ps4"},
    **{"ds3": "ps3", "ps3": "ps3", "switch": "switch", "joycon": "switch"},
    **{"360": "xbox360", "xbox": "xboxone", "f310": "xboxone", "f710": "xboxone"},
    **{"gamecube": "gamecube", "n64": "n64", "snes": "snes"},
}

GAP = 3  # pixels between the sprites of an element
SLACK = 16  # pixels by which an atlas may be too small
PRESSED_ID = 4  # the frame of a pad's id that shows the guide button pressed

MOST_ELEMENTS = 500
MOST_PIXELS = 1 << 28  # of all sprites together


def is_layout(path: Path) -> bool:
    """Whether a JSON file is a layout of this plugin, be it a broken one."""
    try:
        content = read_object(path)
    except NitrogenError:
        return False
    return "elements" in content and "overlay_width" in content


def read(path: Path) -> list[Skin]:
    """The skins of one layout, one for each of its colours.

    Args:
        path: of the JSON file; its PNGs lie beside it.
    """
    path = Path(path)
    content = read_object(path)
    elements = content.get("elements")
    if not isinstance(elements, list) or not all(isinstance(one, dict) for one in elements):
        raise NitrogenError(f"{path}: elements is not a list of objects, so it is no preset")
    size = (whole(content, "overlay_width", path), whole(content, "overlay_height", path))
    if len(elements) > MOST_ELEMENTS:
        raise NitrogenError(f"{path}: {len(elements)} elements, where {MOST_ELEMENTS} is the most")
    folder = path.absolute().parent.name
    words = f"{folder} {path.stem}".lower()
    controller = next((kind for word, kind in CONTROLLERS.items() if word in words), "unknown")
    skins = []
    for file, atlas in _atlases(path, _needed(elements, path)):
        unread: list[str] = []
        found = [_element(one, at, atlas, size, path, unread) for at, one in enumerate(elements)]
        known = _named([one for one in found if one is not None])
        if all(element.kind == "texture" for element in known):
            raise NitrogenError(f"{path}: no element shows a button or a stick of a gamepad")
        name = folder if file.stem == folder else f"{folder}-{file.stem}"
        skins.append(Skin(name, size, known, controller, tuple(unread)))
    return skins


def _mapping(one: Mapping[str, Any], path: Path) -> tuple[int, int, int, int]:
    x, y, w, h = wholes(one, "mapping", 4, path)
    if min(x, y) < 0 or min(w, h) < 1 or max(x + w, y + h) > atlases.MOST_SIDE:
        raise NitrogenError(
            f"{path}: mapping of element {one.get('id')!r:.40} is {[x, y, w, h]}, which is no "
            "rectangle of an atlas"
        )
    return x, y, w, h


def _needed(elements: list[dict], path: Path) -> tuple[int, int]:
    """(width, height) that an atlas must have for the unpressed sprites."""
    width = height = pixels = 0
    for one in elements:
        if whole(one, "type", path) not in NOT_PADS and "mapping" in one:
            x, y, w, h = _mapping(one, path)
            width, height = max(width, x + w), max(height, y + h)
            pixels += w * h * 2
    if pixels > MOST_PIXELS:
        raise NitrogenError(
            f"{path}: its sprites have {pixels:,} pixels, where {MOST_PIXELS:,} are the most"
        )
    return width, height


def _atlases(path: Path, need: tuple[int, int]) -> list[tuple[Path, np.ndarray]]:
    """The PNGs of a layout: that of its own name first, then all others that are large enough."""
    found, refused = [], []
    for file in _pngs(path):
        atlas = atlases.read(file)
        if atlas is None:
            refused.append(f"{file.name} (cannot be read)")
        elif atlas.shape[1] + SLACK < need[0] or atlas.shape[0] + SLACK < need[1]:
            refused.append(f"{file.name} ({atlas.shape[1]} x {atlas.shape[0]})")
        else:
            found.append((file, atlas))
    if not found:
        about = f": {', '.join(refused)} will not do" if refused else ""
        raise NitrogenError(
            f"{path}: no PNG of at least {need[0]} x {need[1]} lies beside it{about}"
        )
    return found


def _pngs(path: Path) -> list[Path]:
    """The PNGs beside a layout that may be its own, that of its name first.

    A PNG belongs to the layout whose name it begins with; where several layouts lie together, those
    of the others are left out, and a layout without one takes what belongs to nobody.
    """
    stem = path.stem.lower()
    beside = sorted(p for p in path.parent.iterdir() if p.is_file() and p.name[0] != ".")
    pngs = [p for p in beside if p.suffix.lower() == ".png"]
    stems = [p.stem.lower() for p in beside if p.suffix.lower() == ".json" and is_layout(p)]

    def owner(png: Path) -> str:
        names = [name for name in stems if png.stem.lower().startswith(name)]
        return max(names, key=len, default="")

    if len(stems) > 1:
        own = [png for png in pngs if owner(png) == stem]
        pngs = own or [png for png in pngs if not owner(png)]
    return sorted(pngs, key=lambda png: (png.stem.lower() != stem, png.name))


def _element(
    one: Mapping[str, Any],
    at: int,
    atlas: np.ndarray,
    size: tuple[int, int],
    path: Path,
    unread: list[str],
) -> Element | None:
    kind = whole(one, "type", path)
    name = str(one.get("id", ""))[:64] or f"element{at}"
    if kind in NOT_PADS:
        unread.append(f"{name}: a {NOT_PADS[kind]} is no part of a gamepad")
        return None
    if kind not in (TEXTURE, BUTTON, STICK, TRIGGER, PAD_ID, DPAD):
        unread.append(f"{name}: type {kind} is not known")
        return None
    left, top = position = tuple(wholes(one, "pos", 2, path))
    x, y, w, h = _mapping(one, path)
    if left >= 2 * size[0] or top >= 2 * size[1] or left + w <= -size[0] or top + h <= -size[1]:
        unread.append(f"{name}: it lies at {list(position)}, far outside of the picture")
        return None
    plain = cut(atlas, x, y, w, h)
    if kind == TEXTURE:
        return Element("texture", name, position, (plain,))
    if kind == DPAD:
        states = tuple(cut(atlas, x + i * (w + GAP), y, w, h) for i in range(9))
        return Element("dpad", name, position, states)
    if kind == PAD_ID:
        pressed = cut(atlas, x + PRESSED_ID * (w + GAP), y, w, h)
        return Element("button", name, position, (plain, pressed), "GUIDE")
    sprites = (plain, cut(atlas, x, y + h + GAP, w, h))
    if kind == BUTTON:
        code = whole(one, "code", path)
        button = CODES.get(code - LEGACY if code >= LEGACY else code)
        if button is None:
            unread.append(f"{name}: button code {code} is not known, so it is drawn at rest")
            return Element("texture", name, position, (plain,))
        return Element("button", name, position, sprites, button)
    side = SIDES.get(whole(one, "side", path))
    if side is None:
        unread.append(f"{name}: side {one['side']!r:.40} is not known, so it is drawn at rest")
        return Element("texture", name, position, (plain,))
    if kind == STICK:
        radius = number(one, "stick_radius", path)
        if not 0 <= radius <= max(size):
            raise NitrogenError(
                f"{path}: stick_radius of element {name!r:.40} is {radius:g}, where 0 to "
                f"{max(size)} is possible"
            )
        thumb = f"{side.upper()}_THUMB"
        return Element("stick", name, position, sprites, thumb, side, (radius, radius))
    pressed_only = one.get("trigger_mode") in (True, 1, "true")
    way = DIRECTIONS.get(whole({"direction": 1, **one}, "direction", path), "up")
    return Element("trigger", name, position, sprites, None, side, (0, 0), not pressed_only, way)


def _named(elements: list[Element]) -> tuple[Element, ...]:
    """The same with names that differ."""
    taken: set[str] = set()
    named = []
    for element in elements:
        name, number_ = element.name, 1
        while name in taken:
            number_ += 1
            name = f"{element.name}#{number_}"
        taken.add(name)
        named.append(replace(element, name=name))
    return tuple(named)
