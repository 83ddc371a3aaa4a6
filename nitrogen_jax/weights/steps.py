"""A folder of checkpoints named by their steps: which are there, and which are whole.

A checkpoint is sealed when all its files are written: a list of them lies beside them from then
on. So a glance at names and sizes tells a whole one from one that was cut off, copied by half or
damaged since. Only small files, such as metadata and manifests, are read for that.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

SEAL = "files.json"  # {"relative/name": [bytes, CRC-32 or null where the file is large]}
FOLDER = "checkpoints"  # the name of such a folder in the folder of a run
_SMALL = 1 << 20  # bytes; larger files are known by their size alone


def numbered(folder: Path) -> dict[int, Path]:
    """step -> its folder, whole or not, ascending."""
    try:
        inside = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    named = [path for path in inside if re.fullmatch(r"0|[1-9][0-9]{0,17}", path.name)]
    return {int(path.name): path for path in sorted(named, key=lambda p: int(p.name))}


def whole(folder: Path) -> dict[int, Path]:
    """step -> its folder, of those that `damage` finds nothing wrong with, ascending."""
    return {step: path for step, path in numbered(folder).items() if damage(path) is None}


def seal(checkpoint: Path) -> None:
    """Writes the list of the files of a checkpoint that is complete."""
    files = {
        path.relative_to(checkpoint).as_posix(): _measured(path)
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and path != checkpoint / SEAL
    }
    (checkpoint / SEAL).write_text(json.dumps({"files": files}), encoding="utf-8")


def damage(checkpoint: Path) -> str | None:
    """What is wrong with the files of a sealed checkpoint, in a few words; None: nothing."""
    try:
        files = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))["files"]
        files = {str(name): (int(size), crc) for name, (size, crc) in files.items()}
    except OSError as error:
        return f"its list of files, {SEAL}, cannot be read: {error.strerror}"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return f"its list of files, {SEAL}, is broken"
    if not files or any("\0" in name for name in files):
        return f"its list of files, {SEAL}, is empty or broken"
    for name, (size, crc) in files.items():
        path = checkpoint / name
        try:
            found = path.stat().st_size
            if found != size:
                return f"its file {name} has {found:,} bytes, where {size:,} were written"
            if crc is not None and zlib.crc32(path.read_bytes()) != crc:
                return f"its file {name} has changed since it was written"
        except FileNotFoundError:
            return f"its file {name} is missing"
        except OSError as error:
            return f"its file {name} cannot be read: {error.strerror}"
    return None


def _measured(path: Path) -> tuple[int, int | None]:
    size = path.stat().st_size
    return size, zlib.crc32(path.read_bytes()) if size <= _SMALL else None
