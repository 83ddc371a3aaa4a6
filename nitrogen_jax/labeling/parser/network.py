"""The reader's network: mosaics -> a map for each stick and a logit for each button.

A SegFormer with three outputs for each cell of 4 x 4 pixels: the middle of a knob is here, this is
pressed, this stick is clicked. All slots share them; what a slot looks like released and pressed is
part of the input, so that the network compares, and does not have to know the skin.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.parser.mosaic import CHANNELS, TEMPLATE
from nitrogen_jax.labeling.parser.slots import (
    CELL,
    CLICKS,
    GRID,
    PRESS,
    PRESS_CORNERS,
    PRESS_READ,
    READ,
    STICK_CORNERS,
)
from nitrogen_jax.models import segformer
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.models.segformer_config import SegformerConfig, segformer_preset

KNOB, PRESSED, CLICKED = range(3)  # outputs
INPUTS = 2 * CHANNELS + TEMPLATE
GREY = (110.0, 128.0, 128.0)  # a background nothing is known of: Y, U, V


def parser_config(base: SegformerConfig | str = "mit-b0", **changes: Any) -> SegformerConfig:
    """A SegFormer as the reader's network, trained from the start unless `norm` says otherwise."""
    if isinstance(base, str):
        base = segformer_preset(base)
    changes = {"norm": "layer", "name": f"parser-{base.name}", **changes}
    return dataclasses.replace(base, in_channels=INPUTS, outputs=3, **changes).check()


def check(cfg: SegformerConfig) -> SegformerConfig:
    """Returns itself; raises where it cannot read mosaics."""
    if (cfg.in_channels, cfg.outputs, cfg.strides[0]) != (INPUTS, 3, CELL):
        raise NitrogenError(
            f"network {cfg.name} has {cfg.in_channels} input channels, {cfg.outputs} outputs and a "
            f"first stride of {cfg.strides[0]}, where a reader needs {INPUTS}, 3 and {CELL}"
        )
    return cfg.check()


class Read(NamedTuple):
    """Of B samples: (B, 2, 11, 11) logits of both sticks' positions, (B, 17) of buttons."""

    sticks: Array
    buttons: Array


def inputs(frames: Array, template: Array) -> Array:
    """What the network is given, about -1..1: (B, 96, 96, 14).

    The frame, by how much it differs from the one before, from the skin at rest and from the skin
    pressed, both on grey, and how opaque those are.

    Args:
        frames: (B, 2, 96, 96, 3) uint8, the frame before and the frame.
        template: (B, 96, 96, 8) uint8, see mosaic.py.
    """
    frames, template = (x.astype(jnp.float32) for x in (frames, template))
    before, now = frames[:, 0], frames[:, 1]
    grey = jnp.array(GREY)
    parts = [now - grey, now - before]
    alphas = []
    for first in (0, 4):
        alpha = template[..., first + 3 : first + 4] / 255
        parts.append(now - template[..., first : first + 3] - (1 - alpha) * grey)
        alphas.append(2 * alpha - 1)
    return jnp.concatenate([*(part / 64 for part in parts), *alphas], -1)


def run(
    cfg: SegformerConfig,
    params: Any,
    frames: Array,
    template: Array,
    key: Array | None = None,
    *,
    compute: Compute,
) -> Read:
    """Arguments as of `inputs`; parts of the network are dropped only with a key."""
    cells = segformer.logits(cfg, params, inputs(frames, template), key, compute=compute)
    cells = cells.astype(jnp.float32)
    sticks, buttons = [], [None] * len(READ)
    for click, (x, y) in zip(CLICKS, STICK_CORNERS, strict=True):
        part = _part(cells, x, y, GRID)
        sticks.append(part[..., KNOB])
        buttons[click] = part[..., CLICKED].mean((1, 2))
    for at, (x, y) in zip(PRESS_READ, PRESS_CORNERS, strict=True):
        buttons[at] = _part(cells, x, y, PRESS // CELL)[..., PRESSED].mean((1, 2))
    return Read(jnp.stack(sticks, 1), jnp.stack(buttons, 1))


def _part(cells: Array, x: int, y: int, size: int) -> Array:
    return cells[:, y // CELL : y // CELL + size, x // CELL : x // CELL + size]


def flops(cfg: SegformerConfig, side: int = 96) -> float:
    """Floating-point operations of reading one sample, 2 for each multiply-add."""
    total, channels, first = 0.0, cfg.in_channels, None
    for stage, (height, width) in enumerate(cfg.sides(side, side)):
        places, own = height * width, cfg.widths[stage]
        first = first or places
        total += places * own * channels * cfg.patches[stage] ** 2
        reduction = cfg.reductions[stage]
        seen = (height // reduction) * (width // reduction)
        hidden = own * cfg.mlp_ratios[stage]
        each = 2 * places * own**2 + 2 * seen * own**2 + 2 * places * seen * own
        each += places * (2 * own * hidden + 9 * hidden)
        each += seen * reduction**2 * own**2 if reduction > 1 else 0
        total += cfg.depths[stage] * each + places * own * cfg.decoder_width
        channels = own
    return 2 * (total + first * cfg.decoder_width * cfg.outputs)
