"""What frames say of one another: against all paths, and what habits make of weak readings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.labeling.fit import habits
from nitrogen_jax.labeling.fit.habits import Habit
from nitrogen_jax.labeling.fit.over_time import told
from nitrogen_jax.labeling.fit.read import GRID, REACH, Reading
from nitrogen_jax.labeling.fit.settle import settle
from nitrogen_jax.labeling.fit.together import CAUTION, CLEAREST, clear_ones
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element

CLEAR = np.zeros((4, 4, 4), np.uint8)
DRAWN = np.full((4, 4, 4), 255, np.uint8)


def by_all_paths(scores: np.ndarray, habit: Habit, temper: float) -> np.ndarray:
    """(N, K) probabilities, summed over every path there is."""
    number, states = scores.shape
    total = np.zeros(scores.shape)
    for path in itertools.product(range(states), repeat=number):
        chance = habit.first[path[0]] * np.exp(scores[0, path[0]] / temper)
        for at in range(1, number):
            chance *= habit.next[path[at - 1], path[at]] * np.exp(scores[at, path[at]] / temper)
        total[np.arange(number), path] += chance
    return total / total.sum(1, keepdims=True)


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 3), st.floats(0.5, 5))
@settings(max_examples=40)
def test_probabilities_are_those_of_all_paths(seed, number, states, temper):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 4, (number, 2, states))
    first, after = rng.random(states) + 0.01, rng.random((states, states)) + 0.01
    habit = Habit(first / first.sum(), after / after.sum(1, keepdims=True))
    found = told(scores, habit, temper)
    for chain in range(2):
        wanted = by_all_paths(scores[:, chain], habit, temper)
        np.testing.assert_allclose(found.sure[:, chain], wanted, atol=1e-9)
        # What the others say and what a frame shows make the probabilities.
        both = found.others[:, chain] + scores[:, chain] / temper
        both = np.exp(both - both.max(1, keepdims=True))
        np.testing.assert_allclose(both / both.sum(1, keepdims=True), wanted, atol=1e-6)


def test_scores_that_are_far_apart_leave_numbers():
    scores = np.array([[[0.0, -1e6]], [[-1e6, 0.0]], [[0.0, -1e6]]])
    found = told(scores, habits.button(1 / 60), 4.0)
    assert np.isfinite(found.others).all()
    np.testing.assert_allclose(found.sure[:, 0, 1], [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("seconds", [1 / 240, 1 / 60, 1 / 30, 1 / 10, 3.0])
def test_habits_are_probabilities(seconds):
    kinds = [
        habits.stick(seconds),
        habits.button(seconds),
        habits.dpad(seconds),
        habits.bar(13, seconds),
        habits.bar(2, seconds),
    ]
    for habit in kinds:
        np.testing.assert_allclose(habit.first.sum(), 1)
        np.testing.assert_allclose(habit.next.sum(1), 1)
        assert habit.first.min() > 0
        assert habit.next.min() > 0
        rest = GRID * GRID // 2 if len(habit.first) == GRID * GRID else 0
        assert habit.first.argmax() == rest
        assert habit.next[rest].argmax() == rest


def test_more_happens_in_more_time():
    for kind in (habits.stick, habits.button, habits.dpad):
        short, long = np.diag(kind(1 / 60).next), np.diag(kind(1 / 15).next)
        assert (long < short).all()


def button(name: str = "SOUTH") -> Element:
    return Element("button", name, (0, 0), (CLEAR, DRAWN), name)


def stick() -> Element:
    return Element("stick", "left", (0, 0), (CLEAR, CLEAR), None, "left")


class Model:
    """What `settle` has to know of an element's model."""

    def __init__(self, element: Element):
        self.element = element


def of_button(ratio, energy=1.0) -> Reading:
    """A button that is pressed by so much (N,)."""
    ratio = np.asarray(ratio, float)
    scores = np.stack([np.zeros_like(ratio), ratio], 1)
    energy = np.broadcast_to(np.asarray(energy, float), ratio.shape).copy()
    value = (ratio > 0).astype(np.float32)[:, None]
    return Reading(value, np.maximum(ratio, 0), energy, ratio[:, None], 0.0, scores)


def of_stick(places, gaps) -> Reading:
    """A stick that is seen at (N, 2) by so much (N,) better than at rest."""
    places, gaps = np.asarray(places, float), np.asarray(gaps, float)
    axis = np.linspace(-REACH, REACH, GRID)
    grid = np.stack([part.ravel() for part in np.meshgrid(axis, axis)], -1)
    apart = ((grid[None] - places[:, None]) ** 2).sum(-1)
    scores = gaps[:, None] * np.exp(-0.5 * apart / 0.25**2)
    rest = GRID * GRID // 2
    gap = scores.max(1) - scores[:, rest]
    value = np.concatenate([places, np.zeros((len(places), 1))], 1).astype(np.float32)
    press = np.full((len(places), 1), -np.inf)
    return Reading(value, gap, np.ones(len(places)), press, 0.0, scores)


def presses(ratio, energy=1.0, seconds=1 / 60, **other) -> list[int]:
    found = settle([Model(button())], [of_button(ratio, energy)], seconds=seconds, **other)
    return np.flatnonzero(found.states.buttons.any(1)).tolist()


def test_a_weak_frame_of_a_press_is_filled_in():
    ratio = np.full(40, -30.0)
    ratio[10:20] = 40
    ratio[14:16] = 2  # an explosion behind it
    assert presses(ratio) == list(range(10, 20))
    ratio[14:16] = -60  # it was let go
    assert presses(ratio) == [*range(10, 14), *range(16, 20)]


def test_a_weak_frame_alone_is_no_press():
    ratio = np.full(40, -30.0)
    ratio[10] = 8
    assert presses(ratio) == []
    ratio[10] = 60
    assert presses(ratio) == [10]


def test_what_is_never_clear_is_no_press_however_long_it_lasts():
    ratio = np.full(80, -30.0)
    ratio[20:60] = 0.8 * CLEAREST
    assert presses(ratio) == []
    ratio[40] = CAUTION + 1.2 * CLEAREST
    assert presses(ratio)[1:-1] == list(range(presses(ratio)[0] + 1, presses(ratio)[-1]))
    assert len(presses(ratio)) > 30


def test_frames_by_themselves_are_not_asked():
    ratio = np.full(40, -30.0)
    ratio[10:20] = 40
    ratio[14] = 2
    assert 14 in presses(ratio)
    assert 14 not in presses(ratio, without=("time",))
    assert 14 in presses(ratio, without=("settle",))


def test_an_unsure_frame_says_so():
    ratio = np.full(40, -60.0)
    ratio[20:] = 60
    ratio[19:21] = 0
    found = settle([Model(button())], [of_button(ratio)]).confidence
    assert found[20] < 0.8
    assert found[19] < 0.95
    assert np.delete(found, [19, 20]).min() > 0.9


def test_a_stick_that_is_hard_to_see_is_followed():
    angle = np.linspace(0, 3, 60)
    places = 0.9 * np.stack([np.cos(angle), np.sin(angle)], -1)
    places[:15] = places[45:] = 0
    gaps = np.full(60, 9.0)  # of SURE = 10 in a frame by itself
    gaps[:15] = gaps[45:] = 20
    reading = of_stick(places, gaps)
    found = settle([Model(stick())], [reading], seconds=1 / 60).states.left
    apart = np.hypot(*(found - places).T)
    assert (apart < 0.2).mean() > 0.9
    alone = settle([Model(stick())], [reading], ("time",)).states.left
    assert (np.hypot(*(alone - places).T) < 0.2).mean() < 0.7


def test_a_stick_does_not_leap_for_one_weak_frame():
    places = np.zeros((40, 2))
    places[20] = 0.8, -0.5
    gaps = np.full(40, 20.0)
    gaps[20] = 8
    found = settle([Model(stick())], [of_stick(places, gaps)], seconds=1 / 60)
    assert not found.states.left.any()
    gaps[20] = 200
    found = settle([Model(stick())], [of_stick(places, gaps)], seconds=1 / 60)
    np.testing.assert_allclose(found.states.left[20], [0.8, -0.5], atol=0.1)
    assert not np.delete(found.states.left, 20, 0).any()


def test_sticks_are_read_to_a_fraction_of_the_grid():
    rng = np.random.default_rng(0)
    angle, far = rng.uniform(0, 2 * np.pi, 200), rng.uniform(0.4, 0.9, 200)
    places = far[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    found = settle([Model(stick())], [of_stick(places, np.full(200, 5000.0))]).states.left
    assert np.abs(found - places).max() < 0.06


def test_each_of_two_sticks_and_many_buttons_has_its_own_row():
    other = Element("stick", "right", (0, 0), (CLEAR, CLEAR), None, "right")
    left, right = np.zeros((30, 2)), np.zeros((30, 2))
    left[5:15], right[12:20] = (0.9, 0.0), (0.0, -0.9)
    south, east = np.full(30, -50.0), np.full(30, -50.0)
    south[3:9], east[20:25] = 50, 50
    readings = [
        of_button(south),
        of_stick(right, np.full(30, 300.0)),
        of_button(east),
        of_stick(left, np.full(30, 300.0)),
    ]
    models = [Model(button()), Model(other), Model(button("EAST")), Model(stick())]
    found = settle(models, readings).states
    np.testing.assert_allclose(found.left, left, atol=0.1)
    np.testing.assert_allclose(found.right, right, atol=0.1)
    rows = [np.flatnonzero(column).tolist() for column in found.buttons.T if column.any()]
    assert sorted(rows) == [list(range(3, 9)), list(range(20, 25))]


def test_d_pads_hold_their_way():
    pad = Element("dpad", "dpad", (0, 0), (CLEAR,) * 9)
    scores = np.full((40, 9), -40.0)
    scores[:, 0] = 0
    right = DPAD_STATES.index((1, 0))
    scores[10:20, right] = 30
    scores[15] = 0  # this frame says nothing
    best = scores.argmax(1)
    value = np.array(DPAD_STATES, np.float32)[best]
    press = np.full((40, 4), -1.0)
    reading = Reading(value, scores.max(1) - scores[:, 0], np.ones(40), press, 0.0, scores)
    found = settle([Model(pad)], [reading], seconds=1 / 60).states.buttons
    assert np.flatnonzero(found.any(1)).tolist() == list(range(10, 20))
    assert found.sum() == 10


def test_bars_go_on_as_they_did():
    element = Element("trigger", "t", (0, 0), (CLEAR, DRAWN), None, "left", (0, 0), True, "up")
    level = np.concatenate([np.zeros(10), np.linspace(0, 1, 10), np.ones(10), np.zeros(10)])
    levels = np.linspace(0, 1, 13)
    scores = -0.5 * ((levels[None] - level[:, None]) / 0.02) ** 2
    scores[25] = 0  # this frame says nothing
    rows = np.arange(40)
    gap = scores.max(1) - scores[:, 0]
    press = scores[:, levels >= 0.5].max(1) - scores[:, levels < 0.5].max(1)
    value = level.copy()
    value[25] = 0
    reading = Reading(value[:, None], gap, np.ones(40), press[:, None], 0.0, scores)
    found = settle([Model(element)], [reading], seconds=1 / 60)
    assert np.abs(found.states.triggers[rows, 0] - level).max() < 0.12  # a first hint is none
    np.testing.assert_array_equal(found.states.buttons.any(1), level >= 0.5)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 100))
def test_clear_presses_stay_whole(pressed, seed):
    pressed = np.array(pressed)
    ratio = np.random.default_rng(seed).normal(CLEAREST, 5, len(pressed))
    kept = clear_ones(pressed, ratio)
    assert not (kept & ~pressed).any()
    assert kept[pressed & (ratio >= CLEAREST)].all()
    # A press stays as a whole or goes as a whole.
    assert (kept[1:] == kept[:-1])[pressed[1:] & pressed[:-1]].all()


def test_an_element_that_is_hardly_ever_sure_is_never_trusted():
    """Where nearly all frames of a stick could be anything, the few clear ones are chance, too."""
    rng = np.random.default_rng(1)
    places = rng.uniform(-0.9, 0.9, (200, 2))
    clear = of_stick(places, np.full(200, 300.0))
    gaps = np.where(np.arange(200) % 20 == 0, 60.0, 3.0)
    doubtful = of_stick(places, gaps)
    assert np.median(settle([Model(stick())], [clear]).confidence) > 0.9
    assert settle([Model(stick())], [doubtful]).confidence.max() < 0.5
