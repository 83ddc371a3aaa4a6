"""What to start, and under which clock, display and inputs: the frozen description of a launch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from nitrogen_jax.sim.errors import LaunchError

MODES = ("lock", "real", "speed")
DISPLAYS = ("auto", "dummy", "offscreen", "xvfb")
MAX_SIDE = 8192
MAX_SPEED = 100
SEEDS = 2**63


@dataclass(frozen=True)
class Launch:
    """How a program is started.

    Attributes:
        command: the program and its arguments; a name without "/" is sought on PATH.
        size: (width, height) of the display, or of the window that the program is asked for.
        fps: frames per second of virtual time; one step lets at least 1 / fps s pass. A program
            that sleeps longer than that between frames keeps its own, slower rate.
        display: "dummy" (SDL without any graphics, software renderer), "offscreen" (SDL on EGL
            without a screen), "xvfb" (an X server of our own), ":N" (an X server that runs; its
            keyboard and mouse are shared by all who use it), or "auto" (xvfb where it is installed,
            else offscreen).
        pad: an SDL virtual pad is attached.
        seed: of all randomness that the program asks the system for; 0 to 2**63 - 1.
        env: variables on top of the environment that makes runs repeatable.
        home: a folder that is copied to a fresh HOME for each launch.
        home_files: more files of that HOME: relative path -> text.
        cwd: working folder; HOME where it is None.
        mode: "lock" (virtual time stands still but for granted frames), "real" (it runs like
            real time) or "speed" (`speed` times as fast, with a hard clamp).
        speed: of mode "speed", 0 to 100.
        boot_timeout: s of real time until the first frame.
        step_timeout: s of real time for each granted frame.
        aslr: keep address space randomisation, which makes orders that depend on addresses vary.
        settle: whenever time moves, wait until all threads of the program rest: for programs whose
            threads compute much, such as those that load levels beside their frames. It costs
            about 0.1 ms a frame, and as long as they compute.
        log: file that takes what the program prints; None: a file that is kept until the end, of
            which error messages quote the last lines.
    """

    command: tuple[str, ...]
    size: tuple[int, int] = (640, 480)
    fps: float = 60.0
    display: str = "auto"
    pad: bool = True
    seed: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    home: Path | None = None
    home_files: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    mode: str = "lock"
    speed: float = 1.0
    boot_timeout: float = 60.0
    step_timeout: float = 10.0
    aslr: bool = False
    settle: bool = False
    log: Path | None = None

    def __post_init__(self):
        # NOTE: a frozen dataclass can only be filled through object.__setattr__.
        for name in ("env", "home_files"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "command", _words(self.command))
        object.__setattr__(self, "size", _size(self.size))
        for name in ("home", "cwd", "log"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(value))
        _check_numbers(self)
        _check_names(self)


def _words(command: object) -> tuple[str, ...]:
    if isinstance(command, str) or not all(isinstance(word, str) for word in command):
        raise LaunchError(f"command is {command!r}, where a list of words is needed")
    if not command or not command[0] or any("\0" in word for word in command):
        raise LaunchError(f"command is {command!r}, where a program and its arguments are needed")
    return tuple(command)


def _size(size: object) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in size)
    except (TypeError, ValueError):
        width = height = 0
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise LaunchError(
            f"size is {size!r}, where (width, height) of 1 to {MAX_SIDE} pixels is needed"
        )
    return width, height


def _check_numbers(launch: Launch) -> None:
    limits = {
        "fps": (0.1, 10_000),
        "boot_timeout": (0.01, 86_400),
        "step_timeout": (0.01, 86_400),
    }
    for name, (low, high) in limits.items():
        value = getattr(launch, name)
        if not (math.isfinite(value) and low <= value <= high):
            raise LaunchError(f"{name} is {value}, where {low} to {high} is possible")
    if isinstance(launch.seed, bool) or not 0 <= launch.seed < SEEDS:
        raise LaunchError(f"seed is {launch.seed}, where 0 to 2**63 - 1 is possible")
    if launch.seed != int(launch.seed):
        raise LaunchError(f"seed is {launch.seed}, where a whole number is needed")


def check_mode(mode: str, speed: float) -> None:
    """Refuses unknown modes and speeds outside of 0 to 100."""
    if mode not in MODES:
        raise LaunchError(f"mode {mode!r} is not one of {', '.join(MODES)}")
    if not (math.isfinite(speed) and 0 <= speed <= MAX_SPEED):
        raise LaunchError(f"speed is {speed}, where 0 to {MAX_SPEED} is possible")


def _check_names(launch: Launch) -> None:
    check_mode(launch.mode, launch.speed)
    if launch.display not in DISPLAYS and not re.fullmatch(r"[\w.-]*:\d+(\.\d+)?", launch.display):
        raise LaunchError(
            f"display {launch.display!r} is not one of {', '.join(DISPLAYS)} or an X display "
            'such as ":0"'
        )
    for name in launch.home_files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise LaunchError(f"home_files: {name!r} is not a path inside of HOME")
    for name, value in launch.env.items():
        if not name or "=" in name or "\0" in name + value:
            raise LaunchError(f"env: {name!r}={value!r} cannot be an environment variable")
