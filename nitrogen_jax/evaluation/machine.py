"""What an evaluation runs on: for its report, and to tell why two of them differ."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from nitrogen_jax import __version__
from nitrogen_jax.sim import catalogue
from nitrogen_jax.sim.adapters import Adapter

LIBRARIES = ("numpy", "opencv-python-headless", "gymnasium")
# Of the games that come from pip; module -> distribution.
DISTRIBUTIONS = {"vizdoom": "vizdoom", "ale_py": "ale-py", "stable_retro": "stable-retro"}


def machine() -> dict[str, str | int]:
    """The machine, in words and numbers."""
    found: dict[str, str | int] = {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count() or 1,
    }
    with contextlib.suppress(OSError, ValueError):
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["memory_gib"] = round(pages / 2**30)
    return found


def processor() -> str:
    """Its name, as the kernel tells it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def versions(games: Iterable[str]) -> dict[str, str]:
    """Of this package, what it needs, and what the games with these slugs are made of."""
    found = {"nitrogen_jax": __version__, "python": platform.python_version()}
    packages: list[str] = []
    wanted = list(LIBRARIES)
    for slug in sorted(set(games)):
        game = catalogue.get(slug)
        if not isinstance(game, Adapter):
            packages += game.packages
        elif game.module in DISTRIBUTIONS:
            wanted.append(DISTRIBUTIONS[game.module])
    for name in wanted:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found | debian(packages)


def debian(packages: list[str]) -> dict[str, str]:
    """Versions of those of Debian's packages that are installed; none on other systems."""
    if not packages or shutil.which("dpkg-query") is None:
        return {}
    words = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n", *packages]
    try:
        ran = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = (line.split() for line in ran.stdout.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2}
