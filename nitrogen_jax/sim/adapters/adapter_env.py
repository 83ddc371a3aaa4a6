"""What the environments of pip's games have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.adapters import ADAPTERS
from nitrogen_jax.sim.game import known_level
from nitrogen_jax.sim.pad_env import Outcome, PadEnv


class AdapterEnv(PadEnv):
    """A game that an emulator runs; see `PadEnv`.

    `info` also has `total`, the sum of the episode's rewards.
    """

    slug = ""

    def __init__(self, *, level: str | None = None, fps: float | None = None, **options: Any):
        """
        Args:
            level: None: the first one.
            fps: the emulator's own number, which cannot be changed.
            options: of `PadEnv`: size, frame_skip, seconds, forbidden, render_mode.
        """
        about = ADAPTERS[self.slug]
        about.check()
        if fps is not None and fps != about.fps:
            raise NitrogenError(
                f"{about.title} runs at {about.fps:g} frames a second, where {fps} is asked for"
            )
        super().__init__(fps=about.fps, **options)
        levels = about.levels
        self._level = levels[0] if level is None else known_level(level, levels, self.slug)
        self._frame: np.ndarray | None = None
        self._total = 0.0

    @property
    def level(self) -> str:
        """The level that is played."""
        return self._level

    def _start(self, seed: int) -> Mapping[str, float]:
        """Begins an episode and sets `_frame`; the variables."""
        raise NotImplementedError

    def _act(self, pad: Pad, frames: int) -> tuple[float, bool, str, Mapping[str, float]]:
        """Plays and sets `_frame`; reward, terminated, reason to truncate, variables."""
        raise NotImplementedError

    def _begin(self, seed: int) -> Mapping[str, Any]:
        self._total = 0.0
        return {"total": 0.0, "variables": dict(self._start(seed))}

    def _play(self, pad: Pad, frames: int) -> Outcome:
        reward, terminated, reason, variables = self._act(pad, frames)
        self._total += reward
        facts = {"total": self._total, "variables": dict(variables)}
        return Outcome(terminated, reason, reward, facts)

    def _see(self) -> np.ndarray:
        if self._frame is None:
            raise NitrogenError(f"{ADAPTERS[self.slug].title} has shown no frame yet: reset() it")
        return self._frame
