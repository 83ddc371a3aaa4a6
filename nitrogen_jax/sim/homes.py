"""What games write on their first start and would write again: made once, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from nitrogen_jax.files import atomic_path
from nitrogen_jax.sim.game import Game
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.session import Session


def cache_folder() -> Path:
    """Where templates of home folders are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nitrogen_jax" / "homes"


def template(game: Game, display: str) -> Path | None:
    """The home folder that each launch gets a copy of; made now if it is not there.

    None for a game that makes no files that matter.
    """
    if not game.first_run:
        return None
    folder = cache_folder() / f"{game.slug}-{_fingerprint(game, display)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(game, display, folder)
    return folder


def _make(game: Game, display: str, folder: Path) -> None:
    setup = game.setup()
    launch = Launch(
        command=tuple(game.command(setup)),
        size=setup.size,
        fps=setup.fps,
        display=display,
        env=game.environment(setup),
        home_files=game.home(setup),
        boot_timeout=max(game.boot_timeout, 120.0),
        step_timeout=max(game.step_timeout, 120.0),
    )
    with Session(launch) as session:
        session.step(game.first_run)
        with atomic_path(folder) as temporary:
            # NOTE: sockets and the like of the running game are no part of a template.
            shutil.copytree(session.home, temporary, symlinks=True, ignore=_special)


def _special(folder: str, names: list[str]) -> set[str]:
    paths = {name: Path(folder) / name for name in names}
    return {name for name, path in paths.items() if not (path.is_file() or path.is_dir())}


def _fingerprint(game: Game, display: str) -> str:
    """Changes with the program and with how it is started."""
    setup = game.setup()
    info = os.stat(setup.program)
    said = (list(game.command(setup)), dict(game.home(setup)), dict(game.environment(setup)))
    parts = (said, display, game.first_run, info.st_size, info.st_mtime_ns)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
