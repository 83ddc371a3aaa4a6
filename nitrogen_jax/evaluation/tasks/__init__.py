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
    found = {}
    for _, name, _ in pkgutil.iter_modules(__path__):
        for task in importlib.import_module(f"{__name__}.{name}").TASKS:
            assert task.game.replace("-", "_") == name, f"{task.name} is in {name}.py"
            found[task.name] = task
    return dict(sorted(found.items()))


def get(name: str) -> Task:
    """A task by its name; NitrogenError with the nearest names."""
    tasks = every()
    if name not in tasks:
        near = difflib.get_close_matches(name, tasks, n=3, cutoff=0.4) or list(tasks)[:5]
        raise NitrogenError(f"there is no task {name!r}: perhaps {', '.join(near)}")
    return tasks[name]
