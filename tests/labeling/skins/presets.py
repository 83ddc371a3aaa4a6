"""Presets of input-overlay and skins for tests, drawn here."""

from __future__ import annotations

import json

import cv2
import numpy as np

from nitrogen_jax.labeling.skins.skin import Element, Skin

SIZE = 120, 80


def sprite(width=8, height=6, colour=(200, 100, 50), alpha=255) -> np.ndarray:
    """One colour, premultiplied."""
    flat = np.empty((height, width, 4), np.uint8)
    flat[..., :3] = (np.array(colour) * alpha + 127) // 255
    flat[..., 3] = alpha
    return flat


def noise(seed, width=9, height=7) -> np.ndarray:
    """Any premultiplied picture."""
    rng = np.random.default_rng(seed)
    alpha = rng.integers(0, 256, (height, width, 1))
    colours = rng.integers(0, 256, (height, width, 3))
    return np.concatenate([(colours * alpha + 127) // 255, alpha], axis=-1).astype(np.uint8)


def pad(colour=(200, 100, 50), moved=0.0) -> Skin:
    """A small skin with one element of each kind; its click is green, its buttons turn white."""
    green, white = (0, 255, 0), (255, 255, 255)
    return Skin(
        "pad",
        (100, 60),
        (
            Element("texture", "body", (0, 0), (sprite(100, 60, (30, 30, 30)),)),
            Element(
                "button",
                "a",
                (80 + moved, 20),
                (sprite(6, 6, colour), sprite(6, 6, white)),
                "SOUTH",
            ),
            Element(
                "stick",
                "left",
                (20, 30),
                (sprite(10, 10, colour), sprite(10, 10, green)),
                "LEFT_THUMB",
                "left",
                (4, 4),
            ),
            Element(
                "trigger",
                "lt",
                (10, 4),
                (sprite(16, 8, (9, 9, 9)), sprite(16, 8, white)),
                None,
                "left",
                bar=True,
                direction="right",
            ),
            Element(
                "dpad", "dpad", (50, 30), tuple(sprite(8, 8, (20 * i, 0, 99)) for i in range(9))
            ),
        ),
        "xboxone",
    )


def element(kind, name="one", at=(10, 10), box=(0, 0, 8, 6), **more) -> dict:
    """An element as a preset writes it."""
    return {"type": kind, "id": name, "pos": list(at), "mapping": list(box), "z_level": 1, **more}


def atlas(width=200, height=200, seed=0) -> np.ndarray:
    """An opaque BGRA picture of which no two places are alike."""
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 4))
    picture[..., 3] = 255
    return picture.astype(np.uint8)


def write(folder, elements, name="overlay", pngs=("overlay",), size=SIZE, bom=False, **more):
    """A preset in a folder, and the path of its JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"overlay_width": size[0], "overlay_height": size[1], "elements": elements} | more
    text = json.dumps(content)
    path = folder / f"{name}.json"
    path.write_bytes(text.encode("utf-8-sig" if bom else "utf-8"))
    for seed, png in enumerate(pngs):
        cv2.imwrite(str(folder / f"{png}.png"), atlas(seed=seed))
    return path


def rgba(picture, x, y, w, h) -> np.ndarray:
    """A rectangle of an opaque BGRA picture as RGBA."""
    return picture[y : y + h, x : x + w][..., [2, 1, 0, 3]]
