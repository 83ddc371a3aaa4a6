"""Finding a program, and refusing those that nothing can be preloaded into, before they start."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

from nitrogen_jax.sim.errors import LaunchError

GAMES = ("/usr/local/games", "/usr/games")
_INTERPRETER = 3  # PT_INTERP: what loads a program's libraries
_DYNAMIC = 2
_MACHINES = {"x86_64": 62, "aarch64": 183, "riscv64": 243, "i686": 3, "ppc64le": 21}


def find(command: str, env: Mapping[str, str], cwd: Path | None = None) -> Path:
    """The program's file; names without "/" are sought on the PATH of `env`.

    Raises LaunchError where there is none, or where it cannot be run under the simulator.
    """
    if "/" in command:
        path = Path(cwd or ".") / command
        if not path.is_file():
            raise LaunchError(f"there is no program {path}")
        if not os.access(path, os.X_OK):
            raise LaunchError(f"{path} is not executable: chmod +x it, or name its interpreter")
    else:
        found = shutil.which(command, path=search_path(env))
        if found is None:
            raise LaunchError(f"program {command!r} is not on PATH: is the game installed?")
        path = Path(found)
    path = path.absolute()
    check(path)
    return path


def search_path(env: Mapping[str, str]) -> str:
    """PATH, and the folders of games, which are not on the PATH of every user."""
    given = env.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*given, *(folder for folder in GAMES if folder not in given)])


def check(path: Path) -> None:
    """Refuses set-user-ID, set-group-ID, static and foreign programs."""
    mode = path.stat().st_mode
    for bit, name in ((stat.S_ISUID, "set-user-ID"), (stat.S_ISGID, "set-group-ID")):
        if mode & bit:
            raise LaunchError(
                f"{path} is a {name} program, into which the system preloads nothing: run a copy, "
                f"which has no such bit (cp {path} FOLDER/, and give the copy as the command)"
            )
    if _has_capabilities(path):
        raise LaunchError(
            f"{path} has file capabilities, so that the system preloads nothing into it: run a "
            f"copy, which has none (cp {path} FOLDER/, and give the copy as the command)"
        )
    try:
        with path.open("rb") as file:
            _check_elf(path, file.read(64 * 1024))
    except PermissionError:
        raise LaunchError(f"{path} cannot be read, so that nothing can be preloaded") from None


def _has_capabilities(path: Path) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def _check_elf(path: Path, head: bytes) -> None:
    if head[:4] != b"\x7fELF":
        return  # a script: its interpreter is what matters, and that is a program of the system
    wide = head[4] == 2
    if wide != (sys.maxsize > 2**32):
        raise LaunchError(
            f"{path} is a {64 if wide else 32}-bit program, and this Python and the shim are "
            f"{32 if wide else 64}-bit: take the game's build for this machine"
        )
    machine = struct.unpack_from("<H", head, 18)[0]
    if machine != _MACHINES.get(platform.machine(), machine):
        raise LaunchError(f"{path} is built for another processor than {platform.machine()}")
    if not {_INTERPRETER, _DYNAMIC} <= _segments(head, wide):
        raise LaunchError(
            f"{path} is linked statically, so that nothing can be preloaded into it: take a build "
            "of the game that is linked to shared libraries"
        )


def _segments(head: bytes, wide: bool) -> set[int]:
    offset = struct.unpack_from("<Q" if wide else "<I", head, 32 if wide else 28)[0]
    size, number = struct.unpack_from("<HH", head, 54 if wide else 42)
    places = range(offset, offset + size * number, size or 1)
    return {struct.unpack_from("<I", head, at)[0] for at in places if at + 4 <= len(head)}
