"""The games, one file each: a module of this folder with a `GAME`, found by its name.

The slug "frozen-bubble" is the file frozen_bubble.py. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sim.game import Game


def slugs() -> tuple[str, ...]:
    """The slugs of all games, sorted."""
    return tuple(sorted(name.replace("_", "-") for _, name, _ in pkgutil.iter_modules(__path__)))


def get(slug: str) -> Game:
    """A game by its slug; NitrogenError with the nearest names."""
    if slug not in slugs():
        near = difflib.get_close_matches(slug, slugs(), n=3) or slugs()
        raise NitrogenError(f"there is no game {slug!r}: perhaps {', '.join(near)}")
    return importlib.import_module(f"{__name__}.{slug.replace('-', '_')}").GAME
