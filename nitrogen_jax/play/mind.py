"""A policy as the loop asks it: one pad for each frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from nitrogen_jax.play.latency import Timed
from nitrogen_jax.play.seen import Decision
from nitrogen_jax.serving.facts import Facts, Player, Wanted
from nitrogen_jax.serving.playback import Playback
from nitrogen_jax.serving.realtime import RealTime, Report, ThreadWorker


class Mind(Protocol):
    """Of one episode."""

    facts: Facts
    report: Report | None  # in real time

    def decide(self, frame: np.ndarray) -> Decision:
        """What to hold now, given the picture (H, W, 3) uint8 that is seen now."""

    def close(self) -> None:
        """Releases the policy."""


class Lockstep:
    """The game waits for every chunk."""

    report = None

    def __init__(self, player: Player, execute: int | None = None, delay: float = 0.0):
        """
        Args:
            execute: actions played of each chunk; None: all.
            delay: seconds that every chunk takes at least.
        """
        self._player, self.facts = Timed(player, delay), player.facts
        try:
            self._playback = Playback(self._player, execute)
        except BaseException:
            self.close()
            raise

    def decide(self, frame: np.ndarray) -> Decision:
        playback, begun = self._playback, self._player.begun
        pad = playback.step(frame)
        fresh = self._player.begun != begun
        parts = self._player.parts if fresh else {}
        return Decision(pad, playback.chunk, playback.chunk_step, parts)

    def close(self) -> None:
        self._player.close()


class Live:
    """The game goes on while the policy thinks."""

    def __init__(
        self,
        make: Callable[[], Player],
        execute: int | None = None,
        continuous: bool = True,
        delay: float = 0.0,
    ):
        """
        Args:
            make: makes the player, in a thread of its own.
            execute, continuous: see `RealTime`.
            delay: seconds that every chunk takes at least.
        """
        made: list[Timed] = []

        def timed() -> Timed:
            made.append(Timed(make(), delay))
            return made[0]

        self._thread = ThreadWorker(timed)
        self._worker = _Measured(self._thread, made[0])
        self.facts = self._thread.facts
        try:
            self._realtime = RealTime(
                self.facts, self._worker, execute=execute, continuous=continuous
            )
        except BaseException:
            self.close()
            raise
        self.report = self._realtime.report

    def decide(self, frame: np.ndarray) -> Decision:
        realtime, before = self._realtime, self.report.chunks
        pad = realtime.tick(frame)
        parts = self._worker.parts if self.report.chunks > before else {}
        return Decision(pad, realtime.chunk, realtime.chunk_step, parts)

    def close(self) -> None:
        self._thread.close()


class _Measured:
    """A thread's worker that says how long its answers took by part."""

    def __init__(self, worker: ThreadWorker, player: Timed):
        self._worker, self._player, self._asked = worker, player, 0.0
        self.parts: dict[str, float] = {}  # of the answer that was taken last, milliseconds

    def ask(self, frames: Any, step: int, known: Wanted | None) -> None:
        self._asked = time.perf_counter()
        self._worker.ask(frames, step, known)

    def poll(self) -> np.ndarray | Exception | None:
        found = self._worker.poll()
        if isinstance(found, np.ndarray):
            now, player = time.perf_counter(), self._player
            waited = (player.begun - self._asked) * 1e3
            self.parts = {
                **player.parts,
                "queue": player.parts.get("queue", 0.0) + waited,
                "slot": (now - player.ended) * 1e3,
            }
        return found
