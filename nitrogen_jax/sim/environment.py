"""The environment that makes two runs of a program the same, and its fresh home folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from nitrogen_jax.sim.errors import LaunchError
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.program import search_path

RUNTIME = ".runtime"

# What differs between users and machines, or talks to services outside of the game.
_AWAY = (
    *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "SESSION_MANAGER", "DESKTOP_STARTUP_ID"),
    *("PULSE_SERVER", "PIPEWIRE_REMOTE", "XMODIFIERS", "GTK_IM_MODULE", "QT_IM_MODULE"),
    *("LANGUAGE", "SDL_VIDEODRIVER", "SDL_RENDER_DRIVER", "SDL_AUDIODRIVER"),
)

REPEATABLE = MappingProxyType(
    {
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        # Hashes that are not seeded by the system's randomness.
        "PERL_HASH_SEED": "0",
        "PYTHONHASHSEED": "0",
        # No sound card, whose clock is real.
        "SDL_AUDIODRIVER": "dummy",
        "ALSOFT_DRIVERS": "null",
        # Software rendering in one thread: the same pixels each time.
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "GALLIUM_DRIVER": "llvmpipe",
        "LP_NUM_THREADS": "1",
        "MESA_SHADER_CACHE_DISABLE": "true",
        # Nothing waits for a screen that is not there.
        "vblank_mode": "0",
        "__GL_SYNC_TO_VBLANK": "0",
        # A window without focus gets the pad's events as well.
        "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS": "1",
        "SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS": "0",
        # No message bus is started for a screen saver that is to be held off.
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "NO_AT_BRIDGE": "1",
    }
)


def make_home(launch: Launch) -> Path:
    """A new folder with a copy of the template and the files of the launch."""
    if launch.home is not None and not launch.home.is_dir():
        raise LaunchError(f"home template {launch.home} is not a folder")
    try:
        home = Path(tempfile.mkdtemp(prefix="nitrogen-sim-"))
    except OSError as error:
        raise LaunchError(f"no home folder can be made: {error}") from None
    try:
        if launch.home is not None:
            shutil.copytree(launch.home, home, symlinks=True, dirs_exist_ok=True)
            home.chmod(0o700)
        (home / RUNTIME).mkdir(mode=0o700, exist_ok=True)
        for name, text in launch.home_files.items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # not through a link of the template
            path.write_text(text)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(home, ignore_errors=True)
        raise LaunchError(f"the home folder cannot be filled: {error}") from None
    return home


def environment(
    launch: Launch, home: Path, display: Mapping[str, str], shim: Path, page: str
) -> dict[str, str]:
    """All variables of the program.

    Args:
        display: the display's variables; an empty value takes one away.
        page: path of the shared memory.
    """
    env = {name: value for name, value in os.environ.items() if name not in _AWAY}
    env |= REPEATABLE
    env |= display
    env |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": str(home / RUNTIME),
    }
    env |= launch.env
    env["PATH"] = search_path(env)
    preload = [str(shim), *filter(None, [env.get("LD_PRELOAD", "")])]
    # NOTE: it is the guard's child that gets LD_PRELOAD: the guard itself lives in real time.
    env.pop("LD_PRELOAD", None)
    env |= {"NGSIM_PRELOAD": ":".join(preload), "NGSIM_PAGE": page}
    return {name: value for name, value in env.items() if value or name in launch.env}
