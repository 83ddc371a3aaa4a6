"""Scores: by hand on small cases, and what must hold of any labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS
from nitrogen_jax.labeling.accuracy.score import LAGS, r2, reliability, score, summary
from nitrogen_jax.labeling.skins.skin import States

METRICS = {
    *("clips", "coverage", "localisation_recall", "false_accepts", "stick_r2", "stick_r2_p10"),
    *("stick_r2_bestlag", "button_macro_f1", "onset_f1", "button_accuracy", "idle_accuracy"),
}


def played(seed: int, number: int = 80) -> States:
    """Sticks that wander and buttons that are held for some frames."""
    rng = np.random.default_rng(seed)
    states = States.idle(number)
    for stick in (states.left, states.right):
        stick[:] = np.clip(np.cumsum(rng.normal(0, 0.3, (number, 2)), 0), -1, 1)
    held = rng.random((number // 4 + 1, len(BUTTONS))) < 0.3
    states.buttons[:] = held.repeat(4, 0)[:number]
    return states


def buttons(name: str, rows: list[int]) -> States:
    states = States.idle(len(rows))
    states.buttons[:, BUTTON_INDEX[name]] = rows
    return states


def all_of(states: States) -> np.ndarray:
    return np.ones(states.number, bool)


def clip(one, kind="known", located=True, accepted=True, frames=None) -> dict:
    """A clip as `run.clip` returns it."""
    frames = frames or (one["frames"] if one else 100)
    shown = {"kind": kind, "located": located, "accepted": accepted, "frames": frames}
    return {**shown, "score": one}


def test_r2_by_hand():
    true = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    assert r2(true, true) == 1
    # Around the mean (.5, .5) lie 8 squares of a quarter; one value is off by a half.
    read = true.copy()
    read[0, 0] = 0.5
    assert r2(read, true) == pytest.approx(1 - 0.25 / 2)
    assert r2(np.full((4, 2), 0.5), true) == pytest.approx(0)


def test_buttons_by_hand():
    read = buttons("SOUTH", [0, 1, 1, 0, 0, 0, 1, 1, 0, 0])
    true = buttons("SOUTH", [0, 0, 1, 1, 0, 0, 0, 0, 0, 1])
    found = score(read, true, all_of(read), ["SOUTH", "EAST"])
    # Right: frame 2. Wrong: 1, 6, 7. Missed: 3, 9. The onset of 2 is said a frame early; that of 6
    # is none; that of 9 is missed.
    assert found["buttons"]["SOUTH"] == [1, 3, 2, 1, 2, 2]
    assert found["buttons"]["EAST"] == [0, 0, 0, 0, 0, 0]
    assert set(found["buttons"]) == {"SOUTH", "EAST"}
    assert (found["right"], found["idle"], found["cells"]) == (15, 17, 20)
    totals = summary([clip(found)])
    assert totals["button_macro_f1"] == pytest.approx(2 / (2 + 3 + 2))  # of SOUTH alone
    assert totals["onset_f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert totals["button_accuracy"] == 15 / 20
    assert totals["idle_accuracy"] == 17 / 20


def test_reliability_by_hand():
    read, true = buttons("SOUTH", [1, 1, 0, 0, 0, 0]), buttons("SOUTH", [1, 0, 0, 0, 0, 0])
    read.left[2], read.right[3] = (0.1, 0.1), (0.15, 0.15)  # 0.14 and 0.21 away
    read.buttons[4, BUTTON_INDEX["NORTH"]] = True  # which the overlay does not show
    confidence = np.array([1.0, 0.95, 0.95, 0.95, 0.3, 0.0])
    frames, right = reliability(read, true, confidence, ["SOUTH"])
    assert frames == [1, 0, 0, 1, 0, 0, 0, 0, 0, 4]
    assert right == [1, 0, 0, 1, 0, 0, 0, 0, 0, 2]


@pytest.mark.parametrize(("late", "found"), [(-2, 0), (-1, 1), (0, 1), (1, 1), (2, 0)])
def test_onsets_may_be_a_frame_off(late, found):
    true, read = buttons("EAST", [0] * 12), buttons("EAST", [0] * 12)
    true.buttons[5:9, BUTTON_INDEX["EAST"]] = True
    read.buttons[5 + late : 9, BUTTON_INDEX["EAST"]] = True
    assert score(read, true, all_of(read), ["EAST"])["buttons"]["EAST"][3:] == [found, 1, 1]


def test_an_onset_is_found_once():
    true = buttons("EAST", [0, 0, 1, 1, 1, 1, 1])
    read = buttons("EAST", [0, 1, 0, 1, 0, 0, 0])  # said twice, a frame early and a frame late
    assert score(read, true, all_of(read), ["EAST"])["buttons"]["EAST"][3:] == [1, 2, 1]


def test_the_mean_error_by_hand():
    true, read = played(0), played(0)
    read.left[:, 0] = np.clip(true.left[:, 0], -0.9, 0.9) + 0.1 * np.sign(0.5)
    expected = np.abs(read.left - true.left).mean()
    assert score(read, true, all_of(read), [])["sticks"]["left"]["mae"] == pytest.approx(expected)


@given(st.integers(0, 1000), st.integers(20, 120))
@settings(max_examples=30)
def test_perfect_labels_are_perfect(seed, number):
    states = played(seed, number)
    found = score(states, states, all_of(states), BUTTONS)
    for stick in found["sticks"].values():
        assert stick["r2"] in (None, 1.0)
        assert stick["r2"] == stick["r2_bestlag"]
        assert (stick["lag"], stick["mae"]) == (0, 0)
    totals = summary([clip(found)])
    for name in ("stick_r2", "stick_r2_p10", "stick_r2_bestlag", "button_macro_f1", "onset_f1"):
        assert totals[name] in (None, 1.0)
    assert totals["button_accuracy"] == totals["coverage"] == 1
    assert totals["idle_accuracy"] <= 1


@given(st.integers(0, 1000), st.integers(-LAGS, LAGS))
@settings(max_examples=30)
def test_a_shift_is_found_as_the_best_lag(seed, lag):
    true = played(seed)
    rows = np.clip(np.arange(true.number) - lag, 0, true.number - 1)
    late = true.take(rows)  # what frame i shows is said at frame i + lag
    for stick in score(late, true, all_of(true), [])["sticks"].values():
        if stick["r2"] is not None:
            assert stick["lag"] == lag
            assert stick["r2_bestlag"] == pytest.approx(1)
            assert stick["r2"] <= stick["r2_bestlag"]


@given(st.integers(0, 1000), st.integers(0, 60))
@settings(max_examples=30)
def test_dropping_frames_of_perfect_labels_changes_coverage_only(seed, dropped):
    states = played(seed)
    kept = all_of(states)
    kept[np.random.default_rng(seed).permutation(states.number)[:dropped]] = False
    found = summary([clip(score(states, states, kept, BUTTONS))])
    assert found["coverage"] == pytest.approx(1 - dropped / states.number)
    for name in ("stick_r2", "stick_r2_bestlag", "button_macro_f1", "onset_f1", "button_accuracy"):
        assert found[name] in (None, 1.0)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 79))
@settings(max_examples=30)
def test_labels_of_frames_that_are_dropped_do_not_count(seed, other, first):
    """Whatever an unsure frame says; onsets aside, which need the frame before."""
    true, read, wild = played(seed), played(seed + 1), played(other)
    kept = np.arange(true.number) < first
    mixed = States(
        *(
            np.where(kept.reshape(-1, *[1] * (a.ndim - 1)), a, b)
            for a, b in zip(read, wild, strict=True)
        )
    )
    one, two = (score(labels, true, kept, BUTTONS) for labels in (read, mixed))
    assert [six[:3] for six in one["buttons"].values()] == [
        six[:3] for six in two["buttons"].values()
    ]
    for side in ("left", "right"):
        assert one["sticks"][side]["r2"] == two["sticks"][side]["r2"]
    assert (one["right"], one["idle"], one["cells"]) == (two["right"], two["idle"], two["cells"])


def test_a_stick_that_rests_has_no_r2():
    true, read = States.idle(50), played(3, 50)
    stick = score(read, true, all_of(true), [])["sticks"]["left"]
    assert stick["r2"] is None
    assert stick["r2_bestlag"] is None
    assert stick["mae"] > 0
    nothing = score(read, true, np.zeros(50, bool), ["SOUTH"])
    assert nothing["sticks"]["left"]["mae"] is None
    assert nothing["cells"] == nothing["kept"] == 0


# ---------------------------------------------------------------------------------------------
# Over clips


def noisy(seed: int, amount: float) -> dict:
    rng, true = np.random.default_rng(seed), played(seed)
    read = States(*(part.copy() for part in true))
    read.left[:] += rng.normal(0, amount, true.left.shape)
    read.right[:] += rng.normal(0, amount, true.left.shape)
    read.buttons[:] ^= rng.random(read.buttons.shape) < amount / 4
    kept = rng.random(true.number) < 0.9
    return clip(score(read, true, kept, BUTTONS[:6]), located=bool(rng.random() < 0.8))


def test_counts_of_clips():
    states = played(1)
    good = score(states, states, all_of(states), ["SOUTH"])
    clips = [
        clip(good),
        clip(good, located=False),
        clip(None, located=False, accepted=False, frames=40),
        clip(None, kind="none", accepted=False),
        clip(good, kind="none", accepted=True),
    ]
    found = summary(clips)
    assert found["clips"] == 5
    assert found["false_accepts"] == 1
    assert found["localisation_recall"] == pytest.approx(1 / 3)
    # Clips without an overlay have nothing to cover; of one clip nothing was read.
    assert found["coverage"] == pytest.approx(160 / 200)


def test_counts_of_buttons_are_pooled_before_f1():
    one = {"SOUTH": [2, 0, 0, 1, 1, 1], "EAST": [0, 0, 0, 0, 0, 0]}
    two = {"SOUTH": [0, 1, 1, 0, 1, 1], "EAST": [0, 4, 0, 0, 2, 0]}
    base = {"frames": 10, "kept": 10, "right": 1, "idle": 1, "cells": 20}
    sticks = [{"left": {"r2": v, "r2_bestlag": w}} for v, w in ((0.5, 0.7), (0.9, 0.9))]
    found = summary(
        [clip({**base, "buttons": b, "sticks": s}) for b, s in zip((one, two), sticks, strict=True)]
    )
    # EAST is never pressed: it counts for accuracy and not for F1.
    assert found["button_macro_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert found["onset_f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert found["stick_r2"] == pytest.approx(0.7)
    assert found["stick_r2_bestlag"] == pytest.approx(0.8)
    assert found["stick_r2_p10"] == pytest.approx(0.54)
    assert found["button_accuracy"] == pytest.approx(2 / 40)


@given(st.integers(0, 1000), st.integers(2, 12), st.floats(0.02, 0.5))
@settings(max_examples=5)
def test_intervals_contain_the_point(seed, number, amount):
    clips = [noisy(seed + i, amount) for i in range(number)]
    clips.append(clip(None, kind="none", accepted=bool(seed % 2)))
    found = summary(clips)
    assert set(found) == METRICS | {"intervals"}
    assert set(found["intervals"]) == METRICS - {"clips"}
    for name, ends in found["intervals"].items():
        low, high = ends
        assert low - 1e-9 <= found[name] <= high + 1e-9, name


def test_intervals_narrow_with_the_number_of_clips():
    clips = [noisy(i, 0.3) for i in range(5)]

    def width(some):
        low, high = summary(some)["intervals"]["stick_r2"]
        return high - low

    # Of nine times as many clips that scatter as much: a third.
    assert width(clips * 9) == pytest.approx(width(clips) / 3, rel=0.25)


def test_intervals_are_the_same_every_time():
    clips = [noisy(i, 0.2) for i in range(3)]
    assert summary(clips) == summary(clips)


def test_one_clip_has_no_intervals_and_nothing_is_nothing():
    found = summary([clip(None, kind="none", accepted=False)])
    assert found["clips"] == 1
    assert found["false_accepts"] == 0
    others = METRICS - {"clips", "false_accepts"}
    assert {found[name] for name in others} == {None}
    assert set(found["intervals"].values()) == {None}
