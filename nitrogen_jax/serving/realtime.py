"""The game runs on while the model thinks: asynchronous chunks that continue each other.

The next chunk is asked for while the current one is played. How long that takes is measured; the
actions that will be played meanwhile are frozen in the new chunk, those after them draw it, so that
the game does not notice the change. Nothing here waits, and nothing here imports JAX.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.serving import continuity
from nitrogen_jax.serving.facts import LAYOUT, Facts, Player, Wanted
from nitrogen_jax.serving.playback import Timeline

log = logging.getLogger(__name__)

_RECENT = 10  # delays; the next one is taken to be the longest of them
_MOST_FAILURES = 5  # one after the other


class Worker(Protocol):
    """Whoever answers one question at a time, elsewhere."""

    def ask(self, frames: Any, step: int, known: Wanted | None) -> None:
        """Begins; see `Player.act`."""

    def poll(self) -> np.ndarray | Exception | None:
        """The chunk (T, 25) or what went wrong; None while it is not there yet."""


class ThreadWorker:
    """A player in a thread of its own."""

    def __init__(self, make: Callable[[], Player]):
        """
        Args:
            make: makes the player, in the thread that it belongs to.
        """
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(make,), daemon=True)
        self._thread.start()
        made = self._found.get()
        if isinstance(made, Exception):
            raise made
        self.facts: Facts = made

    def ask(self, frames: Any, step: int, known: Wanted | None) -> None:
        self._asked.put((frames, step, known))

    def poll(self) -> np.ndarray | Exception | None:
        try:
            return self._found.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """Ends the thread after what it is doing."""
        self._asked.put(None)
        self._thread.join()

    def _work(self, make: Callable[[], Player]) -> None:
        try:
            player = make()
        except Exception as error:
            self._found.put(error)
            return
        self._found.put(player.facts)
        while (asked := self._asked.get()) is not None:
            try:
                self._found.put(player.act(*asked))
            except Exception as error:
                self._found.put(error)
        if hasattr(player, "close"):
            player.close()


@dataclass
class Report:
    """What has happened; a slot is one control step of the game."""

    slots: int = 0
    before_first: int = 0  # slots before the first chunk was there: the pad rested
    starved: int = 0  # slots after that for which there was no action
    chunks: int = 0
    failed: int = 0  # questions without an answer
    late: int = 0  # chunks that took longer than was expected when they were asked for
    delays: list[int] = field(default_factory=list)  # slots from question to chunk, of each
    seconds: list[float] = field(default_factory=list)  # the same by the clock
    borders: list[int] = field(default_factory=list)  # slots at which a new chunk took over

    def sentence(self) -> str:
        """All of it, for people."""
        if not self.delays:
            return f"{self.slots} slots, no chunk"
        text = (
            f"{self.slots} slots, {self.chunks} chunks, delay {np.median(self.delays):g} slots "
            f"({np.median(self.seconds) * 1e3:.0f} ms), at most {max(self.delays)}"
        )
        if self.starved:
            share = self.starved / self.slots
            text += f"; {self.starved} slots ({share:.1%}) had no action: the model is too slow"
        return text


class _Asked(NamedTuple):
    step: int
    expected: int  # slots of delay
    at: float  # seconds of the clock


class RealTime:
    """One pad for every slot, whatever the model is doing."""

    def __init__(
        self,
        facts: Facts,
        worker: Worker,
        *,
        execute: int | None = None,
        continuous: bool = True,
        rule: continuity.ButtonRule | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        """
        Args:
            execute: slots from one question to the next, at least; None: half a chunk. Where the
                actions would run out before, it is asked earlier.
            continuous: chunks continue each other; False switches from one to the next as they
                come, with buttons at the bare threshold, as a comparison.
            rule: when buttons change.
        """
        if continuous and not facts.inpaint:
            raise NitrogenError(
                "real time needs chunks that continue each other: make the agent with "
                "inpaint=True, start the server with --realtime"
            )
        execute = facts.usable // 2 if execute is None else execute
        if not 1 <= execute <= facts.usable:
            raise NitrogenError(f"execute is {execute}, where 1 to {facts.usable} can be")
        self.facts, self.execute, self.continuous = facts, execute, continuous
        self._worker, self._clock = worker, clock
        self._rule = rule or continuity.ButtonRule()
        self._timeline = Timeline(facts)
        self._asked: _Asked | None = None
        self._last_asked, self._failures = -execute, 0
        self._frames: deque[np.ndarray] = deque(
            maxlen=facts.frames * facts.frame_spacing if facts.frames > 1 else 1
        )
        self._delays: deque[int] = deque(maxlen=_RECENT)
        self._sticks = gamepad.neutral()
        self.chunk: np.ndarray | None = None  # the latest, (T, 25)
        self.chunk_step = 0  # the slot that it was asked for at
        self.report = Report()

    @property
    def expected(self) -> int:
        """Slots that the next chunk is expected to take; 1 before anything is measured."""
        return max(self._delays, default=1)

    def tick(self, frame: np.ndarray) -> Pad:
        """The pad of the slot that begins now, given the frame that is seen now."""
        now = self.report.slots
        self._frames.append(frame)
        self._take(now)
        self._ask(now)
        self.report.slots += 1
        action = self._timeline.get(now + 1)
        return self._starve() if action is None else self._play(action)

    # Parts ----------------------------------------------------------------------------------

    def _take(self, now: int) -> None:
        """Takes a chunk that has come meanwhile."""
        if self._asked is None:
            return
        found = self._worker.poll()
        if found is None:
            return
        asked, self._asked, report = self._asked, None, self.report
        if isinstance(found, Exception):
            self._failures += 1
            report.failed += 1
            self._last_asked = now - self.execute  # again at once
            if self._failures == _MOST_FAILURES:
                raise found
            log.warning("no chunk: %s", found)
            return
        self._failures = 0
        delay = now - asked.step
        self._delays.append(delay)
        report.delays.append(delay)
        report.seconds.append(float(self._clock() - asked.at))
        report.late += delay > asked.expected and report.chunks > 0
        report.chunks += 1
        report.borders.append(now)
        self.chunk, self.chunk_step = found, asked.step
        self._timeline.put(asked.step, found, now)

    def _ask(self, now: int) -> None:
        """Asks for the next chunk, if it is time."""
        if self._asked is not None:
            return
        left = self._timeline.last - now  # slots for which there are actions
        if now - self._last_asked < self.execute and left > self.expected:
            return
        expected = self.expected
        known = self._known(now, expected) if self.continuous else None
        frames = list(self._frames) if self.facts.frames > 1 else self._frames[-1]
        self._asked = _Asked(now, expected, self._clock())
        self._last_asked = now
        self._worker.ask(frames, now, known)

    def _known(self, now: int, expected: int) -> Wanted | None:
        first = now + self.facts.action_shift
        old = []
        while (action := self._timeline.get(first + len(old))) is not None:
            old.append(action)
        # NOTE: of the slots that pass meanwhile, those before the new chunk's first action cost
        # nothing: an action shift is a delay that the policy was trained with.
        frozen = max(0, expected + 1 - self.facts.action_shift)
        stacked = np.stack(old) if old else np.zeros((0, gamepad.ACTION_DIM), np.float32)
        return continuity.wanted(stacked, frozen, self.facts.horizon)

    def _play(self, action: np.ndarray) -> Pad:
        pad = gamepad.decode(action, layout=LAYOUT)
        self._sticks = action
        if not self.continuous:
            return pad
        buttons, _, _ = gamepad.unpack(action, LAYOUT)
        return Pad(self._rule(buttons), pad.left, pad.right)

    def _starve(self) -> Pad:
        """No action: the sticks stay, the buttons are released."""
        report = self.report
        if not report.chunks:
            report.before_first += 1
            return gamepad.decode(gamepad.neutral())
        if report.starved == 0:
            log.warning(
                "no action for slot %d: the sticks stay, the buttons are released (a chunk takes "
                "%d slots, and at most %d can be bridged)",
                report.slots,
                self.expected,
                (self.facts.horizon + self.facts.action_shift - 1) // 2,
            )
        report.starved += 1
        self._rule.release()
        held = gamepad.decode(self._sticks, layout=LAYOUT)
        return Pad(np.zeros_like(held.buttons), held.left, held.right)
