"""Plays all episodes of an evaluation by processes, each of which may die without harm.

What is finished is written at once, so that whatever ends this process, the next run goes on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from nitrogen_jax.evaluation import worker
from nitrogen_jax.evaluation.crew import STALL_S, Crew
from nitrogen_jax.evaluation.policies import Source
from nitrogen_jax.evaluation.results import Played
from nitrogen_jax.evaluation.results_write import Writer
from nitrogen_jax.evaluation.rollout import FAILURE, SUCCESS
from nitrogen_jax.evaluation.suite import seed_of
from nitrogen_jax.evaluation.task import Task
from nitrogen_jax.evaluation.worker import Job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is to be played.

    Attributes:
        seed: of the whole evaluation.
        workers: processes.
        clips: whether videos are written.
        stall: seconds after which a worker that says nothing is given up.
    """

    tasks: tuple[Task, ...]
    episodes: int
    seed: int
    source: Source
    workers: int
    clips: bool = True
    stall: float = STALL_S

    def open(self, writer: Writer) -> list[tuple[Task, int]]:
        """The episodes that are still to be played."""
        every = [(task, episode) for task in self.tasks for episode in range(self.episodes)]
        return [(task, at) for task, at in every if (task.name, at) not in writer.played]


def run(
    plan: Plan, writer: Writer, advance: Callable[[float], None] = lambda seconds: None
) -> str | None:
    """Plays what is open; why it had to stop before the end, None where it had not.

    Args:
        advance: is told the seconds of game time that have gone by; an episode that ends early
            counts in full.
    """
    agenda, crew = _Agenda(plan, writer), Crew(plan.source, writer.folder, plan.stall)
    try:
        while len(crew.members) < plan.workers and (job := agenda.following(None)):
            crew.start().give(job)
        while crew.members:
            for member, (kind, value) in crew.news():
                if kind == worker.TIME:
                    advance(member.further(value, agenda.seconds(member.job)))
                    continue
                if kind == worker.READY:
                    member.began = True
                    continue
                if kind == worker.GONE:
                    return value
                advance(member.further(None, agenda.seconds(member.job)))
                if kind == worker.UNFIT:
                    log.warning("%s cannot be played: %s", member.job.task, value)
                    writer.skip(member.job.task, value)
                    agenda.drop(member.job.task)
                else:
                    _keep(writer, value)
                following = agenda.following(member.job.task)
                if not member.alive:
                    member = crew.start() if following else None
                if following and member:
                    member.give(following)
                elif member:
                    crew.dismiss(member)
    finally:
        crew.end()
    return None


def _keep(writer: Writer, one: Played) -> None:
    """Writes an episode; without its clip where another worker was faster."""
    if one.clip and one.outcome not in wanted_clips(writer, one.task):
        (writer.folder / one.clip).unlink(missing_ok=True)
        one = replace(one, clip=None)
    writer.add(one)


def wanted_clips(writer: Writer, task: str) -> frozenset[str]:
    """The outcomes of which a task has no clip yet."""
    there = {one.outcome for one in writer.played.values() if one.task == task and one.clip}
    return frozenset({SUCCESS, FAILURE} - there)


class _Agenda:
    """What is left; a worker stays with its task, whose game it has running."""

    def __init__(self, plan: Plan, writer: Writer):
        self._plan, self._writer = plan, writer
        self._seconds = {task.name: task.seconds for task in plan.tasks}
        self._left: dict[str, deque[int]] = {}
        self._begun: set[str] = set()
        for task, episode in plan.open(writer):
            self._left.setdefault(task.name, deque()).append(episode)

    def seconds(self, job: Job) -> float:
        """Of game time that an episode may take."""
        return self._seconds[job.task]

    def drop(self, task: str) -> None:
        """Plays no more of a task."""
        self._left.pop(task, None)

    def following(self, task: str | None) -> Job | None:
        """The next episode for a worker that has played a task last."""
        left = {name: episodes for name, episodes in self._left.items() if episodes}
        if not left:
            return None
        if task not in left:
            untouched = [name for name in left if name not in self._begun]
            task = untouched[0] if untouched else max(left, key=lambda name: len(left[name]))
        assert task is not None
        self._begun.add(task)
        episode = left[task].popleft()
        seed = seed_of(self._plan.seed, task, episode)
        wanted = wanted_clips(self._writer, task) if self._plan.clips else frozenset()
        return Job(task, episode, seed, wanted)
