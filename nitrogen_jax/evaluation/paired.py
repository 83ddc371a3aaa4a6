"""Two policies on the same episodes: paired bootstrap, and relative improvement.

An episode that is a crash, a time-out or an error of the policy for either of them is no pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.rollout import SUCCESS
from nitrogen_jax.evaluation.statistics import CONFIDENCE, JUDGED, Scored, groups

MEASURES = ("success", "progress")
RESAMPLES = 10_000
_MOST_NUMBERS = 4_000_000  # drawn at a time
_NOTHING = 1e-9  # means up to here are 0, and nothing is divided by them


@dataclass(frozen=True)
class Difference:
    """Policy A against policy B on the same episodes.

    Attributes:
        name: of the group.
        pairs: episodes that both have played and that are judged for both.
        a, b: the means of both; None, as all numbers below, where there are no pairs.
        difference: a - b.
        low, high: its bootstrap interval.
        better: share of the resamples in which A is ahead, ties counted half.
        relative: (a - b) / b, the improvement as the paper reports it; None where b is 0.
        relative_low, relative_high: its interval; None where b is 0 in any resample.
    """

    name: str
    pairs: int
    a: float | None = None
    b: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    better: float | None = None
    relative: float | None = None
    relative_low: float | None = None
    relative_high: float | None = None


def relative(a: float, b: float) -> float | None:
    """(a - b) / b; None where b is 0."""
    return (a - b) / b if b > _NOTHING else None


def paired_bootstrap(
    name: str,
    a: Sequence[float],
    b: Sequence[float],
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Resamples pairs with replacement; percentile intervals; the same for the same seed.

    Args:
        a, b: values of the pairs (N,), such as 1 for success and 0 for failure.
    """
    pairs = np.array([a, b], np.float64)
    if pairs.ndim != 2:
        raise NitrogenError("a and b are to be two lists of numbers")
    count = pairs.shape[1]
    if not count:
        return Difference(name, 0)
    rng, means, ends = np.random.default_rng(seed), [], [(1 - confidence) / 2, (1 + confidence) / 2]
    for begin in range(0, resamples, step := max(1, _MOST_NUMBERS // count)):
        drawn = rng.integers(count, size=(min(step, resamples - begin), count))
        means.append(pairs[:, drawn].mean(-1))
    of_a, of_b = np.concatenate(means, axis=1)
    mean_a, mean_b = (float(value) for value in pairs.mean(-1))
    low, high = (float(value) for value in np.quantile(of_a - of_b, ends))
    ratio = (None, None)
    if (of_b > _NOTHING).all():
        ratio = tuple(float(value) for value in np.quantile((of_a - of_b) / of_b, ends))
    return Difference(
        name=name,
        pairs=count,
        a=mean_a,
        b=mean_b,
        difference=mean_a - mean_b,
        low=low,
        high=high,
        better=float(np.mean((of_a > of_b) + 0.5 * (of_a == of_b))),
        relative=relative(mean_a, mean_b),
        relative_low=ratio[0],
        relative_high=ratio[1],
    )


def differences(
    a: Sequence[Scored],
    b: Sequence[Scored],
    tags: Mapping[str, Mapping[str, Any]],
    measure: str = "success",
    resamples: int = RESAMPLES,
) -> dict[str, list[Difference]]:
    """Kind of group -> a difference for each group of it; groups without pairs are left out.

    Args:
        measure: "success" or "progress".
    """
    both = pair(a, b)
    found: dict[str, list[Difference]] = {}
    for kind, of in groups(tags).items():
        for name, tasks in of.items():
            mine = [two for two in both if two[0].task in set(tasks)]
            if mine:
                values = [
                    [_value(one, measure) for one in side] for side in zip(*mine, strict=True)
                ]
                made = paired_bootstrap(name, *values, resamples=resamples)
                found.setdefault(kind, []).append(made)
    return found


def pair(a: Sequence[Scored], b: Sequence[Scored]) -> list[tuple[Scored, Scored]]:
    """Episodes that both have and that are judged for both, in order; other seeds are refused."""
    other = {(one.task, one.episode): one for one in b}
    found = []
    for one in sorted(a, key=lambda one: (one.task, one.episode)):
        match = other.get((one.task, one.episode))
        if match is None:
            continue
        if match.seed != one.seed:
            raise NitrogenError(
                f"episode {one.episode} of {one.task} has seed {one.seed} in one and {match.seed} "
                "in the other, where both must be played with the same --seed"
            )
        if one.outcome in JUDGED and match.outcome in JUDGED:
            found.append((one, match))
    return found


def _value(one: Scored, measure: str) -> float:
    if measure not in MEASURES:
        raise NitrogenError(f"measure is {measure!r}, where success or progress is needed")
    return one.progress if measure == "progress" else float(one.outcome == SUCCESS)
