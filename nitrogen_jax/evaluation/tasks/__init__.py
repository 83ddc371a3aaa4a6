"""The tasks, a file for each game: a module of this folder with `TASKS`, a tuple of `Task`.

The file of the game "frozen-bubble" is frozen_bubble.py. What a judge reads is in `..judges`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.task import Task


def every() -> Mapping[str, Task]:
    """All tasks by name, sorted."""
    modules = sorted(name for _, name, _ in pkgutil.iter_modules(__path__))
    return dict(sorted((task.name, task) for name in modules for task in _of(name)))


def get(name: str) -> Task:
    """A task by its name; NitrogenError with the nearest names."""
    # Only the file of its game is looked at, where there is one.
    game = name.partition("/")[0].replace("-", "_")
    if game in {module for _, module, _ in pkgutil.iter_modules(__path__)}:
        for task in _of(game):
            if task.name == name:
                return task
    tasks = every()
    near = difflib.get_close_matches(name, tasks, n=3, cutoff=0.4) or list(tasks)[:5]
    raise NitrogenError(f"there is no task {name!r}: perhaps {', '.join(near)}")


def _of(module: str) -> tuple[Task, ...]:
    """The tasks of one file."""
    found = importlib.import_module(f"{__name__}.{module}").TASKS
    for task in found:
        assert task.game.replace("-", "_") == module, f"{task.name} is in {module}.py"
    return found
