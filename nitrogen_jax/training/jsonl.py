"""A run's log as lines of JSON: one for each logged step, each validation and each event.

    {"kind": "train", "step": 20, "time": "2026-01-31T12:00:00.123Z", "loss": 0.51, ...}

`kind` is "train", "validation" or "event"; `step` counts updates that were applied. Metrics may be
nested. JSON knows neither NaN nor infinities: both are written as null.
"""

from __future__ import annotations

import datetime
import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from nitrogen_jax import files
from nitrogen_jax.errors import NitrogenError

Kind = Literal["train", "validation", "event"]
FIXED = ("kind", "step", "time")  # what every line has

log = logging.getLogger(__name__)


class Writer:
    """Appends lines to a file, each at once.

    A disk that is full must not end a training: the first line that cannot be written is warned
    about, and writing goes on as soon as it works again.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        """Opens the log of a run that has applied `step` updates: lines of later ones go.

        A run that was killed has logged steps after its last checkpoint, which are done again.
        """
        keep_until(path, step)
        self._path = path
        # NOTE: unbuffered, so that what could not be written does not come again later.
        self._file = path.open("ab", buffering=0)
        self._failed = False

    def write(self, kind: Kind, step: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """Appends one line and returns what it says."""
        taken = [name for name in FIXED if name in values]
        if taken:
            raise ValueError(f"metrics must not be called {', '.join(taken)}: every line has those")
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = {"kind": kind, "step": int(step), "time": now.replace("+00:00", "Z")}
        line |= plain(values)
        text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
        data = text.encode("utf-8", "backslashreplace")
        try:
            # After a failure there may be half a line, which this newline ends.
            data = b"\n" + data if self._failed else data
            if self._file.write(data) != len(data):
                raise OSError("the disk is full")
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("cannot write %s: %s; training goes on", self._path, error)
            self._failed = True
        return line

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """All lines in order; what is no line of a log, such as a half-written one, is left out."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NitrogenError(f"cannot read the log {path}: {error.strerror}") from None
    rows = text.split("\n")
    lines = [_parsed(row) for row in rows]
    bad = [i for i, (row, line) in enumerate(zip(rows, lines, strict=True), 1) if row and not line]
    if bad and bad != [len(rows)]:  # a run that was killed leaves half of a last line
        log.warning("%s: line %d is no line of a log: left out", path, bad[0])
    return [line for line in lines if line]


def keep_until(path: Path, step: int) -> None:
    """Drops lines of steps after `step`, and all that is no line, from a log if there is one."""
    if not path.exists():
        return
    text = path.read_bytes()
    rows = text.split(b"\n")
    parsed = [_parsed(row.decode("utf-8", "replace")) for row in rows]
    kept = [
        row + b"\n" for row, line in zip(rows, parsed, strict=True) if line and line["step"] <= step
    ]
    if b"".join(kept) != text:
        with files.atomic_path(path) as temporary:
            temporary.write_bytes(b"".join(kept))


def plain(value: Any) -> Any:
    """Any metric as what JSON can say: scalars of NumPy and JAX as numbers, non-finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # an array, which may lie on a device
        return plain(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, float | None]:
    """Nested metrics as {"buttons/micro_f1": number or None}; other values are left out."""
    found: dict[str, float | None] = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}/")
        elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            found[path] = value
    return found


def metrics(line: Mapping[str, Any]) -> dict[str, float | None]:
    """The flat metrics of one line, with those that were not finite."""
    return flat({name: value for name, value in line.items() if name not in FIXED})


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The flat metrics of one line that are numbers."""
    return {name: value for name, value in metrics(line).items() if value is not None}


def _parsed(row: str) -> dict[str, Any] | None:
    try:
        # What other programs write for NaN and infinities is no JSON, but Python would take it.
        line = json.loads(row, parse_constant=lambda word: None)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(line, dict) and type(line.get("step")) is int
    return line if whole and isinstance(line.get("kind"), str) else None
