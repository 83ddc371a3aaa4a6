"""The folder of a run: made once, taken up with --resume, never shared by accident."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nitrogen_jax import config as configs
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.training.agreement import from_first
from nitrogen_jax.training.train_config import TrainConfig

CONFIG, RESULT, CHECKPOINTS = "config.json", "result.json", "checkpoints"


def open_folder(folder: Path, resume: bool, main: bool) -> None:
    """Makes the folder; one that holds anything is refused unless it is to be resumed.

    For all processes together.
    """
    problem = None
    if main:
        try:
            if folder.is_file():
                problem = f"{folder} is a file, where a folder for the run is needed"
            elif folder.is_dir() and any(folder.iterdir()) and not resume:
                problem = (
                    f"{folder} exists already: --resume takes it up, another --out begins anew"
                )
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = problem or f"cannot write to {folder}: {error.strerror or error}"
    problem = from_first(problem)
    if problem:
        raise NitrogenError(problem)


def finished(folder: Path, steps: int, main: bool) -> dict[str, Any] | None:
    """What result.json says, if so many steps are done; one of fewer steps is removed.

    For all processes together.
    """
    found, path = None, folder / RESULT
    if main and path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            found = {"step": int(found["step"]), "metrics": dict(found["metrics"])}
        except (ValueError, LookupError, TypeError):
            found = None
        if found is None or found["step"] < steps:
            found = path.unlink()
    return from_first(found)


def write_config(folder: Path, config: TrainConfig) -> list[str]:
    """Writes config.json and returns how it differs from the one that was there."""
    path, new = folder / CONFIG, plain(config)
    lines = []
    if path.is_file():
        try:
            lines = differences(json.loads(path.read_text(encoding="utf-8")), new)
        except ValueError:
            lines = [f"{path} could not be read and was written anew"]
    write_json(path, new)
    return lines


def plain(config: TrainConfig) -> dict[str, Any]:
    """The config as JSON has it, with the kinds of task and data."""
    data = configs.to_dict(config)
    data["task"] = {"kind": type(config.task).__name__, **data["task"]}
    data["data"] = {"kind": type(config.data).__name__, **data["data"]}
    return json.loads(json.dumps(data, default=str))


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """One line for each value that differs: "optimizer.rate was 0.001 and is 0.0001"."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{path} was {old!r} and is {new!r}"]


def write_json(path: Path, data: Any) -> None:
    """Writes a JSON file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
