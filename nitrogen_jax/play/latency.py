"""Where the time of a step and of a chunk goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nitrogen_jax.data import images
from nitrogen_jax.serving.facts import Player, Wanted, listed

# Part -> what is measured.
PARTS = {
    "grab": "the picture out of the game",
    "preprocess": "the picture made the policy's size, its history gathered",
    "queue": "a question waits for the policy",
    "infer": "the network",
    "network": "there and back, and what a server does beside the above",
    "injected": "waited to make it --inject-delay in all",
    "slot": "a finished chunk waits for the next step",
    "apply": "the pad handed to the game",
    "game": "the game makes its frames",
}
QUANTILES = (50, 95, 99)


class Latency:
    """Milliseconds by part, of every step."""

    def __init__(self) -> None:
        self._found: dict[str, list[float]] = defaultdict(list)

    def add(self, parts: Mapping[str, float]) -> None:
        for part, milliseconds in parts.items():
            self._found[part].append(milliseconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """Part -> count, p50, p95 and p99 in milliseconds, in the order of PARTS."""
        found = {}
        for part in PARTS:
            values = self._found.get(part)
            if values:
                cuts = np.percentile(values, QUANTILES)
                named = {f"p{q}": round(float(v), 4) for q, v in zip(QUANTILES, cuts, strict=True)}
                found[part] = {"count": len(values), **named}
        return found


class Timed:
    """A player whose answers are measured, and may be made to take longer.

    Pictures are made the policy's size here: a server need not be sent more.
    """

    def __init__(
        self,
        player: Player,
        delay: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ):
        """
        Args:
            delay: seconds that every answer takes at least.
        """
        self.facts, self._player = player.facts, player
        self._delay, self._clock, self._sleep = delay, clock, sleep
        self.begun = self.ended = 0.0  # of the latest answer, by the clock
        self.parts: dict[str, float] = {}  # of the latest answer, milliseconds

    def reset(self, seed: int | None = None) -> None:
        self._player.reset(seed)

    def act(self, frames: Any, step: int | None = None, known: Wanted | None = None) -> np.ndarray:
        """The player's answer; see `Player`."""
        self.begun = self._clock()
        small = [images.to_frame(one, self.facts.image_size, "frame") for one in listed(frames)]
        asked = self._clock()
        chunk = self._player.act(small, step, known)
        answered = self.ended = self._clock()
        self.parts = _parts(
            getattr(self._player, "timing", {}),
            shrinking=(asked - self.begun) * 1e3,
            whole=(answered - asked) * 1e3,
        )
        if self._delay > 0:
            self._sleep(max(0.0, self.begun + self._delay - answered))
            self.ended = self._clock()
            self.parts["injected"] = (self.ended - answered) * 1e3
        return chunk

    def close(self) -> None:
        """Closes the player, where it is one that can be closed."""
        getattr(self._player, "close", lambda: None)()


def _parts(timing: Mapping[str, float], shrinking: float, whole: float) -> dict[str, float]:
    """Of one answer, milliseconds.

    Args:
        timing: what the player says itself.
        shrinking: for making the pictures the policy's size.
        whole: for the player's answer.
    """
    parts = {"preprocess": shrinking + timing.get("preprocess_ms", 0.0)}
    if "queue_ms" in timing:
        parts["queue"] = timing["queue_ms"]
    parts["infer"] = timing.get("infer_ms", whole)
    if "total_ms" in timing:  # a server's word for what it took itself
        parts["network"] = max(0.0, whole - timing["total_ms"])
    return parts
