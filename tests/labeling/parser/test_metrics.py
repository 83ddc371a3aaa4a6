"""Metrics of clips whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("av")

from nitrogen_jax.labeling.parser import metrics
from nitrogen_jax.labeling.parser.metrics import Rows


def rows(number=40, seed=0):
    """Perfect answers."""
    rng = np.random.default_rng(seed)
    sticks = rng.uniform(-1, 1, (number, 2, 2))
    buttons = np.repeat(rng.random((number // 4, 17)) < 0.5, 4, 0)
    return Rows(
        np.zeros(number, int), sticks, sticks.copy(), np.ones((number, 2), bool), buttons,
        buttons.copy(), np.ones((number, 17), bool),
    )  # fmt: skip


def test_perfect_answers():
    found = metrics.summarize([rows(), rows(seed=1)])
    assert found["samples"] == 80
    assert found["sticks"]["left"] == {"r2": 1.0, "mae": 0.0}
    for name in ("macro_f1", "onset_f1", "accuracy"):
        assert found["buttons"][name] == 1


def test_onsets_may_be_a_frame_off_and_not_two():
    true = np.zeros((12, 1), bool)
    true[5:9] = True
    for late, score in ((0, 1.0), (1, 1.0), (-1, 1.0), (2, 0.0)):
        said = np.roll(true, late, 0)
        assert metrics.onset_f1(np.zeros(12), true, said) == pytest.approx(score), late
    # What is pressed when a clip begins has no onset.
    assert metrics.onset_f1(np.arange(12) // 6, true, np.ones_like(true)) == 0.0
    assert metrics.onset_f1(np.zeros(12), true & False, true & False) is None


def test_what_a_skin_lacks_does_not_count():
    one = rows()
    one.has_sticks[:, 0] = False
    one.said_sticks[:, 0] = 9
    one.has_buttons[:, 3] = False
    one.said_buttons[:, 3] = ~one.said_buttons[:, 3]
    found = metrics.summarize([one])
    assert found["sticks"]["left"]["r2"] is None
    assert found["sticks"]["right"]["r2"] == 1
    assert found["buttons"]["accuracy"] == 1


def test_r2_is_one_minus_unexplained_variance():
    true = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = metrics.stick(true, true * 0.5, np.ones(4, bool))
    assert found["r2"] == pytest.approx(0.75)
    assert found["mae"] == pytest.approx(0.25)
    assert metrics.summarize([]) == {"samples": 0}
