"""Compiles the C++ kernel on first use, and keeps it in the user's cache folder.

A kernel is an improvement, never a need: without a compiler, a folder to write to or a fitting
machine there is none, and the log says why.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shlex
import subprocess
from pathlib import Path

import jax
import jaxlib

from nitrogen_jax import files, native

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("rows_matmul.cc")
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-pthread")
# For this very processor. Compilers differ in how they are told, and some cannot be.
NATIVE = (("-march=native",), ("-mcpu=native",), ())
TIMEOUT_S = 120


def shared_object() -> Path | None:
    """The compiled kernel, compiled now if it was not before; None where that cannot be."""
    if os.name != "posix":
        return _none(f"it is not written for {platform.system()}")
    compiler = find_compiler()
    if compiler is None:
        return _none("no C++ compiler was found (CXX, c++, g++, clang++)")
    try:
        path = native.cache_folder() / f"rows_matmul-{_fingerprint(compiler)}.so"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _compile(compiler, path)
        return path
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        return _none(str(error))


def find_compiler() -> list[str] | None:
    """The command that compiles C++: $CXX, else the first that is on PATH."""
    return native.find_compiler("CXX", ("c++", "g++", "clang++"))


def _compile(compiler: list[str], path: Path) -> None:
    # NOTE: processes that do this at the same time each write and rename a file of their own.
    headers = ("-isystem", jax.ffi.include_dir())
    for tuned in NATIVE:
        with files.atomic_path(path) as temporary:
            flags = (*FLAGS, *tuned, *headers, *_flags_of_the_user())
            done = _run([*compiler, *flags, str(SOURCE), "-o", str(temporary)])
            if done.returncode == 0:
                return
            temporary.touch()  # what is renamed must exist
        path.unlink(missing_ok=True)
    raise RuntimeError(f"{compiler[0]} failed: {done.stderr.strip()[-2000:]}")


def _fingerprint(compiler: list[str]) -> str:
    """Of all that decides what comes out of the compiler and whether it runs here."""
    parts = (
        SOURCE.read_text(),
        shlex.join(compiler),
        _run([*compiler, "--version"]).stdout,
        repr((FLAGS, NATIVE, _flags_of_the_user())),
        _processor(),
        jax.__version__,
        jaxlib.__version__,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _flags_of_the_user() -> tuple[str, ...]:
    return native.flags_of_the_user("CXXFLAGS")


def _processor() -> str:
    return native.processor()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return native.run(command, TIMEOUT_S)


def _none(why: str) -> None:
    log.info("no kernel for products of few rows, XLA computes them: %s", why)
