"""Writing the folder of an evaluation, so that a run may be killed at any moment and go on.

An episode is one line, on the disk before the next one begins. eval.json is put in place as a
whole. Two runs at once in one folder are refused.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import results
from nitrogen_jax.evaluation.results import ABOUT, ACTIONS, CLIPS, EPISODES, FORMAT, Played
from nitrogen_jax.files import atomic_path


class Writer:
    """A folder that takes episodes.

    Attributes:
        about: what eval.json says.
        played: (task, episode) -> what came of it, all that are there already included.
    """

    def __init__(self, folder: str | Path, about: Mapping[str, Any]):
        """Makes the folder, or goes on with the one that is there if it is of the same run.

        Args:
            about: for eval.json, without `format`. Tasks, episodes and their tags are added to
                those that are there; policy, seed and play must be the same.
        """
        self.folder = Path(folder)
        try:
            for name in ("", ACTIONS, CLIPS):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._file = (self.folder / EPISODES).open("ab", buffering=0)
        except OSError as error:
            raise NitrogenError(f"cannot write {self.folder}: {error.strerror}") from None
        try:
            self._lock()
            for name in ("", ACTIONS, CLIPS):  # halves of a run that was killed
                for path in (self.folder / name).glob(".*.tmp-*"):
                    path.unlink(missing_ok=True)
            self.about = self._merged(about)
            found, whole = results.read_episodes(self.folder)
            self._file.truncate(whole)
            self.played = {(one.task, one.episode): one for one in found}
            self._write_about()
        except BaseException:
            self._file.close()
            raise

    def add(self, one: Played) -> None:
        """Appends an episode; it is on the disk when this returns."""
        if (one.task, one.episode) in self.played:
            raise NitrogenError(f"episode {one.episode} of {one.task} is there already")
        text = json.dumps(results.played_to(one), ensure_ascii=False, allow_nan=False)
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        try:
            if self._file.write(data) != len(data):
                raise OSError(28, "the disk is full")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise NitrogenError(
                f"cannot write {self.folder / EPISODES}: {error.strerror}"
            ) from None
        self.played[one.task, one.episode] = one

    def skip(self, task: str, why: str) -> None:
        """Notes that a task cannot be played here."""
        self.about["skipped"][task] = why
        self._write_about()

    def close(self) -> None:
        """Lets others write."""
        self._file.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NitrogenError(
                f"another run writes into {self.folder}: wait for its end, or give another --out"
            ) from None
        except OSError:  # a file system that knows no locks
            pass

    def _merged(self, about: Mapping[str, Any]) -> dict[str, Any]:
        new = {"format": FORMAT, **about}
        if not (self.folder / ABOUT).exists():
            if (self.folder / EPISODES).stat().st_size:
                raise NitrogenError(
                    f"{self.folder} holds episodes and no {ABOUT}: give another --out"
                )
            return new
        old = results.read_about(self.folder)
        _same(self.folder, old, new)
        tasks = sorted({*old["tasks"], *new["tasks"]})
        skipped = {task: why for task, why in old["skipped"].items() if task not in new["tasks"]}
        return {
            **new,
            "suite": new["suite"] if old.get("suite") == new["suite"] else None,
            "tasks": tasks,
            "tags": {**old["tags"], **new["tags"]},
            "skipped": {**skipped, **new["skipped"]},
            "episodes": max(old["episodes"], new["episodes"]),
            "created": old.get("created", new["created"]),
        }

    def _write_about(self) -> None:
        with atomic_path(self.folder / ABOUT) as temporary:
            text = json.dumps(self.about, indent=1, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")


def _same(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuses to mix what cannot be compared."""
    was, now = old["policy"], new["policy"]
    if was.get("identity") != now["identity"]:
        same = was.get("name") == now["name"]
        other = f"another {now['name']}, which has changed since" if same else f"{was.get('name')}"
        raise NitrogenError(
            f"{folder} holds episodes of {other}: give another --out for {now['name']}"
        )
    if old["seed"] != new["seed"]:
        raise NitrogenError(
            f"{folder} was begun with --seed {old['seed']}, and {new['seed']} is given: give the "
            "same, or another --out"
        )
    for name in old.get("play", {}).keys() | new["play"].keys():
        values = [about.get("play", {}).get(name) for about in (old, new)]
        if values[0] != values[1]:
            raise NitrogenError(
                f"{folder} was begun with --{name} {values[0]}, and {values[1]} is given: give "
                "the same, or another --out"
            )
