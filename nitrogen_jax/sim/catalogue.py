"""Everything that can be played, games and adapters alike: by slug, and in Gymnasium's registry."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import gymnasium

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sim import games
from nitrogen_jax.sim.adapters import ADAPTERS, Adapter
from nitrogen_jax.sim.game import Game

Playable = Game | Adapter


def slugs() -> tuple[str, ...]:
    """The slugs of all, games first."""
    return (*games.slugs(), *ADAPTERS)


def get(slug: str) -> Playable:
    """One of them; NitrogenError with the nearest names."""
    if slug in ADAPTERS:
        return ADAPTERS[slug]
    if slug in games.slugs():
        return games.get(slug)
    near = difflib.get_close_matches(slug, slugs(), n=3) or slugs()
    raise NitrogenError(f"there is no game {slug!r}: perhaps {', '.join(near)}")


def make(slug: str, **options: Any) -> gymnasium.Env:
    """An environment, see `GamepadEnv` and `AdapterEnv` for the options.

    NitrogenError where the game is not installed.
    """
    one = get(slug)
    lacking = one.missing()
    if lacking:
        raise NitrogenError(lacking)
    if isinstance(one, Adapter):
        refused = [name for name in ("window", "display", "bindings", "start") if name in options]
        if refused:
            raise NitrogenError(
                f"{one.title} draws and starts as it does: {refused[0]} cannot be chosen"
            )
        module, _, name = one.entry.partition(":")
        return getattr(importlib.import_module(module), name)(**options)
    from nitrogen_jax.sim.env import GamepadEnv

    return GamepadEnv(one, **options)


def register() -> None:
    """Adds NitroGen/<Name>-v0 of each to Gymnasium's registry, once; the game need not be there.

    A registered environment is `make(slug)` under Gymnasium's usual wrappers.
    """
    for slug in slugs():
        one = get(slug)
        if one.env_id not in gymnasium.registry:
            gymnasium.register(
                one.env_id,
                f"{__name__}:make",
                nondeterministic=not one.repeats,
                kwargs={"slug": slug},
            )
