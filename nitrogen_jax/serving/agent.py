"""A policy that plays in this process: frames in, chunks out."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.models.context import check_fits
from nitrogen_jax.serving.engine import Engine
from nitrogen_jax.serving.facts import Wanted, listed
from nitrogen_jax.serving.sampler import DEFAULT_BUCKETS, Sampler, default_compute
from nitrogen_jax.serving.session import Session
from nitrogen_jax.weights.checkpoint import Checkpoint


class Agent:
    """One session around an engine of its own; a `Player`."""

    def __init__(
        self,
        engine: Engine,
        *,
        seed: int = 0,
        forbidden: frozenset[str] = frozenset(),
        game: int = 0,
    ):
        """
        Args:
            engine: of `make_engine`, warmed up here unless it is already.
            forbidden: buttons that are never pressed.
            game: row of the game embedding, 0: none.
        """
        self.facts, self._engine = engine.facts, engine
        self._session = Session(engine.cfg, seed, gamepad.button_set(forbidden), game)
        self.timing: dict[str, float] = {}  # of the latest chunk: milliseconds
        engine.warm_up()

    def reset(self, seed: int | None = None) -> None:
        """Forgets all frames; None keeps the seed."""
        self._session.reset(seed)

    def act(self, frames: Any, step: int | None = None, known: Wanted | None = None) -> np.ndarray:
        """The next chunk (T, 25) float32, buttons_first; see `Player`."""
        if known is not None and not self.facts.inpaint:
            raise NitrogenError(
                "this agent was made without inpaint=True and takes no known actions"
            )
        begun = time.perf_counter()
        question = self._session.prepare(listed(frames), step, known=known)
        prepared = time.perf_counter()
        (answer,) = self._engine.run([question])
        ended = time.perf_counter()
        self.timing = {
            "preprocess_ms": (prepared - begun) * 1e3,
            "infer_ms": (ended - prepared) * 1e3,
        }
        if isinstance(answer, NitrogenError):
            raise answer
        return answer


def make_engine(
    policy: Checkpoint,
    *,
    frames: int | None = None,
    old_layout: bool = False,
    steps: int | None = None,
    guidance: float | None = None,
    dtype: str | None = None,
    batch: int = 1,
    inpaint: bool = False,
) -> Engine:
    """An engine around a policy.

    Args:
        frames: of a context; None: what the policy was trained with.
        old_layout: the policy's actions have the sticks first, whatever its checkpoint says.
        steps: Euler steps; None: the policy's.
        guidance: scale of guidance; None: none.
        batch: questions of one call at most; powers of two up to it are compiled.
        inpaint: also compile for known actions.
    """
    if batch < 1:
        raise NitrogenError(f"the largest batch is {batch}, where at least 1 is needed")
    cfg = served_config(policy.meta.config, frames, old_layout)
    buckets = [size for size in DEFAULT_BUCKETS if size < batch]
    sampler = Sampler(
        cfg,
        policy.params,
        compute=default_compute(dtype),
        steps=steps,
        guidance=guidance,
        buckets=(*buckets, batch),
    )
    return Engine(sampler, inpaint=inpaint, control_rate=policy.meta.control_rate)


def served_config(cfg: PolicyConfig, frames: int | None, old_layout: bool) -> PolicyConfig:
    """The configuration with what a user wants otherwise."""
    if frames is not None:
        cfg = dataclasses.replace(cfg, frames=frames)
    if old_layout:
        cfg = dataclasses.replace(cfg, layout="sticks_first")
    cfg.check()
    check_fits(cfg.frames, cfg.vision.tokens, cfg.games is not None, cfg.context_length)
    return cfg
