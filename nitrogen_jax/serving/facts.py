"""What whoever plays with a policy must know about it, wherever the policy runs; without JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nitrogen_jax.errors import NitrogenError

LAYOUT = "buttons_first"  # of all actions that leave an agent or a server


@dataclass(frozen=True)
class Facts:
    """Sizes in control steps unless said otherwise."""

    horizon: int  # actions in a chunk
    action_shift: int  # from the newest frame to the first action
    frames: int  # of a context
    frame_spacing: int  # between two frames of a context
    image_size: int  # pixels a side that the policy looks at; frames may have any size
    control_rate: float | None = None  # Hz of the actions; None: nobody knows
    inpaint: bool = False  # whether chunks can be asked for that agree with known actions

    @property
    def usable(self) -> int:
        """How many actions of a chunk lie in the future when its newest frame is seen."""
        return self.horizon - max(0, 1 - self.action_shift)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Facts:
        """The inverse of `dataclasses.asdict`; what a newer version added is left out."""
        names = {field.name for field in dataclasses.fields(cls)}
        try:
            return cls(**{name: value for name, value in data.items() if name in names})
        except TypeError:
            missing = ", ".join(sorted(names - data.keys()))
            raise NitrogenError(
                f"the server does not tell all about its policy: {missing}"
            ) from None


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a chunk is to agree with."""

    actions: np.ndarray  # (T, 25) float32, buttons_first
    weights: np.ndarray  # (T, 25) float32 in [0, 1]: 1 frozen, 0 free


class Player(Protocol):
    """A policy that plays one game: an `Agent` in this process or a `Client` of a server."""

    facts: Facts

    def reset(self, seed: int | None = None) -> None:
        """Forgets all frames; None keeps the seed. The same seed and frames: the same actions."""

    def act(self, frames: Any, step: int | None = None, known: Wanted | None = None) -> np.ndarray:
        """The next chunk, (T, 25) float32, buttons_first.

        Args:
            frames: a picture (H, W, 3) uint8 RGB of any size, or all those of consecutive control
                steps since the last call, the newest last.
            step: the control step of the newest, counted from the reset; None goes on with one
                step for each picture, the first being step 0.
            known: actions to agree with.
        """


def listed(frames: Any) -> list[np.ndarray]:
    """`frames` of `Player.act` as a list."""
    found = [frames] if isinstance(frames, np.ndarray) and frames.ndim <= 3 else list(frames)
    if not found:
        raise NitrogenError("no frame is given, where at least one is needed")
    return found
