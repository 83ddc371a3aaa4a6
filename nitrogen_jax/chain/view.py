"""What a person sees of a run of stages: bars with an ETA on a terminal, lines anywhere else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nitrogen_jax import terminal
from nitrogen_jax.chain.stages import Done, Stage, Watch

EVERY_S = 15.0  # from one line to the next where no bars can be drawn


class Clock:
    """How far a run is, and how long it will take, by what its stages were said to take."""

    def __init__(self, stages: Sequence[Stage]):
        self._left = {stage.name: stage.seconds for stage in stages}
        self._all = sum(self._left.values())
        self._spent = self._expected = 0.0  # of stages that were done in this run

    def done(self, stage: Stage, wall: float | None) -> None:
        """A stage is done; `wall`: the seconds that it took now, None where it was done before."""
        self._left[stage.name] = 0.0
        if wall is not None:
            self._spent += wall
            self._expected += stage.seconds

    def share(self, stage: Stage | None, part: float) -> float:
        """Of all the work, 0 to 1, while a part of a stage is done."""
        left = sum(self._left.values())
        if stage is not None:
            left -= self._left[stage.name] * part
        return 1 - left / self._all if self._all else 1.0

    def eta(self, stage: Stage | None, part: float, wall: float) -> float:
        """Seconds that are left.

        Args:
            part: of the stage that is running, 0 to 1; 0 where nobody knows.
            wall: seconds that it runs.
        """
        now = self._left[stage.name] if stage is not None else 0.0
        rest = sum(self._left.values()) - now
        # This machine against the one that the stages were timed on; early on, a mix with 1.
        spent, expected = self._spent + 10, self._expected + 10
        if part > 0.1:  # its own pace is known better
            pace = (spent + wall) / (expected + now * part)
            return rest * pace + wall * (1 - part) / part
        # NOTE: how long it runs says nothing before it is known how far it is.
        pace = spent / expected
        return rest * pace + max(now * pace - wall, 0.1 * now * pace)


@contextlib.contextmanager
def watching(stages: Sequence[Stage], what: str) -> Iterator[Watch]:
    """Shows a run while the block lasts.

    Args:
        what: is done, for the head line.
    """
    console = terminal.console()
    if console.is_terminal and not console.is_dumb_terminal:
        with _Bars(stages, what, console) as bars:
            yield bars
    else:
        yield _Lines(stages, what, console)


def clock(seconds: float) -> str:
    """A duration, as in 1:05 or 1:02:03."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Lines(Watch):
    """Lines for a log file: what begins, how far it is now and then, what is done."""

    def __init__(self, stages: Sequence[Stage], what: str, console: Any):
        self._clock, self._console = Clock(stages), console
        self._numbers = {stage.name: number for number, stage in enumerate(stages, 1)}
        self._began = self._told = time.monotonic()
        self.note(f"{what}: {len(stages)} stages")

    def begin(self, stage: Stage, command: str, log: Path) -> None:
        self._began = self._told = time.monotonic()
        self.note(f"{self._head(stage)}\n  {command}\n  (what it prints: {log})")

    def share(self, stage: Stage, share: float | None) -> None:
        now = time.monotonic()
        if now - self._told < EVERY_S:
            return
        self._told, wall, part = now, now - self._began, share or 0.0
        told = "" if share is None else f" {share:.0%} of it,"
        whole, left = self._clock.share(stage, part), self._clock.eta(stage, part, wall)
        self.note(f"  {clock(wall)}:{told} {whole:.0%} of all, ETA {clock(left)}")

    def end(self, stage: Stage, done: Done, again: bool) -> None:
        self._clock.done(stage, None if again else time.monotonic() - self._began)
        if again:
            self.note(f"{self._head(stage)}: done before, in {clock(done.wall)}")
        else:
            self.note(f"  done in {clock(done.wall)}, {done.cpu:.0f} s of processor time")

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def _head(self, stage: Stage) -> str:
        return f"[{self._numbers[stage.name]}/{len(self._numbers)}] {stage.title}"


class _Bars(Watch):
    """Two bars: of the stage and of all; above them the lines of what is done."""

    def __init__(self, stages: Sequence[Stage], what: str, console: Any):
        from rich import progress

        self._clock, self._console = Clock(stages), console
        self._numbers = {stage.name: number for number, stage in enumerate(stages, 1)}
        self._began = time.monotonic()
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[eta]}", markup=False),
            console=console,
            redirect_stdout=False,
        )
        self._one = self._bars.add_task("", total=None, eta="")
        self._all = self._bars.add_task(what, total=1.0, eta="")

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, stage: Stage, command: str, log: Path) -> None:
        self._began = time.monotonic()
        self.note(f"{self._head(stage)}\n  {command}")
        self._bars.reset(self._one, description=stage.title, total=None)

    def share(self, stage: Stage, share: float | None) -> None:
        part, wall = share or 0.0, time.monotonic() - self._began
        self._bars.update(self._one, total=None if share is None else 1.0, completed=part)
        whole, left = self._clock.share(stage, part), self._clock.eta(stage, part, wall)
        self._bars.update(self._all, completed=whole, eta=f"ETA {clock(left)}")

    def end(self, stage: Stage, done: Done, again: bool) -> None:
        self._clock.done(stage, None if again else time.monotonic() - self._began)
        if again:
            self.note(f"{self._head(stage)}: done before, in {clock(done.wall)}")
        else:
            self.note(f"  done in {clock(done.wall)}")
        whole, left = self._clock.share(None, 0.0), self._clock.eta(None, 0.0, 0.0)
        self._bars.update(self._all, completed=whole, eta=f"ETA {clock(left)}")

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def _head(self, stage: Stage) -> str:
        return f"[{self._numbers[stage.name]}/{len(self._numbers)}] {stage.title}"
