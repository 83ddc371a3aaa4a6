"""What can be known of one step of play."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nitrogen_jax.gamepad import Pad

POLICY, PERSON = "policy", "person"  # who held the pad


@dataclass(frozen=True, eq=False)
class Decision:
    """What a policy wants in the next step.

    Attributes:
        pad: of shape ().
        chunk: (T, 25) float32, buttons_first, the latest; None before the first.
        asked: control step of the frame that the chunk was made from.
        parts: milliseconds of the chunk by part where it came in this step, else empty.
    """

    pad: Pad
    chunk: np.ndarray | None = None
    asked: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame, and the pad that made it.

    Attributes:
        step: 0 is the frame of the reset, which nobody made.
        time: seconds of game time.
        wall: seconds of real time since the reset.
        picture: (h, w, 3) uint8 RGB in the game's own size; nobody writes to it.
        pad: of shape (), as it was held.
        by: POLICY or PERSON.
        decision: what the policy wanted.
        reward: the game's own.
        parts: milliseconds by part, the decision's included.
    """

    step: int
    time: float
    wall: float
    picture: np.ndarray
    pad: Pad
    by: str
    decision: Decision
    reward: float
    parts: Mapping[str, float]
