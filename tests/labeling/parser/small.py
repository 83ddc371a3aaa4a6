"""A skin that is drawn here, and a network that compiles at once."""

from __future__ import annotations

import jax
import numpy as np

from nitrogen_jax.labeling.parser.network import parser_config
from nitrogen_jax.labeling.skins.skin import Element, Skin
from nitrogen_jax.models import segformer
from nitrogen_jax.models.segformer_config import SegformerConfig

NETWORK = parser_config(
    SegformerConfig(
        "tiny",
        depths=(1,),
        widths=(8,),
        heads=(1,),
        reductions=(8,),
        mlp_ratios=(1,),
        patches=(7,),
        strides=(4,),
        decoder_width=8,
    )
)

RED, GREEN, WHITE = (200, 30, 30), (20, 220, 40), (255, 255, 255)


def disc(side: int, colour) -> np.ndarray:
    """An opaque disc that fills a square, premultiplied RGBA."""
    y, x = np.mgrid[0:side, 0:side] + 0.5 - side / 2
    found = np.zeros((side, side, 4), np.uint8)
    found[np.hypot(x, y) < side / 2] = (*colour, 255)
    return found


def flat(width: int, height: int, colour) -> np.ndarray:
    """One opaque colour."""
    found = np.empty((height, width, 4), np.uint8)
    found[:] = (*colour, 255)
    return found


def skin() -> Skin:
    """A left stick that turns green, a square button that turns white, a d-pad and a trigger."""
    dark = (30, 30, 30)
    ways = [flat(30, 30, dark) for _ in range(9)]
    for sprite, place in zip(
        ways[1:5],
        (np.s_[10:20, :10], np.s_[10:20, 20:], np.s_[:10, 10:20], np.s_[20:, 10:20]),
        strict=True,
    ):
        sprite[place] = (*WHITE, 255)
    button = flat(20, 20, RED), flat(20, 20, WHITE)
    trigger = flat(40, 12, RED), flat(40, 12, WHITE)
    return Skin(
        "drawn",
        (240, 140),
        (
            Element("texture", "body", (0, 0), (flat(240, 140, dark),)),
            Element("button", "a", (200, 60), button, "SOUTH"),
            Element(
                "stick",
                "left",
                (40, 50),
                (disc(40, RED), disc(40, GREEN)),
                "LEFT_THUMB",
                "left",
                (14.0, 14.0),
            ),
            Element("dpad", "dpad", (110, 90), tuple(ways)),
            Element("trigger", "lt", (20, 6), trigger, None, "left"),
        ),
    )


def parameters(cfg: SegformerConfig = NETWORK, seed: int = 0) -> dict:
    """Any parameters of a network; nothing has to be compiled for them."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: rng.normal(scale=0.2, size=leaf.shape).astype(np.float32),
        segformer.shapes(cfg),
    )
