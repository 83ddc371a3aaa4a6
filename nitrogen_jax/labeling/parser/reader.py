"""Reads an overlay by the network: the second reader, independent of the fit of sprites."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS
from nitrogen_jax.labeling.blocks import Block
from nitrogen_jax.labeling.fit.settle import centred
from nitrogen_jax.labeling.parser import heat, network, weights
from nitrogen_jax.labeling.parser.mosaic import TEMPLATE, canonical, faded
from nitrogen_jax.labeling.parser.slots import READ_INDEX, SIDE, SIDES, Slots
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import Skin, States
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.models.segformer_config import SegformerConfig

TRIGGERS = "LEFT_TRIGGER", "RIGHT_TRIGGER"
BUCKETS = (32, 256)  # frames that are read at once; a program is compiled for each of them


class NetReading(NamedTuple):
    """What the network reads in N frames.

    Attributes:
        states: sticks about where they mostly rest; triggers are 0 or 1.
        confidence: (N,) float32 in 0..1, of the least certain element.
        sticks: (2,) bool, which sticks are read.
        buttons: (21,) bool, which of `gamepad.BUTTONS` are.
        sure_sticks, sure_buttons: (N, 2) and (N, 21) float32 in 0..1, of each of them.
    """

    states: States
    confidence: np.ndarray
    sticks: np.ndarray
    buttons: np.ndarray
    sure_sticks: np.ndarray
    sure_buttons: np.ndarray


@dataclass(frozen=True, eq=False)
class Raw:
    """What the network says of N frames, before anything is made of it.

    Attributes:
        at: (N, 2, 2) cells from the middle, of both sticks.
        mass: (N, 2) share of the maps that is where the sticks are.
        cell: (N, 2, 2) the same as `at`, of the best cell alone.
        buttons: (N, 17) probabilities.
    """

    at: np.ndarray
    mass: np.ndarray
    cell: np.ndarray
    buttons: np.ndarray


class NetReader:
    """A network with its parameters on the device."""

    def __init__(self, params: Mapping[str, Any], config: SegformerConfig, dtype: str = "auto"):
        """
        Args:
            dtype: of activations; "auto": bfloat16 on accelerators, float32 on CPUs.
        """
        cfg = self.config = network.check(config)
        if dtype == "auto":
            dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
        compute = Compute(dtype)
        self._params = jax.device_put(dict(params))

        def run(params: Any, mosaics: jax.Array, template: jax.Array):
            frames = jnp.stack([mosaics[:-1], mosaics[1:]], 1)
            shape = (len(frames), SIDE, SIDE, TEMPLATE)
            found = network.run(
                cfg, params, frames, jnp.broadcast_to(template, shape), compute=compute
            )
            read = heat.position(found.sticks), heat.best_cell(found.sticks)
            return *read[0], read[1], jax.nn.sigmoid(found.buttons)

        self._run = jax.jit(run)

    @staticmethod
    def load(path: str | Path) -> NetReader:
        """From a file, a checkpoint or the folder of a run."""
        return NetReader(*weights.read(path))

    @staticmethod
    def shipped() -> NetReader:
        """With the parameters that come with this package; one sentence where none do.

        The same one every time: its programs are compiled once for all videos of a process.
        """
        return _shipped()

    def raw(self, mosaics: np.ndarray, template: np.ndarray) -> Raw:
        """Mosaics (N, 96, 96, 3) of consecutive frames, all with one template (96, 96, 8)."""
        parts, number = [], len(mosaics)
        pairs = np.concatenate([mosaics[:1], mosaics])  # the first frame has none before it
        for first in range(0, number, BUCKETS[-1]):
            part = pairs[first : first + BUCKETS[-1] + 1]
            wanted = next(size for size in BUCKETS if size >= len(part) - 1)
            filled = np.zeros((wanted + 1, *part.shape[1:]), np.uint8)
            filled[: len(part)] = part
            found = jax.device_get(self._run(self._params, filled, template))
            parts.append([array[: len(part) - 1] for array in found])
        return Raw(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def read(
        self,
        skin: Skin,
        at: Placement,
        opacity: float,
        block: Block,
        without: Collection[str] = (),
    ) -> NetReading:
        """What a skin at a place shows in a block of crops.

        Args:
            without: steps that are left out, see `options.STEPS`.
        """
        if block.crops is None or block.region is None:
            raise NitrogenError("the block has no crops: nothing can be read in it")
        seen = canonical(skin, at, block.region, block.colours)
        mosaics = seen.cut.planes(block.crops)
        template = faded(seen.template, opacity)
        if "template" in without:
            template = np.zeros_like(template)
        raw = self.raw(mosaics, template)
        if "softmax" in without:
            raw = replace(raw, at=raw.cell)
        return settled(raw, seen.slots)


@functools.cache
def _shipped() -> NetReader:
    return NetReader(*weights.shipped())


def settled(raw: Raw, slots: Slots) -> NetReading:
    """States that the network's numbers mean."""
    number = len(raw.at)
    states, buttons = States.idle(number), np.zeros(NUM_BUTTONS, bool)
    sure_sticks = np.ones((number, 2), np.float32)
    sure_buttons = np.ones((number, NUM_BUTTONS), np.float32)
    nowhere = np.zeros(number, bool)
    values = np.clip(heat.travels(raw.at, slots.travel), -1.2, 1.2)
    for side, name in enumerate(SIDES):
        if slots.sticks[side]:
            getattr(states, name)[:] = centred(values[:, side], nowhere)
            sure_sticks[:, side] = raw.mass[:, side]
    seen = np.flatnonzero(slots.presses)
    pressed = raw.buttons > 0.5
    states.buttons[:, READ_INDEX[seen]] = pressed[:, seen]
    buttons[READ_INDEX[seen]] = True
    sure_buttons[:, READ_INDEX[seen]] = np.abs(2 * raw.buttons[:, seen] - 1)
    for side, name in enumerate(TRIGGERS):
        states.triggers[:, side] = states.buttons[:, BUTTON_INDEX[name]]
    sure = np.minimum(sure_sticks.min(1), sure_buttons.min(1))
    return NetReading(states, sure, slots.sticks, buttons, sure_sticks, sure_buttons)
