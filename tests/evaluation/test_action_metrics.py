"""Metrics of predicted actions: their values, their undefined cases, and streaming."""

import json
from dataclasses import asdict
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.action_metrics import (
    ActionSums,
    action_metrics,
    add,
    merge,
    summarize,
)
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS, Pad, decode, neutral, pack

SOUTH, EAST = BUTTON_INDEX["SOUTH"], BUTTON_INDEX["EAST"]


def random_pad(seed, shape, density=0.2):
    rng = np.random.default_rng(seed)
    left, right = rng.uniform(-1, 1, (2, *shape, 2)).astype(np.float32)
    return Pad(rng.random((*shape, 21)) < density, left, right)


def idle(steps):
    return decode(neutral(steps))


def with_left(values):
    pad = idle(len(values))
    return Pad(pad.buttons, np.asarray(values, np.float32), pad.right)


def with_button(index, presses):
    pad = idle(len(presses))
    buttons = pad.buttons.copy()
    buttons[:, index] = presses
    return Pad(buttons, pad.left, pad.right)


# ---------------------------------------------------------------------------------------------
# Buttons


def test_button_scores_by_hand():
    true = with_button(SOUTH, [1, 1, 1, 0, 0, 0, 0, 0])
    predicted = with_button(SOUTH, [1, 1, 0, 1, 0, 0, 0, 0])
    buttons = action_metrics(predicted, true)["buttons"]
    assert buttons["per_button"]["SOUTH"] == {
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "accuracy": 6 / 8,
        "support": 3,
    }
    assert buttons["accuracy"] == 1 - 2 / (8 * 21)
    assert buttons["accuracy_of_idle"] == 1 - 3 / (8 * 21)
    assert buttons["support"] == 3


def test_micro_counts_presses_and_macro_counts_buttons():
    """One frequent button right and one rare button wrong; a button never pressed is left out."""
    true = with_button(SOUTH, [1] * 9 + [0])
    both = true.buttons.copy()
    both[9, EAST] = True
    true = Pad(both, true.left, true.right)
    predicted = with_button(SOUTH, [1] * 9 + [0])
    wrong = predicted.buttons.copy()
    wrong[0, BUTTON_INDEX["WEST"]] = True
    buttons = action_metrics(Pad(wrong, true.left, true.right), true)["buttons"]
    assert buttons["micro_f1"] == 2 * 9 / (2 * 9 + 1 + 1)
    assert buttons["macro_f1"] == (1.0 + 0.0) / 2


def test_predicting_nothing_scores_exactly_the_idle_baseline():
    true = random_pad(0, (50,))
    buttons = action_metrics(idle(50), true)["buttons"]
    assert buttons["accuracy"] == buttons["accuracy_of_idle"]
    assert buttons["accuracy_of_idle"] == pytest.approx(1 - true.buttons.mean())
    assert buttons["micro_f1"] == 0


def test_what_is_undefined_is_none():
    metrics = action_metrics(with_button(SOUTH, [1, 0]), with_button(EAST, [1, 0]))
    per_button = metrics["buttons"]["per_button"]
    # said but never true; true but never said; neither
    assert [per_button["SOUTH"][k] for k in ("precision", "recall", "f1")] == [0.0, None, 0.0]
    assert [per_button["EAST"][k] for k in ("precision", "recall", "f1")] == [None, 0.0, 0.0]
    assert [per_button["WEST"][k] for k in ("precision", "recall", "f1")] == [None, None, None]
    assert per_button["WEST"]["accuracy"] == 1
    assert metrics["sticks"]["left"]["r2"] is None
    assert metrics["sticks"]["left"]["angle_error_degrees"] is None


def test_no_steps_at_all_leave_everything_undefined():
    metrics = action_metrics(idle(0), idle(0))
    assert metrics["steps"] == 0
    assert metrics["buttons"]["accuracy"] is None
    assert metrics["buttons"]["macro_f1"] is None
    assert metrics["sticks"]["right"] == {
        "r2": None,
        "mae": None,
        "angle_error_degrees": None,
        "deflected": 0,
    }
    assert summarize(ActionSums()) == metrics


def test_float_buttons_are_thresholded():
    true = with_button(SOUTH, [1, 0])
    raw = Pad(np.where(true.buttons, 0.6, 0.5), true.left, true.right)
    assert action_metrics(raw, true)["buttons"]["accuracy"] == 1


# ---------------------------------------------------------------------------------------------
# Sticks


def test_stick_scores_agree_with_their_formulas():
    true, predicted = random_pad(1, (40, 6)), random_pad(2, (40, 6))
    sticks = action_metrics(predicted, true)["sticks"]
    for name in ("left", "right"):
        t = getattr(true, name).reshape(-1, 2).astype(float)
        p = getattr(predicted, name).reshape(-1, 2).astype(float)
        r2 = 1 - ((p - t) ** 2).sum() / ((t - t.mean(0)) ** 2).sum()
        assert sticks[name]["r2"] == pytest.approx(r2, abs=1e-4)
        assert sticks[name]["mae"] == pytest.approx(np.abs(p - t).mean(), abs=1e-4)
        length = np.linalg.norm(t, axis=1)
        far = length > 0.3
        cosine = (p * t).sum(1) / (length * np.linalg.norm(p, axis=1))
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))[far].mean()
        assert sticks[name]["angle_error_degrees"] == pytest.approx(angle, abs=0.01)
        assert sticks[name]["deflected"] == far.sum()


def test_r2_is_one_when_right_zero_for_the_mean_and_below_when_worse():
    true = with_left([[-1, 0.5], [1, 0.5], [0.5, -1], [-0.5, 0]])
    mean = with_left([true.left.mean(0)] * 4)
    flipped = Pad(true.buttons, -true.left, true.right)
    r2 = [action_metrics(p, true)["sticks"]["left"]["r2"] for p in (true, mean, flipped)]
    assert r2[:2] == [1, 0]
    assert r2[2] < 0


def test_a_vector_round_trip_does_not_cost_anything():
    true = random_pad(3, (30,))
    metrics = action_metrics(decode(pack(true)), true)
    assert metrics["sticks"]["left"]["r2"] == pytest.approx(1, abs=1e-8)
    assert metrics["buttons"]["micro_f1"] == 1


@pytest.mark.parametrize(
    ("predicted", "true", "degrees"),
    [
        ((1, 0), (1, 0), 0),
        ((0.01, 0.01), (1, 0), 45),  # the direction counts, not the length
        ((0, -1), (0.5, 0), 90),
        ((-1, 0), (1, 0), 180),
        ((-1, 0.1), (-1, -0.1), 2 * np.degrees(np.arctan(0.1))),  # across the cut of arctan2
        ((0, 0), (1, 0), 90),  # at rest it points nowhere
        ((1, 0), (0.2, 0.2), None),  # the true stick is deflected too little
    ],
)
def test_angle_errors_by_hand(predicted, true, degrees):
    left = action_metrics(with_left([predicted]), with_left([true]))["sticks"]["left"]
    expected = None if degrees is None else pytest.approx(degrees, abs=0.01)
    assert left["angle_error_degrees"] == expected
    assert left["deflected"] == (degrees is not None)


def test_mae_is_per_axis():
    left = action_metrics(with_left([[0.5, 0]]), with_left([[0, 0.25]]))["sticks"]["left"]
    assert left["mae"] == (0.5 + 0.25) / 2


# ---------------------------------------------------------------------------------------------
# Masks and streaming


@given(st.integers(0, 2**32 - 1))
def test_invalid_steps_do_not_exist(seed):
    true, predicted = random_pad(seed, (4, 5)), random_pad(seed + 1, (4, 5))
    valid = np.random.default_rng(seed).random((4, 5)) < 0.6
    masked = action_metrics(predicted, true, valid)
    assert masked == action_metrics(predicted[valid], true[valid])
    assert masked["steps"] == valid.sum()


batch_sizes = st.lists(st.integers(0, 70), max_size=6)


@given(st.integers(0, 2**32 - 1), batch_sizes, st.randoms(use_true_random=False))
def test_streamed_metrics_are_exactly_those_of_all_at_once(seed, sizes, random):
    total = sum(sizes)
    true, predicted = random_pad(seed, (total,)), random_pad(seed + 1, (total,))
    valid = np.random.default_rng(seed).random(total) < 0.8
    ends = np.cumsum(sizes, dtype=int)
    cuts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    random.shuffle(cuts)
    sums = ActionSums()
    for cut in cuts:
        sums = add(sums, predicted[cut], true[cut], valid[cut])
    apart = [add(ActionSums(), predicted[cut], true[cut], valid[cut]) for cut in cuts]
    at_once = add(ActionSums(), predicted, true, valid)
    assert sums == at_once
    assert reduce(merge, apart, ActionSums()) == at_once
    assert summarize(sums) == action_metrics(predicted, true, valid)


def test_adding_leaves_the_old_sums_alone():
    before = add(ActionSums(), random_pad(0, (5,)), random_pad(1, (5,)))
    copy = asdict(before)
    after = add(before, random_pad(2, (5,)), random_pad(3, (5,)))
    assert asdict(before) == copy
    assert after != before


@given(st.integers(0, 100), st.integers(0, 5))
def test_metrics_survive_json(seed, steps):
    metrics = action_metrics(random_pad(seed, (steps,)), random_pad(seed + 1, (steps,)))
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert set(metrics["buttons"]["per_button"]) == set(BUTTONS)


@pytest.mark.parametrize(
    ("predicted", "true", "valid", "message"),
    [
        (idle(3), idle(4), None, r"leading shape \(3,\) and true ones \(4,\)"),
        (idle(3), idle(3), np.ones(4, bool), r"bool of shape \(4,\), where bool of shape \(3,\)"),
        (idle(3), idle(3), np.ones(3), r"mask of valid steps is float64"),
    ],
)
def test_what_does_not_fit_is_refused(predicted, true, valid, message):
    with pytest.raises(NitrogenError, match=message):
        action_metrics(predicted, true, valid)
