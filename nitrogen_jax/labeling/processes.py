"""Videos labelled by processes of this machine, each of which may die without taking more along.

A pool of concurrent.futures breaks as a whole when one process is killed, and cannot say which
video it had; here every process has a pipe of its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from nitrogen_jax.data import worker_process
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import work
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.tree_out import Unwritable
from nitrogen_jax.labeling.work import Job, Labeller, Outcome

TELL_EVERY = 0.5  # seconds between two messages about progress
GRACE = 5.0  # seconds that a process has to end when it is told to


def run(
    jobs: Iterable[Job],
    advance: Callable[[str, int], None] = lambda video_id, frames: None,
    *,
    library: Library,
    labeller: Labeller,
    workers: int,
) -> Iterator[tuple[Job, Outcome]]:
    """Yields every job with its outcome, in the order in which they end.

    Args:
        advance: is told (video id, frames) while a video is at work.
        workers: processes.
    """
    waiting, crew = iter(jobs), _Crew(library, labeller)
    try:
        for job in waiting:
            crew.start().give(job)
            if len(crew.members) == workers:
                break
        while crew.members:
            for member in crew.ready():
                job = member.job
                try:
                    kind, value = member.pipe.recv()
                except (EOFError, OSError):  # it has died, perhaps amid a message
                    crew.bury(member)
                    yield job, work.failed(job, "error", member.epitaph)
                    member = None
                else:
                    if kind == "ready":
                        member.began = True
                        continue
                    if kind == "frames":
                        advance(job.video_id, value)
                        continue
                    if kind == "unwritable":
                        raise Unwritable(value)
                    yield job, value
                following = next(waiting, None)
                if following is not None:
                    (member or crew.start()).give(following)
                elif member is not None:
                    crew.dismiss(member)
    finally:
        crew.end()


@dataclass(eq=False)
class _Member:
    process: Any
    pipe: Connection
    job: Job | None = None
    began: bool = False

    def give(self, job: Job) -> None:
        self.job = job
        # What it does not get because it is dead is told when its pipe is read.
        with contextlib.suppress(OSError):
            self.pipe.send(job)

    @property
    def epitaph(self) -> str:
        code = self.process.exitcode
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
            how += ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        else:
            how = f"ended with {code}"
        return f"{self.job.path}: the worker process {how}"


class _Crew:
    """The processes that are alive."""

    def __init__(self, library: Library, labeller: Labeller):
        # NOTE: spawn, because the parent may have threads (JAX, OpenCV) that fork would break.
        self._context = multiprocessing.get_context("spawn")
        self._given = (library, labeller)
        self.members: list[_Member] = []

    def start(self) -> _Member:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, *self._given), daemon=True)
        with worker_process.ignoring_interrupts(), worker_process.environment(work.ONE_THREAD):
            process.start()
        theirs.close()  # or else its end would not be noticed
        self.members.append(_Member(process, ours))
        return self.members[-1]

    def ready(self) -> list[_Member]:
        """Those that have something to say, or are dead."""
        pipes = {member.pipe: member for member in self.members}
        return [pipes[pipe] for pipe in wait(list(pipes))]

    def bury(self, member: _Member) -> None:
        """Takes leave of one that has died; NitrogenError if it had not even begun."""
        self.members.remove(member)
        member.pipe.close()
        member.process.join(GRACE)
        if not member.began:
            raise NitrogenError(
                f"a worker process ended with {member.process.exitcode} before it could begin: "
                "its messages are above"
            )

    def dismiss(self, member: _Member) -> None:
        """Ends one for which there is nothing left to do."""
        self.members.remove(member)
        member.pipe.close()
        member.process.join(GRACE)
        _stop(member.process)

    def end(self) -> None:
        """Ends all that are left, whatever they are at."""
        for member in self.members:
            member.process.terminate()
        for member in self.members:
            member.process.join(GRACE)
            _stop(member.process)
        self.members.clear()


def _stop(process: Any) -> None:
    if process.is_alive():
        process.kill()
        process.join()


# ---------------------------------------------------------------------------------------------
# In a worker


def _serve(pipe: Connection, library: Library, labeller: Labeller) -> None:
    """Labels the videos that come through the pipe, until it is closed."""
    worker_process.start()
    pipe.send(("ready", None))
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(_done(pipe, job, library, labeller))


def _done(
    pipe: Connection, job: Job, library: Library, labeller: Labeller
) -> tuple[str, Outcome | str]:
    untold, told = 0, time.monotonic()

    def advance(frames: int) -> None:
        nonlocal untold, told
        untold += frames
        if time.monotonic() - told >= TELL_EVERY:
            pipe.send(("frames", untold))
            untold, told = 0, time.monotonic()

    try:
        return "outcome", work.label_one(job, library, labeller, advance)
    except Unwritable as error:
        return "unwritable", str(error)
