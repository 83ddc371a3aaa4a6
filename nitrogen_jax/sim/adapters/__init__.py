"""Games that come from pip, under the same pad: for machines without apt, and for their rewards.

They run inside emulators of their own and stand still between steps by nature. What they know
about themselves, rewards and variables, is in `info`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.extras import install_command
from nitrogen_jax.sim.adapters import procgen_python


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """One family of games; its attributes mean the same as those of `Game`.

    Attributes:
        module: that must be importable.
        entry: "module:class" of the environment.
        list_levels: the names of all levels, the default one first; may import the module.
        lacking: a sentence where something else is not there; None: nothing else is needed.
        line: that installs it; "" for the extra that brings the module.
    """

    slug: str
    title: str
    name: str
    module: str
    entry: str
    fps: float
    list_levels: Callable[[], tuple[str, ...]]
    lacking: Callable[[], str | None] | None = None
    line: str = ""
    repeats: bool = True
    notes: str = ""

    @property
    def env_id(self) -> str:
        """Its id in Gymnasium's registry."""
        return f"NitroGen/{self.name}-v0"

    @property
    def install(self) -> str:
        """The line that installs it."""
        return self.line or install_command("games")

    @property
    def levels(self) -> tuple[str, ...]:
        """The names of all levels, the default one first; none where it is not installed."""
        return () if self.missing() else self.list_levels()

    def missing(self) -> str | None:
        """What is not there, as a sentence; None where it can be played."""
        if self.module and importlib.util.find_spec(self.module) is None:
            return f"{self.title} is not installed: {self.install}"
        return self.lacking() if self.lacking else None

    def check(self) -> None:
        """NitrogenError where it cannot be played."""
        lacking = self.missing()
        if lacking:
            raise NitrogenError(lacking)


def _levels(module: str) -> Callable[[], tuple[str, ...]]:
    return lambda: importlib.import_module(f"{__name__}.{module}").levels()


ADAPTERS = MappingProxyType(
    {
        one.slug: one
        for one in (
            Adapter(
                slug="vizdoom",
                title="ViZDoom",
                name="ViZDoom",
                module="vizdoom",
                entry=f"{__name__}.vizdoom:VizdoomEnv",
                fps=35.0,
                list_levels=_levels("vizdoom"),
                notes="Scenarios with rewards; variables such as HEALTH and KILLCOUNT.",
            ),
            Adapter(
                slug="ale",
                title="Arcade Learning Environment",
                name="ALE",
                module="ale_py",
                entry=f"{__name__}.ale:AleEnv",
                fps=60.0,
                list_levels=_levels("ale"),
                notes="Levels are the games of the Atari 2600 that the package brings.",
            ),
            Adapter(
                slug="airstriker",
                title="Airstriker (stable-retro)",
                name="Airstriker",
                module="stable_retro",
                entry=f"{__name__}.airstriker:AirstrikerEnv",
                fps=60.0,
                list_levels=_levels("airstriker"),
                notes="Always begins with the same frame: the seed decides nothing.",
            ),
            Adapter(
                slug="procgen",
                title="Procgen",
                name="Procgen",
                module="",
                entry=f"{__name__}.procgen:ProcgenEnv",
                fps=15.0,
                list_levels=_levels("procgen"),
                lacking=procgen_python.lacking,
                line=procgen_python.install_line(),
                notes="Levels are made from the seed. Runs in a Python of its own, with old NumPy.",
            ),
        )
    }
)
