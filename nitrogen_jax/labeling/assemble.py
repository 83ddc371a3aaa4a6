"""What was read block by block, put together for a whole video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nitrogen_jax.labeling.skins.skin import States


def assembled(
    done: Sequence[tuple[int, States, np.ndarray]], frames: int
) -> tuple[States, np.ndarray]:
    """States and confidence of all frames; idle and 0 where nothing was read.

    Args:
        done: first frame, states and confidence of each block.
    """
    states, confidence = States.idle(frames), np.zeros(frames, np.float32)
    for first, part, sure in done:
        rows = slice(first, first + part.number)
        for whole, piece in zip(states, part, strict=True):
            whole[rows] = piece
        confidence[rows] = sure
    return states, confidence
