"""Checkpoints of a run: written in the background, kept by count and interval, read back checked.

A checkpoint is written under a temporary name, sealed with a list of its files and only then given
its own, a plain number. So whatever stops a process leaves the finished ones as they are. Writing
them may not end a training run: a failure is a warning, is counted, and leaves nothing behind.

All methods but `steps` and `close` are for all processes together.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax

from nitrogen_jax import files
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import checkpoint_orbax as orbax
from nitrogen_jax.training import checkpoint_trees as trees
from nitrogen_jax.training.agreement import everywhere, from_first
from nitrogen_jax.weights import steps as on_disk

log = logging.getLogger(__name__)

_TEMPORARY = ".tmp-"  # how names begin that are no checkpoints (yet, or any more)
_REPLACED = ".old-"  # a checkpoint about to make room for another of its step


class Restored(NamedTuple):
    """What `Checkpoints.restore` found."""

    items: dict[str, Any]  # name -> pytree, as it was asked for
    metadata: dict[str, Any]
    step: int


class Checkpoints:
    """The checkpoints in one folder. A context manager; leaving it waits for the last save.

    Attributes:
        failures: saves that failed.
    """

    def __init__(self, folder: Path, *, keep: int = 3, keep_every: int | None = None) -> None:
        """Keeps the newest `keep`, and every one whose step is a multiple of `keep_every`."""
        self.folder, self.failures = Path(folder), 0
        self._keep, self._keep_every = max(keep, 1), keep_every
        self._first = jax.process_index() == 0
        self._damaged: dict[int, str] = {}  # step -> reason, of those passed over
        self._attempts = 0
        self._saved: int | None = None  # the step of the newest save that succeeded
        self._pending: tuple[int, Future[str | None]] | None = None
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._open = ExitStack()
        self._open.enter_context(orbax.quiet())

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def steps(self) -> list[int]:
        """The steps of which there is a whole checkpoint, ascending."""
        return list(on_disk.whole(self.folder))

    def save(
        self,
        step: int,
        items: Mapping[str, Any],
        metadata: Mapping[str, Any],
        *,
        wait: bool = False,
    ) -> bool:
        """Starts to write a checkpoint; waits for the one before if that is not done yet.

        The arrays may be donated or deleted as soon as this returns. A checkpoint of this step
        that was there before is replaced, unless this object wrote it.

        Args:
            step: number of updates applied; becomes the name.
            items: name -> pytree of arrays. Of each array every process holds its part.
            metadata: JSON; a reader of weights looks for its entry "nitrogen_jax".
            wait: until it is finished.

        Returns:
            Whether it was started, or with `wait` whether it was written.
        """
        step, note = int(step), json.loads(json.dumps(dict(metadata)))
        before = self._outcome()
        refusal = self._refusal(items) if self._first else None
        before, refusal = from_first([before, refusal])
        self._count(before)
        if self._saved == step:
            return True
        if refusal:
            self._count([step, refusal])
            return False
        self._attempts += 1
        target = self.folder / f"{_TEMPORARY}{step}-{self._attempts}"
        try:
            response = orbax.start(target, items, note)
        except Exception as error:
            # NOTE: the other processes may not know yet; they learn it at the next save.
            self._discard(target)
            self._pending = (step, _done(orbax.reason(error)))
        else:
            done = self._thread.submit(self._finish, response, target, step)
            self._pending = (step, done)
        return self.wait() if wait else True

    def wait(self) -> bool:
        """Waits for the save under way; whether it was written (true also where there is none)."""
        failed = from_first(self._outcome())
        self._count(failed)
        return failed is None or failed[1] is None

    def close(self) -> None:
        """Waits for the save under way. Each process for itself, so also after an error."""
        self._count(self._outcome())
        self._thread.shutdown()
        self._open.close()

    def restore(self, like: Mapping[str, Any], step: int | None = None) -> Restored | None:
        """The newest checkpoint that is whole, on any mesh and any number of processes.

        One that is damaged is passed over with a warning. One that is whole and does not fit
        `like` is an error, and so is it when all are damaged.

        Args:
            like: name -> pytree of `jax.ShapeDtypeStruct`s with shardings; other items of the
                checkpoint are not read.
            step: this one and no other.

        Returns:
            None where there is no checkpoint.
        """
        self.wait()
        while True:
            name, reasons = from_first(self._choose(step) if self._first else None)
            if name is None and not reasons:
                return None
            if name is None:
                listing = "; ".join(reasons)
                raise NitrogenError(f"{self.folder} has no checkpoint that can be read: {listing}")
            number = int(name.removeprefix(_REPLACED))
            with orbax.forgotten():
                found, damage = self._read(self.folder / name, like)
            if found:
                return Restored(*found, number)
            self._pass_over(number, damage)

    def _choose(self, step: int | None) -> tuple[str | None, list[str]]:
        """Process 0: the name of the folder to read, or what is wrong with all of them."""
        try:
            present = self._present()
        except OSError as error:
            return None, [orbax.reason(error)]
        if step is not None:
            if step not in present:
                return None, [f"there is none of step {step}"]
            present = {step: present[step]}
        for number, path in reversed(present.items()):
            if number in self._damaged:
                continue
            damage = on_disk.damage(path)
            if damage is None:
                return path.name, []
            self._pass_over(number, damage)
        return None, [f"of step {number}, {self._damaged[number]}" for number in present]

    def _present(self) -> dict[int, Path]:
        """step -> folder, ascending; also of one that was just being replaced."""
        old = {int(path.name.removeprefix(_REPLACED)): path for path in self._replaced()}
        return dict(sorted((old | on_disk.numbered(self.folder)).items()))

    def _replaced(self) -> list[Path]:
        named = self.folder.glob(f"{_REPLACED}*")
        return [
            path for path in named if re.fullmatch(r"[0-9]+", path.name.removeprefix(_REPLACED))
        ]

    def _read(
        self, path: Path, like: trees.Items
    ) -> tuple[tuple[dict[str, Any], dict[str, Any]] | None, str]:
        """Items and metadata; or None, because a process found it damaged, and how."""
        damage, lines, note, items = "", [], {}, {}
        try:
            note, lines = orbax.describe(path, like)
        except Exception as error:
            damage = f"its metadata cannot be read: {orbax.reason(error)}"
        if everywhere(not damage):
            orbax.refuse(lines, path)
            try:
                items = orbax.read(path, like)
            except (MemoryError, jax.errors.JaxRuntimeError):
                raise  # of this machine, and not of the checkpoint
            except Exception as error:
                damage = f"its arrays cannot be read: {orbax.reason(error)}"
            if everywhere(not damage):
                return (items, note), ""
        return None, damage or "another process cannot read it"

    def _pass_over(self, step: int, damage: str) -> None:
        self._damaged[step] = damage
        if self._first:
            path = self.folder / str(step)
            log.warning("%s is damaged and passed over: %s", path, damage)

    def _refusal(self, items: trees.Items) -> str | None:
        """Process 0: makes ready for a save, and says why there should be none."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._mend()
            for leftover in self.folder.glob(f"{_TEMPORARY}*"):
                files.remove(leftover)
            probe = self.folder / f"{_TEMPORARY}probe"
            probe.touch()
            probe.unlink()
            usage, needed = shutil.disk_usage(self.folder), trees.size(items)
        except OSError as error:
            return orbax.reason(error)
        # NOTE: some network file systems know no sizes and say 0.
        if usage.total and usage.free < needed:
            return f"{needed:,} bytes are needed and {usage.free:,} are free"
        return None

    def _finish(self, response: orbax.Response, target: Path, step: int) -> str | None:
        """In the background: waits for all arrays, then makes a checkpoint of them.

        Returns why it failed. All processes have written their part when Orbax's response comes.
        """
        try:
            response.result()
            if self._first:
                on_disk.seal(target)
                self._put(target, step)
        except Exception as error:
            self._discard(target)
            return orbax.reason(error)
        if self._first:
            try:
                self._retain(step)
            except OSError as error:
                log.warning("old checkpoints stay in %s: %s", self.folder, orbax.reason(error))
        return None

    def _discard(self, target: Path) -> None:
        """Removes what a failed save has left; the next save does it where this fails."""
        if self._first:
            with suppress(OSError):
                for leftover in self.folder.glob(f"{target.name}*"):
                    shutil.rmtree(leftover, ignore_errors=True)

    def _put(self, target: Path, step: int) -> None:
        path, old = (self.folder / f"{start}{step}" for start in ("", _REPLACED))
        replaces = path.exists()
        if replaces:
            path.replace(old)
        target.replace(path)
        if replaces:
            shutil.rmtree(old, ignore_errors=True)

    def _mend(self) -> None:
        """Puts back what was about to be replaced when a process was killed."""
        for old in self._replaced():
            path = self.folder / old.name.removeprefix(_REPLACED)
            if path.exists():
                files.remove(old)
            else:
                old.replace(path)

    def _retain(self, saved: int) -> None:
        """Removes those that need not stay, now that the one of step `saved` is whole."""
        self._damaged.pop(saved, None)
        present = on_disk.numbered(self.folder)
        known = {step for step in present if step not in self._damaged}
        good = [step for step in on_disk.whole(self.folder) if step in known]
        stay = {saved, *good[-self._keep :]}
        if self._keep_every:
            stay.update(step for step in known if step % self._keep_every == 0)
        for step in present.keys() - stay:
            gone = self.folder / f"{_TEMPORARY}{step}-removed"
            present[step].replace(gone)  # at once, because to delete it takes a while
            shutil.rmtree(gone)

    def _outcome(self) -> list[Any] | None:
        """Step of the save under way, once it is done, and why it failed; None: there is none."""
        if self._pending is None:
            return None
        step, done = self._pending
        outcome = [step, done.result()]
        self._pending = None
        return outcome

    def _count(self, outcome: list[Any] | None) -> None:
        """Takes note of an outcome that all processes agree on."""
        if outcome is None:
            return
        step, failure = outcome
        if failure is None:
            self._saved = step
            return
        self.failures += 1
        if self._first:
            text = "the checkpoint of step %d could not be written to %s: %s; the last one is of %s"
            last = "no step"
            with suppress(OSError):
                last = "".join(f"step {step}" for step in self.steps()[-1:]) or last
            log.warning(text, step, self.folder, failure, last)


def _done(value: str) -> Future[str | None]:
    future: Future[str | None] = Future()
    future.set_result(value)
    return future
