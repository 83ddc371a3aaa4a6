"""Where a program draws: nowhere, an off-screen context, an X server of our own, or one that runs.

Each choice is a set of environment variables; an X server of our own is a process as well.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from nitrogen_jax.sim.build import Built
from nitrogen_jax.sim.errors import LaunchError
from nitrogen_jax.sim.guard import Guarded, wait_readable

START_S = 30.0
GRACE_S = 2.0  # an X server removes its lock files only if it is asked to end
INSTALL = "apt install xvfb libgl1-mesa-dri"

_NO_SCREEN = MappingProxyType({"DISPLAY": "", "WAYLAND_DISPLAY": ""})


class Display(NamedTuple):
    """A display that is ready.

    Attributes:
        env: variables for the program; an empty value takes the variable away.
        name: of the X display, None where there is none.
        server: the X server's process, where it is ours.
    """

    env: Mapping[str, str]
    name: str | None = None
    server: Guarded | None = None

    def close(self) -> None:
        """Ends the X server, if it is ours."""
        if self.server is not None:
            self.server.close()


def open_display(choice: str, size: tuple[int, int], built: Built) -> Display:
    """Makes the display of `Launch.display` ready; size is (width, height) of a new screen."""
    if choice == "auto":
        choice = "xvfb" if shutil.which("Xvfb") else "offscreen"
    if choice == "dummy":
        driver = {"SDL_VIDEODRIVER": "dummy", "SDL_RENDER_DRIVER": "software"}
        return Display({**_NO_SCREEN, **driver})
    if choice == "offscreen":
        driver = {"SDL_VIDEODRIVER": "offscreen", "EGL_PLATFORM": "surfaceless"}
        return Display({**_NO_SCREEN, **driver})
    if choice == "xvfb":
        return _start_xvfb(size, built)
    _check_answers(choice)
    # Its key, if it wants one, lies in the user's home and not in the fresh one.
    key = os.environ.get("XAUTHORITY") or str(Path.home() / ".Xauthority")
    return Display({**_x_variables(choice), "XAUTHORITY": key}, choice)


def _x_variables(name: str) -> dict[str, str]:
    return {"DISPLAY": name, "WAYLAND_DISPLAY": "", "SDL_VIDEODRIVER": "x11"}


def _start_xvfb(size: tuple[int, int], built: Built) -> Display:
    program = shutil.which("Xvfb")
    if program is None:
        raise LaunchError(
            f"display xvfb needs the program Xvfb, which is not installed: {INSTALL} (or take "
            'display "dummy" or "offscreen", where the game draws with SDL 2)'
        )
    width, height = size
    ready, tell = os.pipe()
    output = os.open(os.devnull, os.O_WRONLY)
    # The server itself takes the first number that is free, so that two never want the same.
    words = ["Xvfb", "-displayfd", str(tell), "-screen", "0", f"{width}x{height}x24"]
    words += ["-nolisten", "tcp", "-noreset", "-dpi", "96"]
    words += ["-r", "-s", "0"]  # keys that repeat and screens that go dark do so in real time
    try:
        server = Guarded(
            *(built, Path(program), words, os.environ, Path("/"), output),
            grace=GRACE_S,
            pass_fds=(tell,),
        )
    finally:
        os.close(tell)
        os.close(output)
    try:
        number = _read_number(ready, server)
    except BaseException:
        server.close()
        raise
    finally:
        os.close(ready)
    return Display(_x_variables(f":{number}"), f":{number}", server)


def _read_number(file: int, server: Guarded) -> int:
    text, until = b"", time.monotonic() + START_S
    while b"\n" not in text and time.monotonic() < until:
        if wait_readable(file, 0.1):
            more = os.read(file, 64)
            if not more:
                break
            text += more
        server.poll()
        if server.code is not None:
            break
    if b"\n" not in text:
        how = f"it ended with code {server.code}" if server.code is not None else "it said nothing"
        raise LaunchError(f"Xvfb did not start: {how} (is /tmp/.X11-unix writable?)")
    return int(text)


def _check_answers(name: str) -> None:
    host, _, rest = name.rpartition(":")
    number = int(rest.partition(".")[0])
    try:
        if host in ("", "unix"):
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(5)
                link.connect(f"/tmp/.X11-unix/X{number}")
        else:
            socket.create_connection((host, 6000 + number), timeout=5).close()
    except OSError as error:
        raise LaunchError(
            f"no X server answers at display {name} ({error.strerror or error}): start one, or "
            'take display "xvfb", "dummy" or "offscreen"'
        ) from None
