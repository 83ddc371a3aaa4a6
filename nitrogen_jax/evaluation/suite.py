"""Which tasks are played, and the seed of every episode."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Sequence
from types import MappingProxyType

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import tasks
from nitrogen_jax.evaluation.task import CATEGORIES, Task
from nitrogen_jax.sim.game import MOST_SEED

DEFAULT = "default"
SUITES: MappingProxyType[str, Callable[[Task], bool]] = MappingProxyType(
    {
        DEFAULT: lambda task: True,
        **{name: lambda task, name=name: task.category == name for name in CATEGORIES},
        "2d": lambda task: task.dimensions == 2,
        "3d": lambda task: task.dimensions == 3,
        "fixed": lambda task: not task.procedural,
        "procedural": lambda task: task.procedural,
    }
)


def chosen(suite: str = DEFAULT, names: Sequence[str] = ()) -> list[Task]:
    """The tasks of a suite, or those that are named; NitrogenError with the nearest names.

    Args:
        suite: one of SUITES, or a game's slug.
        names: of tasks; any: the suite does not matter.
    """
    if names:
        return [tasks.get(name) for name in dict.fromkeys(names)]
    every = tasks.every()
    games = {task.game for task in every.values()}
    if suite in SUITES:
        return [task for task in every.values() if SUITES[suite](task)]
    if suite in games:
        return [task for task in every.values() if task.game == suite]
    known = [*SUITES, *sorted(games)]
    near = difflib.get_close_matches(suite, known, n=3, cutoff=0.4) or known
    raise NitrogenError(f"there is no suite {suite!r}: perhaps {', '.join(near)}")


def lacking(chosen: Sequence[Task], strict: bool = False) -> dict[str, str]:
    """The tasks that cannot be played here, and why; with `strict` there must be none."""
    found = {task.name: why for task in chosen if (why := task.missing())}
    if strict and found:
        first = next(iter(found.values()))
        raise NitrogenError(f"--strict, and {len(found)} tasks cannot be played here: {first}")
    return found


def seed_of(seed: int, task: str, episode: int) -> int:
    """The seed of an episode, 0 to 2**31 - 1: of these three alone, on every machine.

    Args:
        seed: of the whole evaluation.
        task: its name.
    """
    digest = hashlib.sha256(f"{seed} {task} {episode}".encode()).digest()
    return int.from_bytes(digest[:8]) & MOST_SEED
