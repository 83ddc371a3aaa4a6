"""Programs of which is known what lies where in their memory, by the SHA-256 of their file."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.memory import Memory

Layout = TypeVar("Layout")


def known(memory: Memory, name: str, layouts: Mapping[str, Layout]) -> tuple[int, Layout]:
    """Where a file is mapped, and what is known of its build; NitrogenError for another one.

    Args:
        name: of the file, without folders: the program or one of its libraries.
        layouts: SHA-256 of the file -> what lies where.
    """
    mapped = [region for region in memory.regions() if Path(region.name).name == name]
    if not mapped:
        raise NitrogenError(f"process {memory.pid} has no {name} in its memory")
    path = mapped[0].name
    info = os.stat(path)
    digest = _digest(path, info.st_size, info.st_mtime_ns)
    if digest not in layouts:
        raise NitrogenError(
            f"{path} is a build of which is not known what lies where in its memory (SHA-256 "
            f"{digest[:16]}...): the one of Debian 12 is needed"
        )
    return min(region.begin for region in mapped), layouts[digest]


@functools.lru_cache
def _digest(path: str, size: int, changed: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
