"""Success and progress with their uncertainty: Wilson intervals, by group.

Crashes, time-outs and errors of the policy are nobody's failure: they are counted apart and are in
no rate and no mean.

NOTE: an interval over several tasks treats their episodes as draws of one population, and of a
policy that always does the same in a place that is always the same all episodes are one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.rollout import CRASH, FAILURE, POLICY_ERROR, STUCK, SUCCESS
from nitrogen_jax.evaluation.task import CATEGORIES

CONFIDENCE = 0.95
JUDGED = (SUCCESS, FAILURE)
APART = (CRASH, STUCK, POLICY_ERROR)  # outcomes that are neither


class Scored(Protocol):
    """What of an episode is counted; `results.Played` is one."""

    task: str
    episode: int
    seed: int
    outcome: str
    progress: float
    seconds: float
    wall: float


def wilson(successes: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The Wilson score interval of a share, (low, high) in [0, 1]; (0, 1) for no trials."""
    if not 0 <= successes <= trials:
        raise NitrogenError(f"{successes} successes of {trials}, where 0 to {trials} are possible")
    if not 0 < confidence < 1:
        raise NitrogenError(f"confidence is {confidence}, where more than 0 and less than 1 is")
    if trials == 0:
        return 0.0, 1.0
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    # NOTE: at the ends rounding would leave 1e-17 and the like.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    return low, 1.0 if successes == trials else min(1.0, middle + half)


@dataclass(frozen=True)
class Summary:
    """What came of some episodes.

    Attributes:
        name: of the group: a task, "combat", "2D", "fixed", "overall", ...
        tasks: how many different ones have an episode.
        episodes: that are finished, whatever came of them.
        judged: those that are a success or a failure.
        rate: successes / judged; None where none is judged.
        low, high: the Wilson interval of the rate.
        progress: its mean over what is judged, 0 to 1; None where none is judged.
        apart: outcome -> how many, for each of APART.
        seconds: of game time, all together.
        wall: seconds of real time, all together.
    """

    name: str
    tasks: int
    episodes: int
    successes: int
    judged: int
    rate: float | None
    low: float
    high: float
    progress: float | None
    apart: Mapping[str, int]
    seconds: float
    wall: float


def summarise(name: str, episodes: Iterable[Scored]) -> Summary:
    """All of them together."""
    found = list(episodes)
    judged = [one for one in found if one.outcome in JUDGED]
    successes = sum(one.outcome == SUCCESS for one in judged)
    low, high = wilson(successes, len(judged))
    return Summary(
        name=name,
        tasks=len({one.task for one in found}),
        episodes=len(found),
        successes=successes,
        judged=len(judged),
        rate=successes / len(judged) if judged else None,
        low=low,
        high=high,
        progress=float(np.mean([one.progress for one in judged])) if judged else None,
        apart={kind: sum(one.outcome == kind for one in found) for kind in APART},
        seconds=sum(one.seconds for one in found),
        wall=sum(one.wall for one in found),
    )


GROUPS = ("overall", "category", "dimensions", "place", "task")


def groups(tags: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """Kind of group, in the order of GROUPS -> name of a group -> its tasks; none is empty.

    Args:
        tags: task -> {"category", "dimensions", "procedural", ...}, as `results` keeps them.
    """
    rules: dict[str, dict[str, Callable[[Mapping[str, Any]], bool]]] = {
        "overall": {"overall": lambda tag: True},
        "category": {name: lambda tag, name=name: tag["category"] == name for name in CATEGORIES},
        "dimensions": {
            f"{count}D": lambda tag, count=count: tag["dimensions"] == count for count in (2, 3)
        },
        "place": {
            "fixed": lambda tag: not tag["procedural"],
            "procedural": lambda tag: tag["procedural"],
        },
    }
    names = sorted(tags)
    found = {
        kind: {name: [task for task in names if rule(tags[task])] for name, rule in of.items()}
        for kind, of in rules.items()
    }
    found["task"] = {task: [task] for task in names}
    return {kind: {name: some for name, some in of.items() if some} for kind, of in found.items()}


def summaries(
    episodes: Sequence[Scored], tags: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[Summary]]:
    """Kind of group -> a summary for each group of it, also of those without an episode yet."""
    return {
        kind: [
            summarise(name, (one for one in episodes if one.task in set(tasks)))
            for name, tasks in of.items()
        ]
        for kind, of in groups(tags).items()
    }
