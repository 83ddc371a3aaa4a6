"""Compiles the shim and the guard when they are first needed, and keeps them in the user's cache.

The names of the files tell the sources, the compiler and the C library: another of any is another
file. Processes that compile at the same time each write and rename a file of their own.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from nitrogen_jax import files, native
from nitrogen_jax.sim.errors import LaunchError

FOLDER = Path(__file__).with_name("shim")
GUARD = "guard.c"
STRICT = ("-Wall", "-Wextra", "-Werror")
FLAGS = ("-std=gnu11", "-O2", "-pthread")
SHIM_FLAGS = ("-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-z,now")


class Built(NamedTuple):
    """Paths of what was compiled."""

    shim: Path
    guard: Path


def find_compiler() -> list[str] | None:
    """The command that compiles C: $CC, else the first that is on PATH."""
    return native.find_compiler("CC", ("cc", "gcc", "clang"))


def sources() -> list[Path]:
    """The shim's files of C, without the guard's."""
    return sorted(path for path in FOLDER.glob("*.c") if path.name != GUARD)


def built() -> Built:
    """The shim and the guard, compiled now if they were not before."""
    if sys.platform != "linux":
        raise LaunchError(f"games are run on Linux only, and this is {platform.system()}")
    return _built(tuple(find_compiler() or ()), native.cache_folder())


@functools.lru_cache(maxsize=4)
def _built(compiler: tuple[str, ...], cache: Path) -> Built:
    if not compiler:
        raise LaunchError(
            "no C compiler was found (CC, cc, gcc, clang), which the simulator needs once: "
            "apt install gcc libc6-dev"
        )
    if set(" :") & set(str(cache)):
        raise LaunchError(
            f"the cache folder {cache} has a space or a colon in its path, with which nothing can "
            "be preloaded: set XDG_CACHE_HOME to another folder"
        )
    try:
        mark = fingerprint(compiler)
        paths = Built(cache / f"ngsim-{mark}.so", cache / f"ngsim-guard-{mark}")
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not paths.shim.exists():
            compile_to(paths.shim, compiler, (*FLAGS, *SHIM_FLAGS), sources(), ("-ldl",))
        if not paths.guard.exists():
            compile_to(paths.guard, compiler, FLAGS, [FOLDER / GUARD])
    except OSError as error:
        raise LaunchError(f"cannot keep the compiled simulator in {cache}: {error}") from None
    except subprocess.SubprocessError as error:
        raise LaunchError(f"cannot compile the simulator: {error}") from None
    return paths


def compile_to(
    path: Path,
    compiler: tuple[str, ...],
    flags: tuple[str, ...],
    inputs: list[Path],
    libraries: tuple[str, ...] = (),
) -> None:
    """Compiles and links to `path`, which is there in full or not at all."""
    with files.atomic_path(path) as temporary:
        every = (*flags, *native.flags_of_the_user("CFLAGS"))
        done = native.run([*compiler, *every, *map(str, inputs), "-o", str(temporary), *libraries])
        if done.returncode != 0:
            raise LaunchError(
                f"the compiler {compiler[0]} cannot compile the simulator (are the headers of the "
                f"C library there? apt install libc6-dev): {done.stderr.strip()[-2000:]}"
            )


def fingerprint(compiler: tuple[str, ...]) -> str:
    """Of all that decides what comes out of the compiler and whether it runs here."""
    parts = (
        *(path.name + path.read_text() for path in sorted(FOLDER.glob("*.[ch]"))),
        shlex.join(compiler),
        native.run([*compiler, "--version"]).stdout,
        repr((FLAGS, SHIM_FLAGS, native.flags_of_the_user("CFLAGS"))),
        " ".join((*platform.libc_ver(), platform.machine())),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
