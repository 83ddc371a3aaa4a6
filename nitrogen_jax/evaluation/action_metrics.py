"""How well predicted actions agree with true ones, button by button and stick by stick.

Metrics may be taken at once or streamed over batches, in any order and on any number of processes:

    sums = ActionSums()
    for predicted, true in batches:
        sums = add(sums, predicted, true)
    metrics = summarize(sums)

Everything is summed as whole numbers (sticks in units of 1/65536, half a step of a 16-bit pad), so
that how the data was batched cannot change a single digit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTONS, NUM_BUTTONS, Pad, deflection

UNIT = 65536  # whole-number units in a stick deflection of 1, and in one degree
DEFLECTED = 0.3  # a direction is only judged where the true stick is deflected by more than this
AT_REST_DEGREES = 90.0  # angle error of a predicted stick at rest: what a random direction gets

_NO_BUTTONS = (0,) * NUM_BUTTONS


@dataclass(frozen=True)
class StickSums:
    """Sums over the steps of one stick; a pair is (x, y). Deflections in units of 1/65536."""

    true: tuple[int, ...] = (0, 0)
    true_squared: tuple[int, ...] = (0, 0)
    error_squared: tuple[int, ...] = (0, 0)
    error_absolute: tuple[int, ...] = (0, 0)
    deflected: int = 0  # steps at which the true stick points somewhere
    angle_error: int = 0  # over those steps, in 1/65536 degree


@dataclass(frozen=True)
class ActionSums:
    """All that the metrics need to know of the steps seen so far; counts are per button."""

    steps: int = 0
    true_positives: tuple[int, ...] = _NO_BUTTONS
    false_positives: tuple[int, ...] = _NO_BUTTONS
    false_negatives: tuple[int, ...] = _NO_BUTTONS
    left: StickSums = StickSums()
    right: StickSums = StickSums()


def action_metrics(predicted: Pad, true: Pad, valid: np.ndarray | None = None) -> dict:
    """The metrics of one set of steps; see `summarize` for what they are.

    Args:
        predicted, true: pads of one leading shape (...). Buttons that are still floats count as
            pressed above 0.5.
        valid: (...) bool, the steps that count; None: all.
    """
    return summarize(add(ActionSums(), predicted, true, valid))


def add(sums: ActionSums, predicted: Pad, true: Pad, valid: np.ndarray | None = None) -> ActionSums:
    """The sums with these steps added; arguments as for `action_metrics`."""
    if predicted.shape != true.shape:
        raise NitrogenError(
            f"predicted actions have leading shape {predicted.shape} and true ones {true.shape}, "
            "where both must be the same"
        )
    valid = np.ones(true.shape, bool) if valid is None else np.asarray(valid)
    if valid.shape != true.shape or valid.dtype != bool:
        raise NitrogenError(
            f"the mask of valid steps is {valid.dtype} of shape {valid.shape}, where bool of "
            f"shape {true.shape} is needed"
        )
    said, was = predicted.pressed[valid], true.pressed[valid]
    batch = ActionSums(
        steps=int(valid.sum()),
        true_positives=_total(said & was),
        false_positives=_total(said & ~was),
        false_negatives=_total(~said & was),
        left=_stick_sums(predicted.left[valid], true.left[valid]),
        right=_stick_sums(predicted.right[valid], true.right[valid]),
    )
    return merge(sums, batch)


def merge(one: ActionSums, other: ActionSums) -> ActionSums:
    """The sums over the steps of both."""
    return _plus(one, other)


def summarize(sums: ActionSums) -> dict:
    """The metrics as a nested dict of floats, whole-number counts and None, ready for JSON.

    None stands wherever a metric is undefined: no steps, a recall without any true press, a
    precision without any predicted one, an R2 where the true stick never moves.

      steps    how many
      buttons  accuracy           over all buttons and steps
               accuracy_of_idle   what "nothing pressed, ever" scores here: read accuracy beside it
               micro_f1           of all presses counted together
               macro_f1           mean of the F1 of the buttons that are pressed at all
               support            true presses, in steps
               per_button         NAME: precision, recall, f1, accuracy, support
      sticks   left, right:
               r2                 1 - squared error / variance around the mean, x and y pooled
               mae                mean absolute error of x and y; the full range is 2
               angle_error_degrees  mean over the `deflected` steps, where the true stick is
                                  deflected by more than 0.3; a predicted stick at rest counts 90
    """
    per_button = {
        name: _button(sums.steps, *counts)
        for name, *counts in zip(
            BUTTONS, sums.true_positives, sums.false_positives, sums.false_negatives, strict=True
        )
    }
    pooled = _button(
        NUM_BUTTONS * sums.steps,
        sum(sums.true_positives),
        sum(sums.false_positives),
        sum(sums.false_negatives),
    )
    pressed = [scores["f1"] for scores in per_button.values() if scores["support"]]
    return {
        "steps": sums.steps,
        "buttons": {
            "accuracy": pooled["accuracy"],
            "accuracy_of_idle": _ratio(
                NUM_BUTTONS * sums.steps - pooled["support"], NUM_BUTTONS * sums.steps
            ),
            "micro_f1": pooled["f1"],
            "macro_f1": _ratio(sum(pressed), len(pressed)),
            "support": pooled["support"],
            "per_button": per_button,
        },
        "sticks": {
            "left": _stick(sums.steps, sums.left),
            "right": _stick(sums.steps, sums.right),
        },
    }


def _button(steps: int, true_pos: int, false_pos: int, false_neg: int) -> dict:
    return {
        "precision": _ratio(true_pos, true_pos + false_pos),
        "recall": _ratio(true_pos, true_pos + false_neg),
        "f1": _ratio(2 * true_pos, 2 * true_pos + false_pos + false_neg),
        "accuracy": _ratio(steps - false_pos - false_neg, steps),
        "support": true_pos + false_neg,
    }


def _stick(steps: int, sums: StickSums) -> dict:
    # steps * sum of (true - mean)^2, which unlike the mean itself is a whole number
    spread = sum(
        steps * square - total * total
        for square, total in zip(sums.true_squared, sums.true, strict=True)
    )
    unexplained = _ratio(steps * sum(sums.error_squared), spread)
    return {
        "r2": None if unexplained is None else 1 - unexplained,
        "mae": _ratio(sum(sums.error_absolute), 2 * steps * UNIT),
        "angle_error_degrees": _ratio(sums.angle_error, sums.deflected * UNIT),
        "deflected": sums.deflected,
    }


def _stick_sums(predicted: np.ndarray, true: np.ndarray) -> StickSums:
    """Of sticks (N, 2) in [-1, 1]; int64 holds the squares of 5e8 steps."""
    wanted = deflection(true) > DEFLECTED
    predicted, true = _whole(predicted), _whole(true)
    error = predicted - true
    return StickSums(
        true=_total(true),
        true_squared=_total(true * true),
        error_squared=_total(error * error),
        error_absolute=_total(np.abs(error)),
        deflected=int(wanted.sum()),
        angle_error=int(_angle_error(predicted[wanted], true[wanted]).sum()),
    )


def _angle_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Between directions (N, 2), in 1/65536 degree: (N,) int64 from 0 to 180 degrees."""
    x, y = predicted.T
    true_x, true_y = true.T
    # NOTE: |sine| and cosine of the angle, both times the lengths; int64 exact up to arctan2.
    degrees = np.degrees(np.arctan2(np.abs(x * true_y - y * true_x), x * true_x + y * true_y))
    return np.where((x == 0) & (y == 0), _whole(AT_REST_DEGREES), _whole(degrees))


def _whole(values: np.ndarray | float) -> np.ndarray:
    return np.rint(np.asarray(values, np.float64) * UNIT).astype(np.int64)


def _total(values: np.ndarray) -> tuple[int, ...]:
    """Sums over the steps (N, ...), as Python's whole numbers, which cannot overflow."""
    return tuple(values.sum(0, dtype=np.int64).tolist())


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _plus(one, other):
    """Sum of two equal structures of numbers."""
    if isinstance(one, tuple):
        return tuple(map(_plus, one, other))
    if isinstance(one, ActionSums | StickSums):
        names = [field.name for field in fields(one)]
        return type(one)(
            **{name: _plus(getattr(one, name), getattr(other, name)) for name in names}
        )
    return one + other
