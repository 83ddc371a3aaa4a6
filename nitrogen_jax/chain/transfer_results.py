"""What came of a transfer study: success and progress of both starts, and their differences.

Episodes are paired: both starts have played the same ones, from the same records, with the same
seed of their trainings. Several seeds of trainings are pooled, each with pairs of its own.

NOTE: a bootstrap over episodes knows nothing of what another training would have given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrogen_jax.chain import stages
from nitrogen_jax.chain.transfer import (
    PRETRAINED,
    REFERENCES,
    SCRATCH,
    STARTS,
    WHERE,
    ZERO,
    Study,
    asked,
)
from nitrogen_jax.evaluation import results, suite
from nitrogen_jax.evaluation.machine import machine
from nitrogen_jax.evaluation.paired import MEASURES, Difference, pair, paired_bootstrap
from nitrogen_jax.evaluation.results import Played
from nitrogen_jax.evaluation.rollout import SUCCESS
from nitrogen_jax.evaluation.statistics import JUDGED, Summary, summarise
from nitrogen_jax.evaluation.task import CATEGORIES

OUT = "OUT"  # in commands that are told: the folder of the study
COUNT = "count"  # the measure of what a task's judge counts, in its own unit


@dataclass(frozen=True)
class Cell:
    """Episodes of one held-out task after one training, or, without minutes, after none.

    Attributes:
        where: near or far.
        who: one of STARTS, of REFERENCES, or ZERO.
        minutes: of play that was learned from; 0 for who has seen none of the task.
        progress_low, progress_high: bootstrap interval of the mean progress; None without any.
        count: mean of what the judge counts; None where the study names nothing.
    """

    where: str
    task: str
    category: str
    who: str
    minutes: float
    summary: Summary
    progress_low: float | None
    progress_high: float | None
    count: float | None = None


@dataclass(frozen=True)
class Compared:
    """The pre-trained start (A) against the one from scratch (B).

    Attributes:
        group: what is put together: a place, a category, "all".
        minutes: of play that both have learned from; None: all amounts together.
        measure: one of MEASURES, or COUNT.
    """

    group: str
    minutes: float | None
    measure: str
    difference: Difference


@dataclass(frozen=True)
class Found:
    """All of it.

    Attributes:
        study: what was asked for.
        cells, compared: of what is played so far.
        done: what each stage took.
        machine: that this was put together on.
        date: of the last stage that came to its end, in UTC; "" for none.
        missing: names of evaluations that are not complete.
    """

    study: Study
    cells: tuple[Cell, ...]
    compared: tuple[Compared, ...]
    done: tuple[stages.Done, ...]
    machine: Mapping[str, Any]
    date: str
    missing: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON; of stages what a reader wants to know."""
        told = [
            {
                "name": one.name,
                "command": one.command,
                "wall_s": one.wall,
                "cpu_s": one.cpu,
                "attempts": one.attempts,
                "done": one.done,
            }
            for one in self.done
        ]
        return {
            "study": asked(self.study),
            "date": self.date,
            "machine": dict(self.machine),
            "missing": list(self.missing),
            "cells": [dataclasses.asdict(one) for one in self.cells],
            "compared": [dataclasses.asdict(one) for one in self.compared],
            "stages": told,
        }

    def cell(self, where: str, who: str, minutes: float = 0) -> Cell | None:
        """One of the cells; None where nothing is played."""
        for one in self.cells:
            if (one.where, one.who, one.minutes) == (where, who, minutes):
                return one
        return None

    def of(self, group: str, minutes: float | None, measure: str) -> Difference | None:
        """One of the differences; None where there are no pairs."""
        for one in self.compared:
            if (one.group, one.minutes, one.measure) == (group, minutes, measure):
                return one.difference
        return None


def collect(study: Study, room: Path) -> Found:
    """Reads what the stages have left in a room; what is not there yet is left out."""
    room = Path(room)
    played = {name: _read(room, name) for name in evaluations(study)}
    # Wherever the folder lies: what it took is told to others.
    done = [
        dataclasses.replace(one, command=one.command.replace(str(room), OUT))
        for one in stages.read(room).values()
    ]
    done.sort(key=lambda one: one.began)
    pairs = _pairs(study, played)
    return Found(
        study=study,
        cells=tuple(_cells(study, played)),
        compared=tuple(compare(study, pairs, categories(study))),
        done=tuple(done),
        machine=machine(),
        date=max((one.ended for one in done), default=""),
        missing=tuple(name for name, one in played.items() if not _complete(study, name, one)),
    )


def evaluations(study: Study) -> list[str]:
    """The names of all evaluations."""
    return [*REFERENCES, ZERO, *(study.run(*run) for run in _runs(study))]


def categories(study: Study) -> dict[str, str]:
    """Held-out task -> category."""
    return {task.name: task.category for task in suite.chosen(names=(study.near, study.far))}


# ---------------------------------------------------------------------------------------------
# Groups

Pair = tuple[Played, Played]  # of the pre-trained start, and of the one from scratch


def compare(
    study: Study, pairs: Mapping[tuple[str, float], Sequence[Pair]], category: Mapping[str, str]
) -> list[Compared]:
    """Differences by place, by category and of all, for each amount and for all amounts.

    Args:
        pairs: (where, minutes) -> episodes that both starts have played.
        category: of the held-out tasks.
    """
    groups: dict[str, tuple[str, ...]] = {where: (where,) for where in WHERE}
    for name in CATEGORIES:
        of = tuple(where for where in WHERE if category[study.held_out(where)] == name)
        if of:
            groups[name] = of
    groups["all"] = WHERE
    found = []
    for group, places in groups.items():
        for minutes in (*study.minutes, None):
            amounts = study.minutes if minutes is None else (minutes,)
            some = [two for place in places for m in amounts for two in pairs.get((place, m), ())]
            if not some:
                continue
            for measure in MEASURES:
                found.append(
                    _compared(group, minutes, measure, some, lambda one, m=measure: _value(one, m))
                )
            # What is counted has no unit that two tasks share.
            fact = study.counts.get(study.held_out(group)) if group in WHERE else None
            if fact is not None:
                found.append(
                    _compared(group, minutes, COUNT, some, lambda one, f=fact: float(one.facts[f]))
                )
    return found


def _compared(
    group: str,
    minutes: float | None,
    measure: str,
    pairs: Sequence[Pair],
    value: Callable[[Played], float],
) -> Compared:
    a, b = ([value(one) for one in side] for side in zip(*pairs, strict=True))
    return Compared(group, minutes, measure, paired_bootstrap(group, a, b))


def _value(one: Played, measure: str) -> float:
    return one.progress if measure == "progress" else float(one.outcome == SUCCESS)


def _pairs(
    study: Study, played: Mapping[str, Sequence[Played]]
) -> dict[tuple[str, float], list[Pair]]:
    return {
        (where, minutes): [
            two
            for seed in study.seeds
            for two in pair(
                *(played[study.run(where, minutes, start, seed)] for start in (PRETRAINED, SCRATCH))
            )
        ]
        for where in WHERE
        for minutes in study.minutes
    }


def _cells(study: Study, played: Mapping[str, Sequence[Played]]) -> list[Cell]:
    category = categories(study)
    found = []

    def add(where: str, who: str, minutes: float, episodes: Sequence[Played]) -> None:
        task = study.held_out(where)
        own = [one for one in episodes if one.task == task]
        if own:
            judged = [one for one in own if one.outcome in JUDGED]
            values = [one.progress for one in judged]
            fact = study.counts.get(task)
            counted = [float(one.facts[fact]) for one in judged] if fact else []
            count = sum(counted) / len(counted) if counted else None
            mean = paired_bootstrap("", values, [0.0] * len(values))
            summary = summarise(f"{where} {who} {minutes:g}", own)
            found.append(
                Cell(where, task, category[task], who, minutes, summary, mean.low, mean.high, count)
            )

    for where in WHERE:
        for name in (*REFERENCES, ZERO):
            add(where, name, 0, played[name])
        for minutes in study.minutes:
            for start in STARTS:
                runs = [study.run(where, minutes, start, seed) for seed in study.seeds]
                add(where, start, minutes, [one for run in runs for one in played[run]])
    return found


# ---------------------------------------------------------------------------------------------
# Files


def _read(room: Path, name: str) -> tuple[Played, ...]:
    folder = room / "evals" / name
    return results.read(folder).episodes if (folder / results.ABOUT).exists() else ()


def _complete(study: Study, name: str, played: Sequence[Played]) -> bool:
    tasks = 2 if name in (*REFERENCES, ZERO) else 1
    return len(played) == tasks * study.episodes


def _runs(study: Study) -> list[tuple[str, float, str, int]]:
    """Arguments of `Study.run`, of all trainings on held-out tasks."""
    return [
        (where, minutes, start, seed)
        for seed in study.seeds
        for where in WHERE
        for minutes in study.minutes
        for start in STARTS
    ]
