"""The frames of one game that a policy may still look back at."""

from __future__ import annotations

import numpy as np

from nitrogen_jax.data import images
from nitrogen_jax.data.sources import Context
from nitrogen_jax.errors import NitrogenError


class History:
    """Frames by control step, none older than the oldest that a context can hold.

    A context frame is the one of the step that the policy was trained with. Where nobody sent it,
    the nearest one within half a spacing stands for it, else it is missing.
    """

    def __init__(self, context: Context, spacing: int):
        """
        Args:
            spacing: control steps between two frames of a context.
        """
        self.context, self._near = context, (spacing - 1) // 2 if len(context.back) > 1 else 0
        self._kept: dict[int, np.ndarray] = {}

    @property
    def reach(self) -> int:
        """Control steps before the newest frame that are of any use."""
        return max(self.context.back) + self._near

    @property
    def newest(self) -> int:
        """The newest frame's control step; -1 before the first."""
        return max(self._kept, default=-1)

    def clear(self) -> None:
        """Forgets everything."""
        self._kept = {}

    def add(self, step: int, picture: np.ndarray) -> None:
        """Takes the picture of a control step: uint8, of any size; the newest may come again."""
        if step < self.newest:
            raise NitrogenError(
                f"the frame of step {step} comes after that of step {self.newest}: reset first"
            )
        kept = self._kept | {step: images.to_frame(picture, self.context.size, "frame")}
        self._kept = {at: frame for at, frame in kept.items() if at >= step - self.reach}

    def gather(self) -> tuple[np.ndarray, np.ndarray]:
        """The context at the newest frame: frames (F, S, S, 3) uint8, dropped (F,) bool."""
        return self.context.gather(self._nearest(self.newest - back) for back in self.context.back)

    def _nearest(self, step: int) -> np.ndarray | None:
        found = min(self._kept, key=lambda at: (abs(at - step), at), default=None)
        if found is None or abs(found - step) > self._near:
            return None
        return self._kept[found]
