"""Control steps: held against a definition that is written out once more, in whole fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.data.control import EARLY, Steps, exists, pool, resample, step_rows
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import layout_slices, neutral

NTSC = (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001))
RATES = (*map(Fraction, (24, 25, 30, 50, 60, 120)), *NTSC, Fraction(2997, 100), Fraction(5994, 100))
CONTROL_RATES = (10, 20, 30, 60)
SLICES = layout_slices()


def even(rate, rows):
    """(R,) float64 times of an evenly spaced recording."""
    return np.arange(rows) / float(rate)


def defined(steps, times, rate, frame, lag=0):
    """The rows of one frame's chunk, with the step before it, by the words of the module.

    All but `steps` are fractions: nothing is rounded.
    """
    found = []
    for k in range(-1, steps.horizon):
        if steps.rate is None:
            found.append(frame + steps.shift + k + lag)
            continue
        at = times[frame] + Fraction(steps.shift + k) / Fraction(steps.rate)
        early = Fraction(EARLY) / rate
        row = next((i for i, time in enumerate(times) if time >= at - early), None)
        if row is None:  # beyond the end rows would follow each other at this rate
            row = len(times)
            while times[-1] + (row - len(times) + 1) / rate < at - early:
                row += 1
        elif row == 0:
            while times[0] + (row - 1) / rate >= at - early:
                row -= 1
        found.append(row + lag)
    return found


# ---------------------------------------------------------------------------------------------
# Rows


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f}Hz")
@pytest.mark.parametrize("control_rate", [None, *CONTROL_RATES])
def test_rows_of_even_recordings(rate, control_rate):
    count, frames = 90, np.array([0, 1, 2, 7, 30, 31, 32, 33, 71, 88, 89])
    times = [Fraction(i) / rate for i in range(count)]
    for shift, lag in ((0, 0), (1, 0), (3, 0), (1, 2), (0, -2)):
        steps = Steps(18, shift, control_rate)
        rows = step_rows(steps, even(rate, count), float(rate), frames, lag)
        assert rows.dtype == np.int64
        wanted = [defined(steps, times, rate, frame, lag) for frame in frames]
        np.testing.assert_array_equal(rows, wanted)


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f}Hz")
@pytest.mark.parametrize("control_rate", CONTROL_RATES)
def test_rows_of_even_recordings_in_a_formula(rate, control_rate):
    """Where all rows are 1 / rate apart, step k is row frame + ceil((shift + k) ratio - EARLY)."""
    rows = int(20 * rate)
    frames = np.arange(rows)
    for shift in (0, 1, 3):
        ratio = rate / control_rate
        offsets = [math.ceil((shift + k) * ratio - Fraction(EARLY)) for k in range(-1, 18)]
        found = step_rows(Steps(18, shift, control_rate), even(rate, rows), float(rate), frames)
        np.testing.assert_array_equal(found, frames[:, None] + np.array(offsets))


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f}Hz")
@pytest.mark.parametrize("control_rate", CONTROL_RATES)
@pytest.mark.parametrize("rounded", [np.rint, np.floor, np.ceil])
def test_times_in_whole_milliseconds_change_nothing(rate, control_rate, rounded):
    times = even(rate, int(20 * rate))
    frames = np.arange(0, len(times), 3)
    milliseconds = rounded((times * 1000).round(9)) / 1000
    for shift in (0, 1, 3):
        steps = Steps(18, shift, control_rate)
        exact, coarse = (
            step_rows(steps, some, float(rate), frames) for some in (times, milliseconds)
        )
        inside = exists(exact, len(times))
        np.testing.assert_array_equal(exists(coarse, len(times)), inside)
        np.testing.assert_array_equal(exact[:, 1:][inside], coarse[:, 1:][inside])


@settings(max_examples=40)
@given(
    gaps=st.lists(st.integers(4, 80), min_size=8, max_size=50),
    control_rate=st.sampled_from([5, 10, 15, 20, 30, 60, 90]),
    shift=st.integers(0, 3),
    lag=st.integers(-3, 3),
)
def test_rows_of_uneven_recordings(gaps, control_rate, shift, lag):
    milliseconds = np.cumsum([0, *gaps])
    times = [Fraction(int(one), 1000) for one in milliseconds]
    rate = Fraction(len(gaps)) / times[-1]
    steps = Steps(6, shift, control_rate)
    found = step_rows(steps, milliseconds / 1000, float(rate), np.arange(len(times)), lag)
    for frame, row in enumerate(found.tolist()):
        assert row == defined(steps, times, rate, frame, lag)


@settings(max_examples=60)
@given(rate=st.floats(1, 240), shift=st.integers(0, 5), lag=st.integers(-5, 5))
def test_the_rate_of_the_recording_is_the_rate_of_the_frames(rate, shift, lag):
    frames = np.arange(100)
    by_frame = step_rows(Steps(18, shift), even(rate, 100), rate, frames, lag)
    by_time = step_rows(Steps(18, shift, rate), even(rate, 100), rate, frames, lag)
    np.testing.assert_array_equal(by_time, by_frame)


@settings(max_examples=60)
@given(
    gaps=st.lists(st.floats(0.001, 0.1), min_size=3, max_size=60),
    control_rate=st.sampled_from([5.0, 12.5, 20.0, 60.0, 200.0]),
    shift=st.integers(0, 3),
)
def test_a_step_is_the_first_frame_at_its_time_or_after(gaps, control_rate, shift):
    times = np.cumsum([0, *gaps])
    rate = len(gaps) / times[-1]
    frames, early = np.arange(len(times)), EARLY / rate
    rows = step_rows(Steps(9, shift, control_rate), times, rate, frames)
    for k in range(9):
        at, row = times + (shift + k) / control_rate, rows[:, k + 1]
        inside = exists(rows, len(times))[:, k]
        assert (times[row[inside]] >= at[inside] - early - 1e-9).all()
        assert (times[(row[inside] - 1).clip(0)] < at[inside] - early + 1e-9)[row[inside] > 0].all()
        assert (times[-1] < at[~inside] - early + 1e-9).all()
    assert (np.diff(rows) >= 0).all()


def test_no_lag_and_a_shift_of_one_is_the_very_next_frame():
    """Row i made frame i: who has seen frame 10 decides on row 11."""
    for control_rate in (None, 60):
        rows = step_rows(Steps(3, 1, control_rate), even(60, 100), 60.0, np.array([10]))
        assert rows.tolist() == [[10, 11, 12, 13]]


@pytest.mark.parametrize("control_rate", [None, 7, 30, 60, 90])
@pytest.mark.parametrize("lag", [-7, -1, 1, 4])
def test_a_lag_counts_rows(control_rate, lag):
    """Labels that come late by some rows, and the lag that says so: the same chunks as on time."""
    random = np.random.default_rng(0)
    count, frames = 80, np.arange(80)
    times = np.cumsum(random.uniform(0.01, 0.05, count))
    actions = random.random((count, 25)).astype(np.float32)
    late = np.full_like(actions, 9)
    late[max(lag, 0) : count + min(lag, 0)] = actions[max(-lag, 0) : count - max(lag, 0)]
    steps, rate = Steps(9, 1, control_rate), (count - 1) / (times[-1] - times[0])
    rows = step_rows(steps, times, rate, frames)
    late_rows = step_rows(steps, times, rate, frames, lag)
    np.testing.assert_array_equal(late_rows, rows + lag)
    chunks, there = resample(actions, rows)
    late_chunks, late_there = resample(late, late_rows)
    # All rows of a step, from the one after the step before, must be in both recordings.
    first = np.minimum(rows[:, :-1] + 1, rows[:, 1:])
    both = there & late_there & (first >= 0) & (first + lag >= 0)
    assert both.sum() > 100
    np.testing.assert_array_equal(chunks[both], late_chunks[both])
    np.testing.assert_array_equal(late_there, (rows[:, 1:] + lag >= 0) & (rows[:, 1:] + lag < 80))


@pytest.mark.parametrize("lag", [-4, -1, 0, 2])
def test_what_lies_beyond_the_end_does_not_exist(lag):
    """Even where labels come early, and so are known for some frames that nobody has seen."""
    frames = np.array([95, 99])
    rows = step_rows(Steps(8, 1, 30), even(60, 100), 60.0, frames, lag)
    np.testing.assert_array_equal(rows, frames[:, None] + 2 * np.arange(9) + lag)
    _, there = resample(np.zeros((100, 25), np.float32), rows)
    np.testing.assert_array_equal(there, rows[:, 1:] < 100)


def test_a_recording_of_one_row():
    rows = step_rows(Steps(3, 0, 20), np.zeros(1), 60.0, np.zeros(1, int))
    assert rows.tolist() == [[-3, 0, 3, 6]]
    assert exists(rows, 1).tolist() == [[True, False, False]]


@pytest.mark.parametrize("fields", [{}, {"rate": 20.0}])
def test_no_frames(fields):
    rows = step_rows(Steps(4, **fields), even(30, 9), 30.0, np.zeros(0, int))
    assert rows.shape == (0, 5)
    chunks, there = resample(np.zeros((9, 25), np.float32), rows)
    assert (chunks.shape, there.shape) == ((0, 4, 25), (0, 4))


# ---------------------------------------------------------------------------------------------
# Actions


@st.composite
def recordings(draw):
    """Times (R,), their rate, and sparse presses of one button (R,)."""
    gaps = draw(st.lists(st.integers(5, 50), min_size=20, max_size=80))
    if draw(st.booleans()):
        gaps = [gaps[0]] * len(gaps)
    times = np.cumsum([0, *gaps]) / 1000
    pressed = draw(st.lists(st.integers(0, len(gaps)), max_size=6))
    presses = np.zeros(len(times), np.float32)
    presses[pressed] = 1
    return times, len(gaps) / times[-1], presses


@settings(max_examples=60)
@given(one=recordings(), control_rate=st.sampled_from([5, 10, 20, 30, 60]), data=st.data())
def test_no_press_is_lost_and_none_is_made_up(one, control_rate, data):
    times, rate, presses = one
    shift = data.draw(st.integers(0, 2))
    button = data.draw(st.integers(0, 20))
    actions = neutral(len(times))
    actions[:, button] = presses
    steps = Steps(8, shift, control_rate)
    rows = step_rows(steps, times, rate, np.arange(len(times)))
    chunks, there = resample(actions, rows)
    for frame, chunk in enumerate(chunks):
        before, *steps_rows = rows[frame].tolist()
        for k, last in enumerate(steps_rows):
            first = min(before + 1, last)
            wanted = there[frame, k] and presses[max(first, 0) : last + 1].any()
            assert chunk[k, button] == wanted
            before = last
        first, last = max(rows[frame, 0] + 1, 0), rows[frame, 1:][there[frame]].max(initial=-1)
        assert chunk[:, button].any() >= presses[first : last + 1].any()
        other = np.delete(chunk[:, SLICES.buttons], button, axis=1)
        assert not other.any()


@settings(max_examples=30)
@given(one=recordings(), frame=st.integers(0, 19))
def test_a_press_belongs_to_one_step(one, frame):
    """At a lower rate, a press of a single row is in exactly one step."""
    times, rate, _ = one
    rows = step_rows(Steps(8, 1, 4), times, rate, np.array([frame]))
    assert (np.diff(rows) > 0).all()
    last = rows[0, 1:][exists(rows, len(times))[0]].max(initial=-1)
    for at in range(len(times)):
        actions = neutral(len(times))
        actions[at, 3] = 1
        chunks, _ = resample(actions, rows)
        assert chunks[0, :, 3].sum() == (rows[0, 0] < at <= last)


def test_one_press_at_a_third_of_the_rate():
    """60 Hz to 20 Hz by hand: rows 11..13 are step 0, 14..16 step 1 of the chunk of frame 10."""
    found = {}
    for at in range(9, 20):
        actions = neutral(60)
        actions[at, 0] = 1
        rows = step_rows(Steps(2, 1, 20), even(60, 60), 60.0, np.array([10]))
        found[at] = resample(actions, rows)[0][0, :, 0].tolist()
    assert rows.tolist() == [[10, 13, 16]]
    assert [at for at, steps in found.items() if steps == [1, 0]] == [11, 12, 13]
    assert [at for at, steps in found.items() if steps == [0, 1]] == [14, 15, 16]
    assert [at for at, steps in found.items() if steps == [0, 0]] == [9, 10, 17, 18, 19]


@pytest.mark.parametrize("times_faster", [2, 3, 5])
def test_a_higher_rate_repeats(times_faster):
    random = np.random.default_rng(0)
    actions = random.random((40, 25)).astype(np.float32)
    frames = np.arange(30)
    steps = Steps(4 * times_faster, times_faster, 24.0 * times_faster)
    fast, there = resample(actions, step_rows(steps, even(24, 40), 24.0, frames))
    slow, _ = resample(actions, step_rows(Steps(5, 1), even(24, 40), 24.0, frames))
    assert there.all()
    # Step k takes place between rows: the frame that it leads to is the next one.
    early = math.floor(EARLY * times_faster)
    wanted = np.repeat(slow, times_faster, 1)[:, times_faster - 1 - early :]
    np.testing.assert_array_equal(fast, wanted[:, : fast.shape[1]])


@settings(max_examples=40)
@given(one=recordings(), control_rate=st.sampled_from([None, 5, 30, 100]), lag=st.integers(-3, 3))
def test_sticks_are_those_of_the_row(one, control_rate, lag):
    times, rate, _ = one
    actions = np.random.default_rng(len(times)).random((len(times), 25)).astype(np.float32)
    rows = step_rows(Steps(5, 1, control_rate), times, rate, np.arange(len(times)), lag)
    chunks, there = resample(actions, rows)
    assert (chunks.dtype, there.dtype) == (np.float32, bool)
    last = rows[:, 1:]
    np.testing.assert_array_equal(there, (last >= 0) & (last < len(times)))
    np.testing.assert_array_equal(
        chunks[there][:, SLICES.sticks], actions[last[there]][:, SLICES.sticks]
    )
    np.testing.assert_array_equal(chunks[~there], neutral(int((~there).sum())))
    if (np.diff(rows) <= 1).all():
        np.testing.assert_array_equal(chunks[there], actions[last[there]])


@pytest.mark.parametrize("control_rate", [None, 60, 30])
def test_actions_are_left_as_they_are(control_rate):
    actions = np.random.default_rng(0).random((50, 25)).astype(np.float32)
    before = actions.copy()
    chunks, _ = resample(
        actions, step_rows(Steps(4, 1, control_rate), even(60, 50), 60.0, np.arange(9))
    )
    chunks[:] = 7
    np.testing.assert_array_equal(actions, before)


@settings(max_examples=60)
@given(data=st.data())
def test_pool_is_the_largest_of_the_rows_of_a_step(data):
    count = data.draw(st.integers(1, 15))
    shape = data.draw(st.sampled_from([(), (3,)]))
    values = np.random.default_rng(count).random((count, *shape)).astype(np.float32)
    starts = data.draw(st.lists(st.integers(-6, 16), min_size=1, max_size=4))
    gaps = data.draw(st.lists(st.integers(0, 5), min_size=3, max_size=3))
    rows = np.array(starts)[:, None] + np.cumsum([0, *gaps])
    found = pool(values, rows)
    assert found.shape == (len(starts), 3, *shape)
    for at, row in np.ndenumerate(rows[:, 1:]):
        first = min(rows[at] + 1, row)
        wanted = np.zeros(shape)
        if 0 <= row < count:
            wanted = values[max(first, 0) : row + 1].max(0)
        np.testing.assert_array_equal(found[at], wanted)


# ---------------------------------------------------------------------------------------------
# Steps


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"horizon": 0}, "horizon is 0 and shift 1"),
        ({"shift": -1}, "horizon is 18 and shift -1"),
        ({"rate": 0}, "control rate is 0"),
        ({"rate": -1.0}, "control rate is -1"),
        ({"rate": 1000.0}, "control rate is 1000"),
        ({"rate": math.nan}, "control rate is nan"),
        ({"rate": math.inf}, "control rate is inf"),
    ],
)
def test_steps_that_make_no_sense(fields, complaint):
    with pytest.raises(NitrogenError, match=complaint):
        Steps(**fields).check()


def test_steps_by_default():
    """A chunk of the released policy, for who acts at once on what it sees."""
    assert Steps().check() == Steps(horizon=18, shift=1, rate=None)
