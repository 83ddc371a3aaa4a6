"""What tests of programs need: the processes that they start, and waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def below(pid: int) -> set[int]:
    """All processes that descend from one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().rsplit(")", 1)
        except OSError:
            continue
        if rest.split()[0] not in "ZX":
            parents[int(name.split()[0])] = int(rest.split()[1])
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def until(true: Callable[[], object], seconds: float = 90.0) -> None:
    """Waits for something to come true; fails where it does not."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it does not come true"
        time.sleep(0.02)
