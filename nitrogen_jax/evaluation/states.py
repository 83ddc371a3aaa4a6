"""What of a running game can be read as numbers: the facts of one of its judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nitrogen_jax.evaluation import tasks
from nitrogen_jax.sim.env import GamepadEnv
from nitrogen_jax.sim.session import Session

# Game -> the task whose judge knows where its player is, whatever level is played.
TASKS = MappingProxyType({"freedoom": "freedoom/yard", "supertux": "supertux/pit"})


def reader(slug: str) -> Callable[[GamepadEnv], Mapping[str, float]] | None:
    """Reads a game's numbers at any moment of an episode; None where nobody can.

    The first call of an episode belongs to its begin, where a new player is looked for.
    """
    if slug not in TASKS:
        return None
    task = tasks.get(TASKS[slug])
    playing: Session | None = None
    judge = task.judge()

    def read(env: GamepadEnv) -> Mapping[str, float]:
        nonlocal playing, judge
        info = {"reason": "", "exit_code": None, "time": 0.0, "variables": {}}
        if env.session is not playing:
            playing, judge = env.session, task.judge()
            judge.begin(env, info)
        facts = judge.look(env, info).facts
        return {name: float(value) for name, value in facts.items() if not isinstance(value, str)}

    return read
