"""What may be said of two players, and what may not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.evaluation import scores
from nitrogen_jax.evaluation.scores import Score
from nitrogen_jax.evaluation.statistics import wilson


def made(name: str, successes: int, judged: int) -> Score:
    low, high = wilson(successes, judged)
    rate = successes / judged if judged else None
    return Score(name, successes, judged, rate, low, high, rate, rate, rate, 0)


def test_it_is_said_only_where_the_intervals_are_apart():
    better, words = scores.verdict(made("the policy", 20, 40), made("random play", 0, 40))
    assert better
    assert words == (
        "The policy beats random play: 20 of 40 (50 %, 35 to 65 %) against 0 of 40 (0 %, 0 to 9 "
        "%). The 95 % intervals do not overlap."
    )
    better, words = scores.verdict(made("the policy", 5, 40), made("random play", 1, 40))
    assert not better
    assert words.startswith("It is not shown that the policy beats random play: ")
    assert words.endswith("The 95 % intervals overlap.")


def test_the_contrary_is_said_as_plainly():
    better, words = scores.verdict(made("the policy", 0, 40), made("random play", 20, 40))
    assert not better
    assert "The policy does worse than random play" in words


def test_nothing_is_said_of_nothing():
    better, words = scores.verdict(made("the policy", 0, 0), made("random play", 0, 40))
    assert not better
    assert "Nothing can be said" in words
    assert "no judged episode against 0 of 40" in words


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40))
def test_better_needs_intervals_that_do_not_overlap(one, other, judged):
    pair = made("a", min(one, judged), judged), made("b", min(other, judged), judged)
    better, words = scores.verdict(*pair)
    assert better == (pair[0].low > pair[1].high)
    assert scores.apart(*pair) == scores.apart(*reversed(pair))
    assert better == (" beats " in words and "not shown" not in words)


def test_progress_is_another_question():
    def at(name: str, low: float, high: float) -> Score:
        middle = (low + high) / 2
        one = made(name, 0, 20)
        return dataclasses.replace(one, progress=middle, progress_low=low, progress_high=high)

    far, near = at("the policy", 0.6, 0.8), at("random play", 0.1, 0.2)
    assert scores.further(far, near) == (
        True,
        "The policy gets further than random play: mean progress 0.70 (0.60 to 0.80) against "
        "0.15 (0.10 to 0.20). The 95 % intervals do not overlap.",
    )
    assert not scores.verdict(far, near)[0]
    assert scores.further(near, far)[0] is False
    assert "does not get as far as" in scores.further(near, far)[1]
    better, words = scores.further(far, at("random play", 0.5, 0.65))
    assert not better
    assert words.startswith("It is not shown that the policy gets further")
    nobody = dataclasses.replace(near, progress=None)
    assert "Nothing can be said" in scores.further(far, nobody)[1]


def test_the_interval_of_a_mean():
    values = np.random.default_rng(0).normal(0.5, 0.1, 100).tolist()
    low, high = scores.mean_interval(values)
    # The normal approximation.
    assert (low + high) / 2 == pytest.approx(np.mean(values), abs=0.005)
    assert high - low == pytest.approx(2 * 1.96 * np.std(values) / 10, rel=0.15)
    assert scores.mean_interval(values) == (low, high)
    assert scores.mean_interval([]) == (None, None)
    assert scores.mean_interval([0.3]) == (0.3, 0.3)


def test_progress_in_words():
    one = dataclasses.replace(made("a", 1, 2), progress_low=0.25, progress_high=0.75)
    assert scores.progressed(one) == "0.50 (0.25 to 0.75)"
    assert scores.progressed(made("a", 0, 0)) == "-"
