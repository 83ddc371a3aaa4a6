"""Made-up skins made odder, as real ones are: clear insides, rings that stay, shaded sprites.

Presets that people drew have sticks and buttons that are nothing but outlines, with the game
between them, outlines of the same look that do not move with a stick, and sprites cut out of
photographs. A network that has seen plain discs alone takes a ring that stays for the knob, and a
bright game behind a clear button for a press.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from nitrogen_jax.labeling.skins.skin import Element, Skin

PLAIN = 0.4  # share of the skins that stay as they are
HOLLOW, RINGED, SHADED, CLEAR = 0.45, 0.45, 0.4, 0.5  # of the others, which may be several at once


def odd(skin: Skin, seed: int) -> Skin:
    """A skin with other sprites, the same ones for the same seed; nothing lies elsewhere."""
    rng = np.random.default_rng([seed, 4])
    if rng.random() < PLAIN:
        return skin
    hollow, ringed, shaded, clear = rng.random(4) < (HOLLOW, RINGED, SHADED, CLEAR)
    inside, left = float(rng.uniform(0.6, 0.9)), float(rng.choice([0.0, rng.uniform(0, 0.3)]))
    also_clicked = rng.random() < 0.4
    size, bright = float(rng.uniform(0.7, 1.35)), float(rng.choice([10, 128, 250]))
    strength, line = float(rng.uniform(0.15, 0.5)), float(rng.uniform(0.004, 0.012))
    elements: list[Element] = []
    for element in skin.elements:
        if shaded:
            element = _shaded(element, rng, strength)
        if clear and element.kind != "stick":
            element = _clear(element, max(line * skin.size[0], 1.0), left)
        if element.kind == "stick":
            if hollow:
                element = _hollow(element, inside, left, also_clicked)
            if ringed:
                elements.append(_ring(element, size, bright))
        elements.append(element)
    return replace(skin, elements=tuple(elements))


def _far(side: tuple[int, int], radius: float) -> np.ndarray:
    """(h, w) distances from the middle of a sprite, in radii."""
    height, width = side
    y, x = np.mgrid[:height, :width] + 0.5
    return np.hypot(x - width / 2, y - height / 2) / radius


def _radius(sprite: np.ndarray) -> float:
    """Of what of a sprite is not clear."""
    return max(float(np.sqrt((sprite[..., 3] > 24).sum() / np.pi)), 2.0)


def _hollow(element: Element, inside: float, left: float, also_clicked: bool) -> Element:
    """A knob that can be seen through; clicked, it may be solid."""
    radius = _radius(element.sprites[0])
    found = []
    for number, sprite in enumerate(element.sprites):
        if number and not also_clicked:
            found.append(sprite)
            continue
        edge = np.clip((_far(sprite.shape[:2], radius) - inside) * radius + 0.5, 0, 1)
        found.append(np.rint(sprite * (left + (1 - left) * edge)[..., None]).astype(np.uint8))
    return replace(element, sprites=tuple(found))


def _clear(element: Element, line: float, left: float) -> Element:
    """What an element looks like at rest as outlines; pressed it stays as it is."""
    if element.kind == "dpad":  # of which one arm alone is pressed
        return replace(element, sprites=tuple(_outlines(s, line, left) for s in element.sprites))
    return replace(
        element, sprites=(_outlines(element.sprites[0], line, left), *element.sprites[1:])
    )


def _outlines(sprite: np.ndarray, line: float, left: float) -> np.ndarray:
    """The rim of a sprite, and what has another colour than most of it: letters, signs."""
    there = np.pad((sprite[..., 3] > 24).astype(np.uint8), 1)
    if not there.any():
        return sprite
    deep = cv2.distanceTransform(there, cv2.DIST_L2, 3)[1:-1, 1:-1]
    usual = np.median(sprite[sprite[..., 3] > 24].astype(np.int16), 0)
    other = np.abs(sprite.astype(np.int16) - usual)[..., :3].max(-1) > 60
    keep = np.where(other, 1.0, np.maximum(np.clip(line + 1 - deep, 0, 1), left))
    return np.rint(sprite * keep[..., None]).astype(np.uint8)


def _ring(element: Element, size: float, bright: float) -> Element:
    """A ring about a stick at rest, which stays where it is."""
    radius = _radius(element.sprites[0])
    side = 2 * int(np.ceil(1.15 * size * radius)) + 2
    wide = max(0.12 * radius, 1.0)
    gap = np.abs(_far((side, side), 1.0) - size * radius)
    alpha = 255 * np.clip(wide / 2 - gap + 0.5, 0, 1)
    colour = np.array([bright, bright, bright, 255.0]) / 255
    sprite = np.rint(alpha[..., None] * colour).astype(np.uint8)
    height, width = element.sprites[0].shape[:2]
    corner = element.position[0] + (width - side) / 2, element.position[1] + (height - side) / 2
    return Element("texture", f"ring {element.name}", corner, (sprite,))


def _shaded(element: Element, rng: np.random.Generator, strength: float) -> Element:
    """Light and dark places, the same ones whether it is pressed or not."""
    cells = 9 if element.kind == "texture" else 4
    coarse = rng.normal(0, strength, (cells, cells)).astype(np.float32)
    found = []
    for sprite in element.sprites:
        height, width = sprite.shape[:2]
        light = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        colour = sprite[..., :3] * np.exp(light)[..., None]
        colour = np.minimum(np.rint(colour), sprite[..., 3:]).astype(np.uint8)
        found.append(np.concatenate([colour, sprite[..., 3:]], -1))
    return replace(element, sprites=tuple(found))
