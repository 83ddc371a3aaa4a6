"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from nitrogen_jax.errors import NitrogenError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path` (same suffix); renames it on success, deletes it else.

    Works for a file and for a folder. Ctrl-C counts as failure.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise NitrogenError(f"cannot write {path}: the folder {path.parent} does not exist")
    # NOTE: the suffix stays last because some writers choose their format by it.
    temporary, old = (
        path.with_name(f".{path.stem}.{word}-{os.getpid()}{path.suffix}") for word in ("tmp", "old")
    )
    remove(temporary)
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            os.replace(path, old)  # a folder cannot be put over a folder that holds anything
        os.replace(temporary, path)
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)  # stopped between the two
        remove(temporary)
        remove(old)


def remove(path: Path) -> None:
    """Deletes a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
