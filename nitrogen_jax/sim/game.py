"""How one unmodified game is found, started, brought into play and played with a pad: as data."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.extras import install_command
from nitrogen_jax.files import atomic_path
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad, button_set
from nitrogen_jax.sim.bindings import Bindings

# Debian keeps games in folders of their own, which are not on everybody's PATH.
GAME_FOLDERS = ("/usr/games", "/usr/local/games")
DISPLAYS = ("dummy", "offscreen", "xvfb")
MOST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Setup:
    """What a game is started with, for those fields of `Game` that depend on it.

    Attributes:
        program: the path of the game's program.
        size: (width, height) of its window.
        level: one of the game's levels.
        seed: of the episode, 0 to MOST_SEED.
        fps: frames a second of game time.
    """

    program: str
    size: tuple[int, int]
    level: str
    seed: int
    fps: float


@dataclass(frozen=True)
class Press:
    """A part of a start macro: what is held for how long.

    Attributes:
        seconds: of game time.
        buttons: of the pad, as in `gamepad.BUTTONS`; START, BACK and GUIDE may be used here.
        left, right: the sticks, y down.
        keys: X names of keys held beside the pad, for games under an X display.
    """

    seconds: float
    buttons: tuple[str, ...] = ()
    left: tuple[float, float] = (0.0, 0.0)
    right: tuple[float, float] = (0.0, 0.0)
    keys: tuple[str, ...] = ()

    def __post_init__(self):
        button_set(self.buttons)
        if not self.seconds > 0:
            raise NitrogenError(f"a press lasts {self.seconds} s, where more than 0 is needed")

    @property
    def pad(self) -> Pad:
        """The pad, of shape ()."""
        buttons = np.zeros(NUM_BUTTONS, bool)
        buttons[[BUTTON_INDEX[name] for name in self.buttons]] = True
        return Pad(buttons, self.left, self.right)

    def frames(self, fps: float) -> int:
        """How many frames it lasts, one at least."""
        return max(1, round(self.seconds * fps))


def _nothing(setup: Setup) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Game:
    """One game.

    Attributes:
        slug: its name on the command line and in file names, such as "frozen-bubble".
        title: its name for people.
        name: its part of the registered id, NitroGen/<name>-v0.
        packages: apt packages, the one that holds the program first.
        program: what is looked for on PATH and in GAME_FOLDERS.
        set_id: the program runs as another user or group, into which nothing can be loaded: a
            copy without that bit, in the cache, is started instead.
        needs: further files that must be there, such as a level.
        levels: names that `command` knows, the default one first.
        command: the words that start it, the program included.
        environment: of the process, beside the simulator's own.
        home: files of a fresh home folder: path in it -> text.
        display: the cheapest of DISPLAYS that it runs on.
        window: (width, height) that it draws at where nothing else is asked for.
        fps: frames a second that it is made for.
        begun: what it has printed when it is ready for the macro, "" if nothing is waited for.
        start: the macro from the first frame into play, at the end of which an episode begins.
        same_as: button -> buttons that are pressed along with it, for a game that cannot bind
            the first one, such as {"RIGHT_TRIGGER": ("RIGHT_SHOULDER",)}.
        bindings: the pad on keyboard and mouse, under an X display; None: it reads an SDL pad.
        script: presses that play it well enough to see something, over and over.
        first_run: frames for which it runs once, before the first episode on this machine, to
            make files of its own that are the same for all; 0 if it makes none that matter.
        boot_timeout, step_timeout: seconds of real time.
        repeats: whether the same seed and actions give the same frames, bit by bit.
        notes: what somebody who plays or judges it should know.
    """

    slug: str
    title: str
    name: str
    packages: tuple[str, ...]
    program: str
    levels: tuple[str, ...]
    command: Callable[[Setup], Sequence[str]]
    needs: tuple[str, ...] = ()
    set_id: bool = False
    environment: Callable[[Setup], Mapping[str, str]] = _nothing
    home: Callable[[Setup], Mapping[str, str]] = _nothing
    display: str = "dummy"
    window: tuple[int, int] = (640, 480)
    fps: float = 60.0
    begun: str = ""
    start: tuple[Press, ...] = ()
    same_as: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bindings: Bindings | None = None
    script: tuple[Press, ...] = ()
    first_run: int = 0
    boot_timeout: float = 60.0
    step_timeout: float = 10.0
    repeats: bool = True
    notes: str = ""

    def __post_init__(self):
        for one in (self.same_as, *self.same_as.values()):
            button_set(one)
        if self.display not in DISPLAYS:
            raise NitrogenError(
                f"game {self.slug}: display {self.display!r} is not one of {', '.join(DISPLAYS)}"
            )
        if self.typed and self.display != "xvfb":
            raise NitrogenError(
                f"game {self.slug}: keys need the display xvfb, where {self.display} is given"
            )

    @property
    def env_id(self) -> str:
        """Its id in Gymnasium's registry."""
        return f"NitroGen/{self.name}-v0"

    @property
    def install(self) -> str:
        """The line that installs it on Debian and Ubuntu."""
        return f"sudo apt-get install -y {' '.join(self.packages)}"

    def find(self) -> str | None:
        """The path of its program; None where it is not installed."""
        path = os.pathsep.join([os.environ.get("PATH", ""), *GAME_FOLDERS])
        return shutil.which(self.program, path=path)

    def missing(self) -> str | None:
        """What is not there, as a sentence; None where it can be played."""
        if self.find() is None:
            return f"{self.title} is not installed: {self.install}"
        lacking = [file for file in self.needs if not Path(file).exists()]
        if lacking:
            return f"{self.title} lacks {lacking[0]}: {self.install}"
        if self.typed and importlib.util.find_spec("Xlib") is None:
            return f"{self.title} needs keys typed, which takes Xlib: {install_command('sim')}"
        return None

    @property
    def typed(self) -> bool:
        """Whether keys are pressed, to start it or to play it."""
        return self.bindings is not None or any(press.keys for press in self.start)

    def setup(
        self,
        size: tuple[int, int] | None = None,
        level: str | None = None,
        seed: int = 0,
        fps: float | None = None,
    ) -> Setup:
        """What it is started with, checked; NitrogenError where it is not installed."""
        lacking = self.missing()
        if lacking:
            raise NitrogenError(lacking)
        program = self.find() or ""
        return Setup(
            program=plain_copy(program) if self.set_id else program,
            size=self.window if size is None else size,
            level=self.check_level(level),
            seed=check_seed(seed),
            fps=self.fps if fps is None else fps,
        )

    def check_level(self, level: str | None) -> str:
        """The level, or the default one for None; NitrogenError with the nearest names."""
        if level is None:
            return self.levels[0]
        return known_level(level, self.levels, self.slug)

    def pressed_along(self, pad: Pad) -> Pad:
        """A pad () with the buttons of `same_as`."""
        buttons = pad.pressed.copy()
        for source, along in self.same_as.items():
            if pad.pressed[BUTTON_INDEX[source]]:
                buttons[[BUTTON_INDEX[name] for name in along]] = True
        return Pad(buttons, pad.left, pad.right)


def settings_text(settings: Mapping[str, object], line: str = "{} = {}") -> str:
    """A file of settings, one a line, as `line` puts a name and its value."""
    return "".join(f"{line.format(name, value)}\n" for name, value in settings.items())


def keys_in_turn(*keys: str, pause: float) -> tuple[Press, ...]:
    """One key after the other, as in a menu, with seconds between them in which it answers."""
    return tuple(press for key in keys for press in (Press(0.1, keys=(key,)), Press(pause)))


def plain_copy(program: str) -> str:
    """A copy of a program without the bits that make it run as somebody else, in the cache."""
    info = os.stat(program)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"{Path(program).name}-{info.st_size}-{info.st_mtime_ns}"
    copy = base / "nitrogen_jax" / "programs" / name
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic_path(copy) as temporary:
            shutil.copyfile(program, temporary)
            temporary.chmod(0o755)
    return str(copy)


def known_level(level: str, levels: Sequence[str], slug: str) -> str:
    """A level that is one of them; NitrogenError with the nearest names."""
    import difflib

    if level in levels:
        return level
    near = difflib.get_close_matches(str(level), levels, n=3, cutoff=0.4) or list(levels[:5])
    raise NitrogenError(f"{slug} has no level {level!r}: perhaps {', '.join(near)}")


def check_seed(seed: int) -> int:
    """A seed that every game can take."""
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed <= MOST_SEED:
        raise NitrogenError(f"seed is {seed!r}, where a whole number of 0 to {MOST_SEED} is needed")
    return int(seed)
