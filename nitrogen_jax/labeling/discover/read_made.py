"""Reads all blocks of a video whose overlay was learned from the video itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nitrogen_jax.labeling import blocks
from nitrogen_jax.labeling.assemble import assembled
from nitrogen_jax.labeling.discover import reader
from nitrogen_jax.labeling.discover.reader import Made
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.result import UNKNOWN_SKIN, Segment
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.skin import States


@dataclass(frozen=True)
class MadePart:
    """Seconds of a video that an overlay is looked for in; all of them."""

    made: Made
    start: float = 0.0
    end: float = float("inf")


class MadeReader:
    """Reads blocks and puts what they show together."""

    def __init__(self, made: Made, options: LabelOptions):
        self.options = options
        self.parts = [MadePart(made)]
        self.segments: list[Segment] = []
        self._done: list[tuple[int, States, np.ndarray]] = []

    def take(self, block: blocks.Block) -> None:
        """Reads a block of frames."""
        if block.part is None or block.crops is None:
            return
        made = self.parts[0].made
        settled = reader.read(made, block.crops, block.apart)
        self._done.append((block.first, settled.states, settled.confidence))
        x, y, wide, high = made.box
        self.segments = [
            Segment(
                0,
                block.first + len(block.times),
                UNKNOWN_SKIN,
                Placement(1.0, x, y),
                (x, y, wide, high),
                1.0,
                made.worth,
            )
        ]

    def finished(self, frames: int) -> tuple[States, np.ndarray]:
        """States and confidence of all frames."""
        return assembled(self._done, frames)
