"""The proofs of a task: a play that reaches the goal, and one that does nothing, both judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import players, rollout
from nitrogen_jax.evaluation.rollout import FAILURE, SUCCESS, Episode, Player
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.sim.pad_env import PadEnv

FOLDER = Path(__file__).with_name("proofs")


@dataclass(frozen=True)
class Proof:
    """What came of both plays of one task.

    Attributes:
        seed: of both.
        reached: the play that is to reach the goal.
        idle: the play of nobody.
    """

    seed: int
    reached: Episode
    idle: Episode

    @property
    def holds(self) -> bool:
        """Whether the judge has said what it must."""
        return (self.reached.outcome, self.idle.outcome) == (SUCCESS, FAILURE)


def path(task: Task) -> Path:
    """The file of recorded actions that reaches the goal, for tasks that are not `scripted`."""
    return file_of(task.name)


def file_of(name: str) -> Path:
    """The file for a task of that name."""
    return FOLDER / f"{name.replace('/', '__')}.npz"


def player(task: Task) -> Player:
    """Whoever reaches the goal; NitrogenError where there is nobody."""
    if task.scripted:
        return players.baseline(task, "expert")
    if not path(task).is_file():
        raise NitrogenError(f"task {task.name} has no proof: {path(task).name} is not there")
    return players.Recorded(path(task))


def prove(task: Task, env: PadEnv) -> Proof:
    """Plays both.

    Args:
        env: of `task.make()`; it is left open.
    """
    seed = task.proof_seed
    reached = rollout.play(task, player(task), seed, env)
    return Proof(seed, reached, rollout.play(task, players.baseline(task, "idle"), seed, env))
