"""The small test programs of `programs/`: compiled once for a run of tests, and what they tell.

Their frames carry numbers: pixel i of the first row is number i, 24 bits as red, green, blue.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.sim import build
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.session import Session

SOURCES = Path(__file__).with_name("programs")
NUMBERS = (
    *("frame", "clock_us", "presses", "releases", "down", "axis", "random", "worker", "wall"),
    "keys",
)
# Program -> its flags, and the Debian package of the headers that it needs.
NEEDS = {
    "waits": ([], "libc6-dev"),
    "sdl2": (["-I/usr/include/SDL2", "-D_REENTRANT", "-lSDL2", "-lGL"], "libsdl2-dev libgl-dev"),
    "sdl1": (["-I/usr/include/SDL", "-D_REENTRANT", "-lSDL"], "libsdl1.2-dev"),
    "glx": (["-lGL", "-lX11"], "libgl-dev libx11-dev"),
    "egl": (["-lEGL", "-lGLESv2"], "libegl-dev libgles-dev"),
}


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nitrogen-test-programs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _compile(name: str, static: bool) -> tuple[Path | None, str]:
    compiler = build.find_compiler()
    if compiler is None:
        return None, "needs a C compiler: apt install gcc"
    flags, package = NEEDS[name]
    path = _folder() / (f"{name}-static" if static else name)
    words = [*compiler, "-O1", "-pthread", str(SOURCES / f"{name}.c"), "-o", str(path), *flags]
    done = subprocess.run([*words, *["-static"] * static], capture_output=True, text=True)
    if done.returncode == 0:
        return path, ""
    missing = "No such file or directory" in done.stderr or "cannot find -l" in done.stderr
    assert missing, done.stderr
    return None, f"needs headers: apt install {package}"


def program(name: str, static: bool = False) -> Path:
    """The compiled program; the test is skipped where its headers are not installed."""
    path, reason = _compile(name, static)
    if path is None:
        pytest.skip(reason)
    return path


def need(*commands: str, package: str) -> None:
    """Skips the test where a program is not installed."""
    for command in commands:
        if shutil.which(command, path="/usr/bin:/bin:/usr/local/bin:/usr/games") is None:
            pytest.skip(f"needs {command}: apt install {package}")


def need_xvfb() -> None:
    """Skips the test where there is no X server, or nothing to talk to it."""
    need("Xvfb", package="xvfb")
    pytest.importorskip("Xlib", reason="needs python-xlib")


def launch(name: str = "sdl2", *words: str, **options) -> Launch:
    """A launch of a test program, on SDL's dummy display unless `options` say otherwise."""
    options = {"display": "dummy", "size": (64, 48), "boot_timeout": 60.0, **options}
    return Launch((str(program(name)), *words), **options)


def numbers(session: Session) -> dict[str, int]:
    """What the program told with its last frame."""
    row = session.frame()[0, : len(NUMBERS)].astype(np.int64)
    values = row[:, 0] << 16 | row[:, 1] << 8 | row[:, 2]
    return dict(zip(NUMBERS, values.tolist(), strict=True))


def pad(*names: str, left: tuple[float, float] = (0, 0)) -> Pad:
    """A pad with these buttons pressed."""
    buttons = np.zeros(NUM_BUTTONS, bool)
    buttons[[BUTTON_INDEX[name] for name in names]] = True
    return Pad(buttons, left, (0, 0))
