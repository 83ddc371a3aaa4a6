"""Everything that a program needs before it runs, in order, and its start."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from nitrogen_jax.gamepad import decode, neutral
from nitrogen_jax.sim import build, environment, futex, program, shared, virtual_clock
from nitrogen_jax.sim.display import Display, open_display
from nitrogen_jax.sim.errors import LaunchError
from nitrogen_jax.sim.guard import Guarded
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.pad import sdl_state

LEAST_PIXELS = 1920 * 1080  # games open larger windows than they were asked for
LOG_BYTES = 64 * 1024


@dataclass(frozen=True)
class Running:
    """A program that was started, and what is held for it.

    Attributes:
        memory: shared with it.
        display: where it draws.
        log: descriptor of the file that takes what it prints.
        home: its HOME.
        guarded: its process.
    """

    memory: shared.Shared
    display: Display
    log: int
    home: Path
    guarded: Guarded

    def log_text(self) -> str:
        """The end of what was printed."""
        size = os.fstat(self.log).st_size
        return os.pread(self.log, LOG_BYTES, max(0, size - LOG_BYTES)).decode(errors="replace")


def start(launch: Launch, undo: ExitStack) -> Running:
    """Starts the program; `undo` takes all of it back, also what was done before an error."""
    built = build.built()
    shared.check_layout(built.shim)
    futex.check()
    path = program.find(launch.command[0], {**os.environ, **launch.env}, launch.cwd)
    if launch.cwd is not None and not launch.cwd.is_dir():
        raise LaunchError(f"working folder {launch.cwd} does not exist")
    width, height = launch.size
    memory = shared.Shared(4 * max(width * height, LEAST_PIXELS))
    undo.callback(memory.close)
    _prepare(memory, launch)
    display = open_display(launch.display, launch.size, built)
    undo.callback(display.close)
    log = _open_log(launch.log)
    undo.callback(os.close, log)
    home = environment.make_home(launch)
    undo.callback(shutil.rmtree, home, ignore_errors=True)
    guarded = Guarded(
        *(built, path, launch.command),
        environment.environment(launch, home, display.env, built.shim, memory.path),
        launch.cwd or home,
        log,
        home=home,
        fixed_addresses=not launch.aslr,
    )
    undo.callback(guarded.close)
    return Running(memory, display, log, home, guarded)


def _prepare(memory: shared.Shared, launch: Launch) -> None:
    page = memory.page
    virtual_clock.prepare(page, launch.fps)
    page["seed"], page["pad_wanted"] = launch.seed, launch.pad
    page["settle"] = launch.settle
    page["speed"], page["mode"] = launch.speed, virtual_clock.MODES[launch.mode]
    page["axes"], page["buttons"] = sdl_state(decode(neutral()))


def _open_log(path: Path | None) -> int:
    try:
        if path is None:
            with tempfile.TemporaryFile() as file:
                return os.dup(file.fileno())
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    except OSError as error:
        raise LaunchError(f"the log {path or 'file'} cannot be written: {error.strerror}") from None
