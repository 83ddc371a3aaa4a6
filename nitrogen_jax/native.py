"""Compiling C and C++ of the package on the user's machine, and where the results are kept."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

TIMEOUT_S = 120


def find_compiler(variable: str, names: Sequence[str]) -> list[str] | None:
    """The command of a compiler: what the environment variable says, else the first on PATH.

    Args:
        variable: CC or CXX.
        names: of compilers, in order of preference.
    """
    given = shlex.split(os.environ.get(variable, ""))
    for command in [given] if given else [[name] for name in names]:
        found = shutil.which(command[0])
        if found:
            return [found, *command[1:]]
    return None


def cache_folder() -> Path:
    """Where compiled code is kept."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given else Path.home() / ".cache") / "nitrogen_jax"


def flags_of_the_user(variable: str) -> tuple[str, ...]:
    """The options in CFLAGS or CXXFLAGS."""
    return tuple(shlex.split(os.environ.get(variable, "")))


def processor() -> str:
    """Model and instruction sets: a home folder may be shared by machines that differ in them."""
    names = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        first = platform.processor()
    lines = [line for line in first.splitlines() if line.partition("\t")[0].strip() in names]
    return "\n".join([platform.system(), platform.machine(), *lines])


def run(command: list[str], timeout: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Runs a compiler; its output is kept."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
