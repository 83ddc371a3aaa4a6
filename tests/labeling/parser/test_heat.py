"""Positions as maps and back."""

from __future__ import annotations

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.labeling.parser import heat

TARGET, POSITION = jax.jit(heat.target), jax.jit(heat.position)
ENTROPY = jax.jit(heat.cross_entropy)

INSIDE = st.floats(-3.0, 3.0)  # further out the map itself ends


@settings(max_examples=40, deadline=None)
@given(INSIDE, INSIDE)
def test_a_position_is_read_back_from_its_perfect_map(x, y):
    logits = np.log(np.asarray(TARGET(np.array([[x, y]], np.float32))) + 1e-12)
    at, mass = POSITION(logits)
    # What is cut off beyond the neighbours moves a mean by 0.4 % of a cell at most.
    np.testing.assert_allclose(np.asarray(at)[0], [x, y], atol=0.005)
    assert np.asarray(mass)[0] > 0.99


def test_the_best_cell_is_the_nearest_one():
    at = np.array([[1.3, -2.4], [0.0, 3.6], [-0.4, 0.4]], np.float32)
    found = heat.best_cell(np.log(np.asarray(TARGET(at)) + 1e-12))
    np.testing.assert_array_equal(np.asarray(found), [[1, -2], [0, 4], [0, 0]])


def test_far_peaks_do_not_pull():
    wanted = np.asarray(TARGET(np.array([-3.0, -3.0], np.float32)))
    other = np.asarray(TARGET(np.array([4.0, 4.0], np.float32)))
    at, mass = POSITION(np.log(0.7 * wanted + 0.3 * other + 1e-12)[None])
    np.testing.assert_allclose(np.asarray(at)[0], [-3, -3], atol=0.01)
    assert abs(float(mass[0]) - 0.7) < 0.01


def test_targets_are_gaussians_that_sum_to_one():
    wanted = np.asarray(TARGET(np.array([1.0, -2.0], np.float32)))
    assert abs(wanted.sum() - 1) < 1e-6
    assert np.unravel_index(wanted.argmax(), wanted.shape) == (3, 6)  # rows are y
    ratio = wanted[3, 7] / wanted[3, 6]
    assert abs(ratio - np.exp(-0.5 / heat.SPREAD**2)) < 1e-6


def test_cross_entropy_is_zero_for_the_target_and_positive_for_others():
    wanted = TARGET(np.array([[0.3, 1.2], [2.0, 0.0]], np.float32))
    same = np.asarray(ENTROPY(np.log(np.asarray(wanted) + 1e-30), wanted))
    np.testing.assert_allclose(same, 0, atol=1e-5)
    flat = np.asarray(ENTROPY(np.zeros((2, 11, 11), np.float32), wanted))
    entropy = -(np.asarray(wanted) * np.log(np.asarray(wanted) + 1e-30)).sum((1, 2))
    np.testing.assert_allclose(flat, np.log(121) - entropy, rtol=1e-5)


def test_travels_of_a_stick_that_is_not_there_are_zero():
    at = np.array([[[2.0, 1.0], [3.0, 3.0]]])
    found = heat.travels(at, np.array([[2.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[[1.0, 0.25], [0.0, 0.0]]])
