"""The processes that play, each with a pipe of its own; who dies or hangs takes nobody along."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from nitrogen_jax.data import worker_process
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import worker
from nitrogen_jax.evaluation.policies import Source
from nitrogen_jax.evaluation.results import Played
from nitrogen_jax.evaluation.rollout import CRASH, STUCK
from nitrogen_jax.evaluation.worker import Job

STALL_S = 300.0  # longer than the slowest game needs to start, and to load a level
GRACE_S = 5.0  # that a worker has to end when it is told to
# One core for each: several games share them.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(eq=False)
class Member:
    """One process and what it is at."""

    process: Any
    pipe: Connection
    job: Job = field(init=False)
    began: bool = False
    alive: bool = True
    since: float = 0.0  # its job was given
    heard: float = 0.0  # its last word came
    told: float = 0.0  # seconds of game time

    def give(self, job: Job) -> None:
        """Gives it its next episode."""
        self.job, self.told = job, 0.0
        self.since = self.heard = time.monotonic()
        # What it does not get because it is dead is told when its pipe is read.
        with contextlib.suppress(OSError):
            self.pipe.send(job)

    def further(self, seconds: float | None, most: float) -> float:
        """How much of the job is done since the last time; None: all of it."""
        now = most if seconds is None else min(seconds, most)
        step, self.told = max(0.0, now - self.told), max(now, self.told)
        return step

    @property
    def epitaph(self) -> str:
        """How it has ended."""
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"the worker process ended with {code}"
        perhaps = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"the worker process was killed by {signal.Signals(-code).name}{perhaps}"


class Crew:
    """The processes that are alive."""

    def __init__(self, source: Source, folder: Path, stall: float):
        """
        Args:
            folder: of the results.
            stall: seconds without a word, beside the patience with a server, after which a worker
                is given up.
        """
        # NOTE: spawn, because this process may have threads (JAX, a server) that fork would break.
        self._context = multiprocessing.get_context("spawn")
        self._given = (source, folder.absolute())
        self._stall = stall + source.patience
        self.members: list[Member] = []

    def start(self) -> Member:
        """One more; it is to be given a job at once."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=worker.serve, args=(theirs, *self._given), daemon=True
        )
        with worker_process.ignoring_interrupts(), worker_process.environment(ONE_THREAD):
            process.start()
        theirs.close()  # or else its end would not be noticed
        self.members.append(Member(process, ours))
        return self.members[-1]

    def news(self) -> Iterator[tuple[Member, tuple[str, Any]]]:
        """What has been said, or what is to be said of those that have died or say nothing."""
        pipes = {member.pipe: member for member in self.members}
        for pipe in wait(list(pipes), 1.0):
            member = pipes[pipe]
            try:
                said = member.pipe.recv()
            except (EOFError, OSError):  # it has died, perhaps amid a message
                self._bury(member)
                if not member.began:
                    raise NitrogenError(
                        f"{member.epitaph} before it could begin: its messages are above"
                    ) from None
                yield member, self._lost(member, CRASH, member.epitaph)
            else:
                member.heard = time.monotonic()
                yield member, said
        for member in list(self.members):
            silence = time.monotonic() - member.heard
            if silence > self._stall:
                member.process.kill()
                self._bury(member)
                why = f"nothing was heard of its worker process for {silence:.0f} s"
                yield member, self._lost(member, STUCK, why)

    def dismiss(self, member: Member) -> None:
        """Ends one for which there is nothing left to do."""
        self.members.remove(member)
        member.pipe.close()
        member.process.join(GRACE_S)
        _stop(member.process)

    def end(self) -> None:
        """Ends all that are left, whatever they are at; their games end with them."""
        for member in self.members:
            member.process.terminate()
        for member in self.members:
            member.process.join(GRACE_S)
            _stop(member.process)
            member.pipe.close()
        self.members.clear()

    def _bury(self, member: Member) -> None:
        self.members.remove(member)
        member.alive = False
        member.pipe.close()
        member.process.join(GRACE_S)
        _stop(member.process)

    def _lost(self, member: Member, outcome: str, why: str) -> tuple[str, Played]:
        wall = time.monotonic() - member.since
        return worker.PLAYED, worker.lost(member.job, outcome, why, wall)


def _stop(process: Any) -> None:
    if process.is_alive():
        process.kill()
        process.join()
