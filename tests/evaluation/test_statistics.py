"""Wilson intervals, summaries by group, the paired bootstrap: known values and properties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import paired, statistics
from nitrogen_jax.evaluation.rollout import CRASH, FAILURE, POLICY_ERROR, STUCK, SUCCESS


@dataclass(frozen=True)
class Scored:
    task: str
    episode: int
    outcome: str
    progress: float = 0.5
    seed: int = 1
    seconds: float = 10.0
    wall: float = 4.0


TAGS = {
    "a/x": {"category": "combat", "dimensions": 2, "procedural": False},
    "a/y": {"category": "combat", "dimensions": 3, "procedural": True},
    "b/z": {"category": "navigation", "dimensions": 3, "procedural": False},
}


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(successes, trials, low, high):
    assert statistics.wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.5, 0.999))
def test_the_same_interval_as_scipy(successes, trials, confidence):
    scipy = pytest.importorskip("scipy.stats")
    successes = min(successes, trials)
    wanted = scipy.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    found = statistics.wilson(successes, trials, confidence)
    assert found == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0.01, 0.98))
def test_what_an_interval_must_be(successes, failures, confidence):
    trials = successes + failures
    low, high = statistics.wilson(successes, trials, confidence)
    assert 0 <= low <= high <= 1
    assert statistics.wilson(failures, trials, confidence) == pytest.approx((1 - high, 1 - low))
    wider = statistics.wilson(successes, trials, confidence + 0.01)
    assert wider[0] <= low <= high <= wider[1]
    if trials:
        assert low <= successes / trials <= high
        more = statistics.wilson(10 * successes, 10 * trials, confidence)
        assert more[1] - more[0] < high - low


def test_an_interval_needs_sense():
    assert statistics.wilson(0, 0) == (0.0, 1.0)
    for arguments in ((2, 1), (-1, 4), (1, 2, 1.0), (1, 2, 0.0)):
        with pytest.raises(NitrogenError):
            statistics.wilson(*arguments)


def test_errors_are_neither_success_nor_failure():
    outcomes = [SUCCESS, FAILURE, FAILURE, CRASH, STUCK, POLICY_ERROR, POLICY_ERROR]
    progress = [1.0, 0.5, 0.0, 0.9, 0.9, 0.9, 0.9]
    episodes = [
        Scored("a/x", at, *one) for at, one in enumerate(zip(outcomes, progress, strict=True))
    ]
    found = statistics.summarise("all", episodes)
    assert (found.episodes, found.judged, found.successes) == (7, 3, 1)
    assert found.rate == pytest.approx(1 / 3)
    assert (found.low, found.high) == statistics.wilson(1, 3)
    assert found.progress == pytest.approx(0.5)
    assert found.apart == {CRASH: 1, STUCK: 1, POLICY_ERROR: 2}
    assert (found.seconds, found.wall) == (70.0, 28.0)
    nothing = statistics.summarise("none", [Scored("a/x", 0, CRASH)])
    assert (nothing.rate, nothing.progress, nothing.low, nothing.high) == (None, None, 0, 1)


def test_groups_follow_the_tags():
    episodes = [
        *(Scored("a/x", at, SUCCESS) for at in range(3)),
        *(Scored("a/y", at, FAILURE) for at in range(2)),
        Scored("b/z", 0, SUCCESS),
    ]
    found = statistics.summaries(episodes, TAGS)
    assert tuple(found) == statistics.GROUPS
    rates = {one.name: (one.successes, one.judged) for of in found.values() for one in of}
    assert rates == {
        "overall": (4, 6),
        "combat": (3, 5),
        "navigation": (1, 1),
        "2D": (3, 3),
        "3D": (1, 3),
        "fixed": (4, 4),
        "procedural": (0, 2),
        "a/x": (3, 3),
        "a/y": (0, 2),
        "b/z": (1, 1),
    }
    assert found["overall"][0].tasks == 3
    # A task that nobody has played is there, and in no rate.
    found = statistics.summaries(episodes[:3], TAGS)
    assert [(one.name, one.judged) for one in found["task"]] == [("a/x", 3), ("a/y", 0), ("b/z", 0)]


values = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30)


@given(values)
def test_properties_of_the_paired_bootstrap(both):
    a, b = map(list, zip(*both, strict=True))
    found = paired.paired_bootstrap("x", a, b, resamples=300)
    assert found == paired.paired_bootstrap("x", a, b, resamples=300)
    other = paired.paired_bootstrap("x", b, a, resamples=300)
    assert found.difference == pytest.approx(np.mean(a) - np.mean(b), abs=1e-12)
    assert found.difference == pytest.approx(-other.difference)
    assert (found.low, found.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert found.better == pytest.approx(1 - other.better)
    differences = np.subtract(a, b)
    assert differences.min() - 1e-9 <= found.low <= found.high <= differences.max() + 1e-9


def test_the_bootstrap_of_equal_policies_is_centred():
    same = paired.paired_bootstrap("x", [1, 0, 1], [1, 0, 1])
    assert (same.difference, same.low, same.high, same.better) == (0, 0, 0, 0.5)
    assert same.relative == 0


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for trial in range(300):
        a, b = rng.random(40) < 0.7, rng.random(40) < 0.5
        found = paired.paired_bootstrap("x", a, b, resamples=400, seed=trial)
        hits += found.low <= 0.2 <= found.high
    assert 0.90 <= hits / 300 <= 0.98


def test_it_agrees_with_scipy():
    scipy = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    a = (rng.random(60) < 0.6).astype(float)
    b = np.where(rng.random(60) < 0.7, a, rng.random(60) < 0.3)
    found = paired.paired_bootstrap("x", a, b, resamples=20_000)
    wanted = scipy.bootstrap(
        (a, b),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=1,
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.02)


def test_pairing_is_what_narrows_the_interval():
    rng = np.random.default_rng(5)
    a = rng.random(80)
    b = np.clip(a - 0.1, 0, 1)
    together = paired.paired_bootstrap("x", a, b)
    apart = paired.paired_bootstrap("x", a, rng.permutation(b))
    assert together.high - together.low < 0.3 * (apart.high - apart.low)


def test_relative_improvement():
    found = paired.paired_bootstrap("x", [1, 1, 1, 0], [1, 0, 0, 1], resamples=2000)
    assert found.relative == pytest.approx(0.5)
    # In some resamples B has nothing at all, so there is no interval.
    assert found.relative_low is found.relative_high is None
    found = paired.paired_bootstrap("x", [0.6] * 20, [0.5, 0.3] * 10)
    assert found.relative == pytest.approx(0.5)
    assert found.relative_low <= 0.5 <= found.relative_high
    assert paired.relative(0.5, 0.0) is None


def test_many_pairs_are_resampled_in_parts(monkeypatch):
    whole = paired.paired_bootstrap("x", np.arange(9.0), np.ones(9), resamples=50)
    monkeypatch.setattr(paired, "_MOST_NUMBERS", 70)
    parts = paired.paired_bootstrap("x", np.arange(9.0), np.ones(9), resamples=50)
    assert parts == whole


def test_only_what_both_have_and_what_is_judged_is_a_pair():
    a = [Scored("a/x", 0, SUCCESS), Scored("a/x", 1, CRASH), Scored("b/z", 0, SUCCESS, 1.0)]
    b = [
        Scored("b/z", 0, FAILURE, 0.25),
        Scored("a/x", 1, SUCCESS),
        Scored("a/x", 0, FAILURE),
        Scored("a/y", 0, SUCCESS),
    ]
    assert [(one.task, one.episode) for one, _ in paired.pair(a, b)] == [("a/x", 0), ("b/z", 0)]
    found = paired.differences(a, b, TAGS)
    (overall,) = found["overall"]
    assert (overall.pairs, overall.a, overall.b) == (2, 1.0, 0.0)
    assert [one.name for one in found["task"]] == ["a/x", "b/z"]
    (of_z,) = [
        one for one in paired.differences(a, b, TAGS, "progress")["task"] if one.name == "b/z"
    ]
    assert of_z.difference == pytest.approx(0.75)
    with pytest.raises(NitrogenError, match="success or progress"):
        paired.differences(a, b, TAGS, "speed")


def test_other_seeds_are_no_pair():
    with pytest.raises(NitrogenError, match="same --seed"):
        paired.pair([Scored("a/x", 0, SUCCESS)], [Scored("a/x", 0, SUCCESS, seed=2)])
