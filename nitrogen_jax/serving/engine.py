"""Many prepared questions, one call of the sampler: batches, masks, checks, little memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import jax
import numpy as np

from nitrogen_jax import flow, gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving.facts import LAYOUT, Facts, Wanted
from nitrogen_jax.serving.sampler import Sampler
from nitrogen_jax.serving.session import Prepared

log = logging.getLogger(__name__)

NOT_FINITE = "the policy's actions are not finite numbers"


class Engine:
    """A sampler that answers one question or many, each as if it were alone."""

    def __init__(
        self, sampler: Sampler, *, inpaint: bool = False, control_rate: float | None = None
    ):
        """
        Args:
            inpaint: also compile for questions with known actions.
            control_rate: Hz of the policy's actions, where that is known.
        """
        if sampler.cfg.action_dim != gamepad.ACTION_DIM:
            raise NitrogenError(
                f"the policy has {sampler.cfg.action_dim} action dimensions, where the "
                f"{gamepad.ACTION_DIM} of a gamepad are needed"
            )
        cfg = sampler.cfg
        self.sampler, self.cfg = sampler, cfg
        self.facts = Facts(
            horizon=cfg.horizon,
            action_shift=cfg.action_shift,
            frames=cfg.frames,
            frame_spacing=cfg.frame_spacing,
            image_size=cfg.vision.image_size,
            control_rate=control_rate,
            inpaint=inpaint,
        )

    @property
    def largest(self) -> int:
        """Questions that one call can answer."""
        return self.sampler.buckets[-1]

    def warm_up(self) -> None:
        """Compiles and runs every batch size; leaves out those that the memory is too small for."""
        for bucket in tuple(self.sampler.buckets):
            if bucket > self.largest:
                break
            for inpaint in (False, True) if self.facts.inpaint else (False,):
                try:
                    self._sample([self._blank(inpaint)] * bucket)
                except Exception as error:
                    self._shrink(error, bucket)
                    break

    def run(self, questions: Sequence[Prepared]) -> list[np.ndarray | NitrogenError]:
        """For each question its chunk (T, 25) float32, buttons_first, or what is wrong with it."""
        answers: list[np.ndarray | NitrogenError] = [NitrogenError("")] * len(questions)
        for inpaint in (False, True):
            rows = [i for i, one in enumerate(questions) if (one.known is not None) == inpaint]
            while rows:
                now = rows[: self.largest]
                try:
                    found = self._sample([questions[i] for i in now])
                except Exception as error:
                    self._shrink(error, len(now))
                    continue
                for i, actions in zip(now, found, strict=True):
                    answers[i] = self._checked(actions, questions[i].forbidden)
                rows = rows[len(now) :]
        return answers

    def _sample(self, questions: Sequence[Prepared]) -> np.ndarray:
        known = None
        if questions[0].known is not None:
            pairs = [(one.known.actions, one.known.weights) for one in questions]
            stacked = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
            known = flow.Known(
                *(gamepad.convert_layout(x, LAYOUT, self.cfg.layout) for x in stacked)
            )
        return self.sampler(
            np.stack([one.frames for one in questions]),
            np.stack([one.noise for one in questions]),
            np.stack([one.dropped for one in questions]),
            np.array([one.game for one in questions], np.int32),
            known,
        )

    def _checked(
        self, actions: np.ndarray, forbidden: frozenset[str]
    ) -> np.ndarray | NitrogenError:
        if not np.isfinite(actions).all():
            return NitrogenError(NOT_FINITE)
        actions = gamepad.convert_layout(actions, self.cfg.layout, LAYOUT)
        actions[..., [gamepad.BUTTON_INDEX[name] for name in sorted(forbidden)]] = 0
        return actions

    def _shrink(self, error: Exception, batch: int) -> None:
        """Goes on with smaller batches where memory was the reason; else raises the error."""
        if not _out_of_memory(error):
            raise error
        buckets = self.sampler.buckets
        used = self.sampler.bucket(batch)
        if used == buckets[0]:
            raise NitrogenError(
                f"the device has too little memory for this policy, even for a batch of {used}"
            ) from error
        while self.largest >= used:
            self.sampler.drop_largest()
        log.warning(
            "the device has too little memory for a batch of %d: batches of %d at most from now on",
            used,
            self.largest,
        )

    def _blank(self, inpaint: bool) -> Prepared:
        cfg, size = self.cfg, self.cfg.vision.image_size
        chunk = np.zeros((cfg.horizon, cfg.action_dim), np.float32)
        frames = np.zeros((cfg.frames, size, size, 3), np.uint8)
        dropped = np.arange(cfg.frames) < cfg.frames - 1  # a full context may not fit with a game
        known = Wanted(chunk, chunk) if inpaint else None
        return Prepared(frames, dropped, chunk, 0, frozenset(), known)


def _out_of_memory(error: Exception) -> bool:
    text = str(error).upper()
    known = isinstance(error, jax.errors.JaxRuntimeError | MemoryError)
    return known and (isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text)
