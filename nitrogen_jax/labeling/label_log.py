"""What a label tree under construction remembers: a log of videos, attempts, and a lock.

    TREE/label_log.jsonl        one line for each video that is done or has failed; the last counts
    TREE/.label/lock            held by the one driver
    TREE/.label/work/<attempt>  what workers write: actions/SHARD/VIDEO/... and record.json, last

A finished attempt becomes part of the tree by one rename. A driver that is killed leaves attempts:
the next one puts whole ones into the tree and deletes the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nitrogen_jax.data.label_fields import check_name
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import remove
from nitrogen_jax.labeling import tree_out
from nitrogen_jax.labeling.tree_out import Unwritable
from nitrogen_jax.labeling.work import RECORD, Outcome

LOG = "label_log.jsonl"
STATE = ".label"


@contextlib.contextmanager
def opened(tree: Path) -> Iterator[LabelLog]:
    """The log of a tree, new or begun before, that nobody else may work on at the same time."""
    state = tree / STATE
    if not state.is_dir():
        if tree.exists() and (not tree.is_dir() or any(tree.iterdir())):
            raise NitrogenError(
                f"cannot label into {tree}: it is not empty and not a folder of label run"
            )
        if not tree.absolute().parent.is_dir():
            raise NitrogenError(f"cannot make {tree}: {tree.absolute().parent} does not exist")
        try:
            state.mkdir(parents=True)
        except OSError as error:
            raise NitrogenError(f"cannot make {tree}: {error.strerror}") from None
    with open(state / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NitrogenError(
                f"{tree} is being labelled into by another process: wait for it"
            ) from None
        log = LabelLog(tree)
        try:
            yield log
        finally:
            log.close()


class LabelLog:
    """The log of a tree whose lock is held.

    Attributes:
        lines: video id -> its last line.
        work: the folder of attempts.
    """

    def __init__(self, tree: Path):
        self.tree, self.work = tree, tree / STATE / "work"
        self.work.mkdir(exist_ok=True)
        self.lines = read(tree)
        self._file = open(tree / LOG, "ab", buffering=0)  # noqa: SIM115
        _drop_half_a_line(tree / LOG)
        for attempt in sorted(self.work.iterdir()):
            self._recover(attempt)
        self._sweep()

    def attempt(self, video_id: str) -> str:
        """The path of a new attempt, which does not exist yet."""
        name = re.sub(r"[^A-Za-z0-9_-]", "_", video_id)[:80]
        return str(self.work / f"{name}-{secrets.token_hex(8)}")

    def folder(self, video_id: str) -> Path:
        """Where the labels of a video are in the tree, or would be."""
        return self.tree / "actions" / tree_out.shard_of(video_id) / video_id

    def state(self, video_id: str) -> str:
        """done, failed, new, or "foreign": labels are there that this log does not know."""
        line, there = self.lines.get(video_id), self.folder(video_id).is_dir()
        if line is None or line["status"] == "failed":
            return "foreign" if there else "new" if line is None else "failed"
        return "done" if there else "new"

    def add(self, outcome: Outcome, attempt: Path | None = None) -> None:
        """Puts an attempt into the tree, if there is one, and then the outcome into the log."""
        try:
            if attempt is not None:
                self._publish(outcome.video_id, attempt)
            data = json.dumps(outcome.as_json()).encode() + b"\n"
            if self._file.write(data) != len(data):
                raise OSError(28, "No space left on device")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise Unwritable(f"cannot write {self.tree}: {error.strerror}") from None
        self.lines[outcome.video_id] = outcome.as_json()
        if attempt is not None:
            remove(attempt)

    def close(self) -> None:
        """Deletes what workers left that were stopped."""
        self._file.close()
        self._sweep()

    def _publish(self, video_id: str, attempt: Path) -> None:
        # NOTE: the topmost folder that is missing is renamed, never made: an empty one would be no
        # valid tree, if only for a moment.
        parts = ("actions", tree_out.shard_of(video_id), check_name(video_id, "video_id"))
        target, staged = self.tree, attempt
        for part in parts:
            target, staged = target / part, staged / part
            if not target.exists():
                break
        else:
            raise Unwritable(f"{target} is there already and not in {self.tree / LOG}")
        os.rename(staged, target)

    def _recover(self, attempt: Path) -> None:
        """Finishes what a driver that was killed had begun to do with a whole attempt."""
        try:
            outcome = Outcome(**json.loads((attempt / RECORD).read_text()))
            target = self.folder(check_name(outcome.video_id, "video_id"))
        except (OSError, ValueError, TypeError):
            return
        known = self.lines.get(outcome.video_id, {}).get("status") == "done"
        staged = attempt / target.relative_to(self.tree)
        if not known and staged.is_dir() != target.is_dir():
            self.add(outcome, attempt if staged.is_dir() else None)

    def _sweep(self) -> None:
        for name in os.listdir(self.work) if self.work.is_dir() else ():
            with contextlib.suppress(OSError):  # a worker that is about to end may still write
                remove(self.work / name)


def read(tree: Path) -> dict[str, dict[str, Any]]:
    """Video id -> its last line in the log; half of a last line is passed over."""
    path = tree / LOG
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NitrogenError(f"{path} cannot be read: {error.strerror}") from None
    found = {}
    for number, row in enumerate(whole.split(b"\n") if whole else (), 1):
        try:
            line = json.loads(row)
            if line["status"] not in ("done", "failed"):
                raise ValueError
            found[str(line["video_id"])] = {**Outcome("").as_json(), **line}
        except (ValueError, TypeError, KeyError, RecursionError):
            raise NitrogenError(
                f"{path}, line {number}: it is no line of this log: delete it, or the tree"
            ) from None
    return found


def _drop_half_a_line(path: Path) -> None:
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.truncate(path, end)
