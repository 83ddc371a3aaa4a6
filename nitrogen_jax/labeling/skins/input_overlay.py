"""Presets of the OBS plugin input-overlay: a layout in JSON and an atlas of sprites in PNG.

The format as met in the wild: a layout does not name its PNG, and every PNG beside it that is large
enough is a colour variant; z_level is written and ignored, the order in the file decides; codes are
SDL's, or those with 0xEC00 added; ids may contradict `side`, which is right.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nitrogen_jax.errors import NitrogenError
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

GAP = 3  # pixels between the sprites of an element
SLACK = 16  # pixels by which an atlas may be too small
PRESSED_ID = 4  # the frame of a pad's id that shows the guide button pressed

MOST_ELEMENTS = 500
MOST_BYTES = 16 << 20  # of a layout
MOST_ATLAS = 64 << 20  # of a PNG file
MOST_SIDE = 16384


def is_layout(path: Path) -> bool:
    """Whether a JSON file looks like a layout of this plugin; broken JSON in a folder with PNGs
    does not, see `read`."""
    try:
        content = _layout(path)
    except NitrogenError:
        return False
    return "elements" in content and "overlay_width" in content


def read(path: Path) -> list[Skin]:
    """The skins of one layout, one for each of its colours.

    Args:
        path: of the JSON file; its PNGs lie beside it.
    """
    content = _layout(path)
    elements = content.get("elements")
    size = tuple(_whole(content, name, path) for name in ("overlay_width", "overlay_height"))
    if not isinstance(elements, list) or not all(isinstance(one, dict) for one in elements):
        raise NitrogenError(f"{path}: elements is not a list of objects, so it is no preset")
    if len(elements) > MOST_ELEMENTS:
        raise NitrogenError(f"{path}: {len(elements)} elements, where {MOST_ELEMENTS} is the most")
    need = _needed(elements, path)
    atlases = _atlases(path, need)
    skins = []
    for file, atlas in atlases:
        unread: list[str] = []
        read_ = [_element(one, at, atlas, path, unread) for at, one in enumerate(elements)]
        known = _named([one for one in read_ if one is not None])
        if not any(element.moves for element in known):
            raise NitrogenError(f"{path}: no element shows a button or a stick of a gamepad")
        name = path.parent.name
        if file.stem != path.parent.name:
            name = f"{path.parent.name}-{file.stem}"
        skins.append(Skin(name, size, tuple(known), _controller(path), tuple(unread)))
    return skins


def _layout(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NitrogenError(f"{path} is larger than {MOST_BYTES >> 20} MiB, so it is no preset")
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise NitrogenError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise NitrogenError(f"{path} holds a {type(content).__name__}, where an object is needed")
    return content


def _number(one: Mapping[str, Any], name: str, path: Path) -> float:
    value = one.get(name)
    try:
        number = float(value)  # a string in some files
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number) or abs(number) > 1e6:
        raise NitrogenError(
            f"{path}: {name} of element {one.get('id')!r:.40} is {value!r:.40}, where a number is "
            "needed"
        )
    return number


def _whole(one: Mapping[str, Any], name: str, path: Path) -> int:
    return round(_number(one, name, path))


def _list(one: Mapping[str, Any], name: str, length: int, path: Path) -> list[int]:
    values = one.get(name)
    if not isinstance(values, list) or len(values) < length:
        raise NitrogenError(
            f"{path}: {name} of element {one.get('id')!r:.40} is {values!r:.40}, where {length} "
            "numbers are needed"
        )
    named = {f"{name}[{at}]": value for at, value in enumerate(values[:length])}
    return [_whole({**named, "id": one.get("id")}, key, path) for key in named]


def _kind(one: Mapping[str, Any], path: Path) -> int:
    return _whole(one, "type", path)


def _mapping(one: Mapping[str, Any], path: Path) -> tuple[int, int, int, int]:
    x, y, w, h = _list(one, "mapping", 4, path)
    if min(x, y) < 0 or min(w, h) < 1 or max(x + w, y + h) > MOST_SIDE:
        raise NitrogenError(
            f"{path}: mapping of element {one.get('id')!r:.40} is {[x, y, w, h]}, which is no "
            "rectangle of an atlas"
        )
    return x, y, w, h


def _needed(elements: list[dict], path: Path) -> tuple[int, int]:
    """(width, height) that an atlas must have for the unpressed sprites."""
    corners = [(0, 0)]
    for one in elements:
        if _kind(one, path) not in NOT_PADS and "mapping" in one:
            x, y, w, h = _mapping(one, path)
            corners.append((x + w, y + h))
    return max(x for x, _ in corners), max(y for _, y in corners)


def _atlases(path: Path, need: tuple[int, int]) -> list[tuple[Path, np.ndarray]]:
    """The PNGs of a layout: that of its own name first, else all that are large enough."""
    found, small = [], []
    beside = sorted(p for p in path.parent.iterdir() if p.suffix.lower() == ".png")
    for file in beside:
        atlas = _atlas(file)
        if atlas is None:
            small.append(f"{file.name} (cannot be read)")
        elif atlas.shape[1] + SLACK < need[0] or atlas.shape[0] + SLACK < need[1]:
            small.append(f"{file.name} ({atlas.shape[1]} x {atlas.shape[0]})")
        else:
            found.append((file, atlas))
    if not found:
        about = f": {', '.join(small)} do not do" if small else ""
        raise NitrogenError(
            f"{path}: no PNG of at least {need[0]} x {need[1]} lies beside it{about}"
        )
    layouts = [p for p in path.parent.iterdir() if p.suffix.lower() == ".json"]
    own = [one for one in found if one[0].stem.lower() == path.stem.lower()]
    # NOTE: a folder with several layouts has a PNG for each; one with a single layout has colours.
    if own and len(layouts) > 1:
        return own
    return sorted(found, key=lambda one: (one[0].stem.lower() != path.stem.lower(), one[0].name))


def _atlas(file: Path) -> np.ndarray | None:
    """(H, W, 4) uint8, premultiplied RGBA; None if it cannot be read."""
    try:
        if file.stat().st_size > MOST_ATLAS:
            return None
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError:
        return None
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if picture is None or max(picture.shape[:2]) > MOST_SIDE:
        return None
    return premultiplied(picture)


def premultiplied(picture: np.ndarray) -> np.ndarray:
    """What OpenCV read, grey, BGR or BGRA of 8 or 16 bits, as premultiplied RGBA of 8 bits."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.shape[2] == 3:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA)
    picture = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)
    alpha = picture[..., 3:].astype(np.uint16)
    colours = (picture[..., :3] * alpha + 127) // 255
    return np.concatenate([colours.astype(np.uint8), picture[..., 3:]], axis=-1)


def _cut(atlas: np.ndarray, x: int, y: int, w: int, h: int) -> np.ndarray:
    """A rectangle of an atlas; what lies outside of it is transparent."""
    part = atlas[y : y + h, x : x + w]
    missing = h - part.shape[0], w - part.shape[1]
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)))


def _element(
    one: Mapping[str, Any], at: int, atlas: np.ndarray, path: Path, unread: list[str]
) -> Element | None:
    kind = _kind(one, path)
    name = str(one.get("id", ""))[:64] or f"element{at}"
    if kind in NOT_PADS:
        unread.append(f"{name}: a {NOT_PADS[kind]} is no part of a gamepad")
        return None
    if kind not in (TEXTURE, BUTTON, STICK, TRIGGER, PAD_ID, DPAD):
        unread.append(f"{name}: type {kind} is not known")
        return None
    position = tuple(_list(one, "pos", 2, path))
    x, y, w, h = _mapping(one, path)
    plain, below = _cut(atlas, x, y, w, h), _cut(atlas, x, y + h + GAP, w, h)
    if kind == TEXTURE:
        return Element("texture", name, position, (plain,))
    if kind == BUTTON:
        code = _whole(one, "code", path)
        button = CODES.get(code - LEGACY if code >= LEGACY else code)
        if button is None:
            unread.append(f"{name}: button code {code} is not known, so it is drawn at rest")
            return Element("texture", name, position, (plain,))
        return Element("button", name, position, (plain, below), button)
    if kind == STICK:
        side = SIDES.get(_whole(one, "side", path), "left")
        radius = float(_number(one, "stick_radius", path))
        thumb = f"{side.upper()}_THUMB"
        return Element("stick", name, position, (plain, below), thumb, side, (radius, radius))
    if kind == TRIGGER:
        side = SIDES.get(_whole(one, "side", path), "left")
        whole = one.get("trigger_mode") in (True, 1, "true")
        way = DIRECTIONS.get(_whole({"direction": 1, **one}, "direction", path), "up")
        sprites = (plain, below)
        return Element("trigger", name, position, sprites, None, side, (0, 0), not whole, way)
    if kind == PAD_ID:
        pressed = _cut(atlas, x + PRESSED_ID * (w + GAP), y, w, h)
        return Element("button", name, position, (plain, pressed), "GUIDE")
    states = tuple(_cut(atlas, x + i * (w + GAP), y, w, h) for i in range(9))
    return Element("dpad", name, position, states)


def _named(elements: list[Element]) -> list[Element]:
    """The same with names that differ."""
    seen: dict[str, int] = {}
    named = []
    for element in elements:
        seen[element.name] = seen.get(element.name, 0) + 1
        number = seen[element.name]
        name = element.name if number == 1 else f"{element.name}#{number}"
        named.append(replace(element, name=name))
    return named


def _controller(path: Path) -> str:
    """The kind of controller, by words in the names of the folder and the layout."""
    words = f"{path.parent.name} {path.stem}".lower()
    for word, kind in (
        *(("dualsense", "ps5"), ("ps5", "ps5"), ("ds4", "ps4"), ("dualshock4", "ps4")),
        *(
            ("ps4", "ps4"),
            ("ds3", "ps3"),
            ("ps3", "ps3"),
            ("switch", "switch"),
            ("joycon", "switch"),
        ),
        *(("joycon", "switch"), ("360", "xbox360"), ("xbox", "xboxone"), ("f310", "xboxone")),
        *(("f710", "xboxone"), ("gamecube", "gamecube"), ("n64", "n64"), ("snes", "snes")),
    ):
        if word in words:
            return kind
    return "unknown"
