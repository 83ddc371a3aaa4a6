"""How well players play, with intervals, and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax.evaluation import results
from nitrogen_jax.evaluation.statistics import CONFIDENCE, JUDGED, summarise

RESAMPLES = 2000


@dataclass(frozen=True)
class Score:
    """One player on one task.

    Attributes:
        successes, judged: episodes; crashes and the like are in neither.
        rate, low, high: the share of successes and its Wilson interval; None of no episode.
        progress, progress_low, progress_high: its mean and a bootstrap interval over episodes.
        apart: episodes that were nobody's success and nobody's failure.
    """

    name: str
    successes: int
    judged: int
    rate: float | None
    low: float
    high: float
    progress: float | None
    progress_low: float | None
    progress_high: float | None
    apart: int


def score(name: str, folder: Path) -> Score:
    """Of the folder of an evaluation."""
    found = results.read(folder)
    one = summarise(name, found.episodes)
    # NOTE: sorted by task and episode, so that the interval is the same however it was played.
    progress = [played.progress for played in found.episodes if played.outcome in JUDGED]
    low, high = mean_interval(progress)
    return Score(
        name=name,
        successes=one.successes,
        judged=one.judged,
        rate=one.rate,
        low=one.low,
        high=one.high,
        progress=one.progress,
        progress_low=low,
        progress_high=high,
        apart=sum(one.apart.values()),
    )


def mean_interval(values: list[float], seed: int = 0) -> tuple[float | None, float | None]:
    """The 95 % bootstrap interval of a mean; None of no value."""
    if not values:
        return None, None
    rng, given = np.random.default_rng(seed), np.asarray(values, float)
    means = given[rng.integers(0, len(given), (RESAMPLES, len(given)))].mean(1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def apart(one: Score, other: Score) -> bool:
    """Whether the intervals of the shares of successes do not overlap."""
    if not one.judged or not other.judged:
        return False
    return one.low > other.high or other.low > one.high


def verdict(one: Score, other: Score) -> tuple[bool, str]:
    """Whether one is better than the other, and that in a sentence that says no more than it may.

    Better means that the 95 % intervals do not overlap.
    """
    told = f"{counted(one)} against {counted(other)}"
    if not one.judged or not other.judged:
        return False, f"Nothing can be said of {one.name} and {other.name}: {told}."
    if not apart(one, other):
        return False, (
            f"It is not shown that {one.name} beats {other.name}: {told}. "
            "The 95 % intervals overlap."
        )
    better = one.low > other.high
    word = "beats" if better else "does worse than"
    return better, (
        f"{one.name[0].upper()}{one.name[1:]} {word} {other.name}: {told}. "
        "The 95 % intervals do not overlap."
    )


def further(one: Score, other: Score) -> tuple[bool, str]:
    """The same of their mean progress, which is another question than success."""
    told = f"mean progress {progressed(one)} against {progressed(other)}"
    if one.progress is None or other.progress is None:
        return False, f"Nothing can be said of the progress of {one.name} and {other.name}."
    assert one.progress_low is not None
    assert other.progress_high is not None
    assert one.progress_high is not None
    assert other.progress_low is not None
    if one.progress_low > other.progress_high:
        where, what = True, f"{one.name} gets further than {other.name}"
    elif one.progress_high < other.progress_low:
        where, what = False, f"{one.name} does not get as far as {other.name}"
    else:
        return False, (
            f"It is not shown that {one.name} gets further than {other.name}: {told}. "
            "The 95 % intervals overlap."
        )
    return where, f"{what[0].upper()}{what[1:]}: {told}. The 95 % intervals do not overlap."


def counted(one: Score) -> str:
    """Successes in words, such as "7 of 20 (35 %, 18 to 57 %)"."""
    if one.rate is None:
        return "no judged episode"
    return (
        f"{one.successes} of {one.judged} ({100 * one.rate:.0f} %, {100 * one.low:.0f} to "
        f"{100 * one.high:.0f} %)"
    )


def progressed(one: Score) -> str:
    """Progress in words, such as "0.52 (0.43 to 0.61)"."""
    if one.progress is None:
        return "-"
    return f"{one.progress:.2f} ({one.progress_low:.2f} to {one.progress_high:.2f})"
