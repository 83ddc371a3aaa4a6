"""One game that is being played: its frames, its seed, and how many chunks it has had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nitrogen_jax.data.sources import Context
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.serving.facts import Wanted
from nitrogen_jax.serving.history import History
from nitrogen_jax.serving.sampler import draw_noise

_SEEDS = 2**64


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that decides one chunk, except the policy."""

    frames: np.ndarray  # (F, S, S, 3) uint8
    dropped: np.ndarray  # (F,) bool
    noise: np.ndarray  # (T, A) float32
    game: int  # row of the game embedding, 0: none
    forbidden: frozenset[str]  # buttons that are never pressed
    known: Wanted | None = None


class Session:
    """Turns frames into what the sampler needs.

    Chunk number `row` since the reset starts from the noise that offline prediction gives to
    example `row`, so both predict the same.
    """

    def __init__(
        self,
        cfg: PolicyConfig,
        seed: int = 0,
        forbidden: frozenset[str] = frozenset(),
        game: int = 0,
    ):
        self.cfg, self.forbidden, self.game = cfg, forbidden, game
        self._history = History(Context.of(cfg), cfg.frame_spacing)
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Forgets all frames; None keeps the seed."""
        if seed is not None:
            self.seed = check_seed(seed)
        self.row = 0
        self._history.clear()

    def prepare(
        self,
        frames: Sequence[np.ndarray],
        step: int | None = None,
        row: int | None = None,
        known: Wanted | None = None,
    ) -> Prepared:
        """Takes the newest frames, the last one of control step `step`, and makes them a question.

        Args:
            frames: of consecutive control steps, uint8, of any size; older than what is known
                already are passed over.
            step: None goes on with one control step for each frame.
            row: chunk number since the reset; None is the next. The same question may be asked
                again with the same step and row.
        """
        history = self._history
        newest = history.newest + len(frames) if step is None else step
        oldest = max(history.newest, newest - history.reach, 0)
        for at, frame in enumerate(frames, newest - len(frames) + 1):
            if at >= oldest or at == newest:
                history.add(at, frame)
        row = self.row if row is None else row
        noise = draw_noise(self.seed, [row], (self.cfg.horizon, self.cfg.action_dim))[0]
        self.row = row + 1
        return Prepared(*history.gather(), noise, self.game, self.forbidden, known)


def check_seed(seed: int) -> int:
    """The seed of noise, checked."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < _SEEDS:
        raise NitrogenError(
            f"seed is {seed!r:.40}, where a whole number of 0 to 2**64 - 1 is needed"
        )
    return int(seed)
