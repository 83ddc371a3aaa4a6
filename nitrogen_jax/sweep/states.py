"""How far each run of a sweep is, from what lies in its folder; and who may work in the sweep's."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path

FINISHED, FAILED, UNFINISHED, WAITING = "finished", "failed", "unfinished", "not started"
PLAN = "sweep.json"
LOGS = "logs"


def read_result(folder: Path) -> dict[str, Any] | None:
    """What a training left at its end; None while it has not come to it."""
    try:
        result = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        return None
    done = isinstance(result, dict) and result.get("state") == FINISHED
    return result if done else None


def state_of(folder: Path) -> str:
    """finished, unfinished or not started."""
    if read_result(folder) is not None:
        return FINISHED
    return UNFINISHED if folder.is_dir() else WAITING


def remember(out: Path, config: str) -> None:
    """Notes which config the sweep in `out` is of; raises if it is of another one."""
    path = out / PLAN
    if path.is_file():
        try:
            before = json.loads(path.read_text())["config"]
        except (ValueError, KeyError, TypeError) as error:
            raise NitrogenError(f"{path} is damaged: delete it") from error
        if Path(before).resolve() != Path(config).resolve():
            raise NitrogenError(f"{out} is a sweep of {before}: choose another --out")
        return
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"config": str(Path(config).resolve())}) + "\n")


@contextlib.contextmanager
def alone(out: Path) -> Iterator[int | None]:
    """Holds the folder for this process and those that inherit the descriptor that is yielded.

    So a sweep that was killed cannot be taken up again while its trainings are still running.
    """
    held = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NitrogenError(f"a sweep or one of its trainings is running in {out}") from error
        except OSError:
            yield None  # a file system without locks
        else:
            yield held
    finally:
        os.close(held)
