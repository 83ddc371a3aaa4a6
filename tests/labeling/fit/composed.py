"""Crops of made-up videos for tests, put together exactly as the models say."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from nitrogen_jax.labeling.fit.model import ElementModel, build
from nitrogen_jax.labeling.planes import Colours, Planes, aligned, painted
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region, overlay_region
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element, Skin, States

_path = Path(__file__).parents[1] / "skins" / "presets.py"
_spec = importlib.util.spec_from_file_location("presets", _path)
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)

COLOURS = Colours(1, False)
SIZE = 240, 320  # of the picture
AT = Placement(1.4, 41.3, 30.6)


def line(shape: str, size: int, inside: int = 0, width: int = 2) -> np.ndarray:
    """A white outline on nothing, and its inside at some alpha."""
    alpha = np.zeros((size, size), np.uint8)
    middle = size // 2
    for thick, value in ((-1, inside), (width, 255)):
        if shape == "ring":
            cv2.circle(alpha, (middle, middle), middle - 3, value, thick)
        else:
            cv2.rectangle(alpha, (3, 3), (size - 4, size - 4), value, thick)
    return np.repeat(alpha[..., None], 4, -1)


def line_art() -> Skin:
    """Transparent outlines: a stick with a click, two buttons that fill, a d-pad, a trigger."""
    dpad = []
    for x, y in DPAD_STATES:
        arms = line("square", 30)
        for dx, dy, on in ((x, 0, x), (0, y, y)):
            if on:
                spot = 11 + 7 * dx, 11 + 7 * dy
                cv2.rectangle(arms, spot, (spot[0] + 7, spot[1] + 7), (255,) * 4, -1)
        dpad.append(arms)
    ring, square = (line("ring", 24), line("ring", 24, 200)), (line("square", 20),)
    return Skin(
        "lines",
        (140, 80),
        (
            Element("stick", "l", (14, 30), ring, "LEFT_THUMB", "left", (9, 9)),
            Element("button", "a", (110, 40), ring, "SOUTH"),
            Element("button", "b", (112, 10), (*square, line("square", 20, 220)), "EAST"),
            Element("dpad", "d", (60, 34), tuple(dpad)),
            Element("trigger", "t", (20, 4), (*square, line("square", 20, 220)), None, "left"),
        ),
    )


def solid() -> Skin:
    """Opaque sprites on an opaque body, one element of each kind."""
    ways = [presets.sprite(8, 8, (70 * (i % 3), 60 * (i // 3), 99)) for i in range(9)]
    pad = presets.pad()
    return replace(pad, elements=(*pad.elements[:-1], replace(pad.elements[-1], sprites=(*ways,))))


def moving(seed: int, number: int) -> States:
    """A pad whose sticks are at rest for a third of the time and whose buttons are often held."""
    rng = np.random.default_rng(seed)
    states = States.idle(number)
    states.buttons[:] = rng.random(states.buttons.shape) < 0.3
    for stick in (states.left, states.right):
        stick[:] = rng.uniform(-1, 1, (number, 2)) * (rng.random((number, 1)) > 0.35)
    states.triggers[:] = rng.choice([0, 0, 0.2, 0.8, 1], (number, 2))
    return states


class Composed(NamedTuple):
    models: list[ElementModel]
    crops: Planes
    crop: Region

    def model(self, name: str) -> ElementModel:
        return next(one for one in self.models if one.element.name == name)


def compose(
    skin: Skin,
    states: States,
    seed: int = 0,
    opacity: float = 1.0,
    noise: float = 2.0,
    still: np.ndarray | None = None,
    at: Placement = AT,
    display: np.ndarray | None = None,
) -> Composed:
    """Crops of a video of some states over backgrounds that are smooth and change all the time.

    Args:
        noise: standard deviation, in levels.
        still: (h, w) of the crop's luma that is added to every background.
        display: (h, w) luma that hides every background; none where it is negative.
    """
    rng = np.random.default_rng(seed)
    crop = aligned(overlay_region(skin, at, 6.0), SIZE, 16)
    painter, ys, uvs = Painter(skin, at, crop), [], []
    height, width = crop.shape
    for rgba in painter.states(states):
        look = painted(rgba, COLOURS)
        level = rng.uniform((40, 100, 100), (200, 156, 156))
        low = (level + rng.normal(0, (20, 6, 6), (3, 4, 3))).astype(np.float32)
        ground = cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR)
        y, uv = ground[..., 0], np.moveaxis(ground[::2, ::2, 1:], -1, 0)
        if still is not None:
            y = y + still
        if display is not None:
            y = np.where(display < 0, y, display)
        y = opacity * look.colour.y + (1 - opacity * look.alpha.y) * y
        uv = opacity * look.colour.uv + (1 - opacity * look.alpha.uv) * uv
        ys.append(y + rng.normal(0, noise, y.shape))
        uvs.append(uv + rng.normal(0, noise / 2, uv.shape))
    planes = Planes(*(np.rint(np.stack(one)).clip(0, 255).astype(np.uint8) for one in (ys, uvs)))
    return Composed(build(skin, at, SIZE, COLOURS), planes, crop)
