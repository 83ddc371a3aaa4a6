"""Spots that switch between two looks."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.labeling.discover import spots

EVERYWHERE = np.ones((40, 50), bool)


def shown(pressed, noise=2.0, seed=0):
    """(N, 3, 40, 50) a still picture with a disc that is lit while `pressed`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :50]
    still = np.stack([60.0 + 2 * x, 120.0 + 0 * x, 130.0 + 0 * y])
    values = np.repeat(still[None], len(pressed), 0)
    disc = np.hypot(x - 20, y - 15) < 4
    values[:, 0, disc] += 70 * np.array(pressed)[:, None]
    values[:, 1, disc] -= 40 * np.array(pressed)[:, None]
    return (values + rng.normal(0, noise, values.shape)).astype(np.float32)


def presses(number=200):
    return np.arange(number) % 40 >= 33


def test_a_button_is_found_with_its_presses():
    found = spots.find(shown(presses()), EVERYWHERE, 100)
    assert len(found) == 1
    np.testing.assert_array_equal(found[0].pressed, presses())
    assert found[0].centre == pytest.approx((41, 31), abs=2)


def test_nothing_that_switches_and_what_is_not_allowed():
    assert spots.find(shown(np.zeros(200, bool)), EVERYWHERE, 100) == []
    assert spots.find(shown(presses()), ~EVERYWHERE, 100) == []


def test_what_looks_different_each_time_is_no_button():
    """A score that counts, an object that passes: not two looks."""
    values = shown(np.zeros(200, bool))
    rng = np.random.default_rng(5)
    rows = np.flatnonzero(presses())
    values[rows, :, 10:20, 15:25] += rng.normal(0, 60, (len(rows), 3, 10, 10))
    assert all(one.clear < 4.4 for one in spots.find(values, EVERYWHERE, 100))


def test_cells_are_means_of_pixels():
    from nitrogen_jax.labeling.planes import Planes

    y = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    uv = np.full((1, 2, 4, 4), 7, np.uint8)
    cells = spots.cells(Planes(y, uv))
    assert cells.shape == (1, 3, 4, 4)
    assert cells[0, 0, 0, 0] == np.mean([0, 1, 8, 9])
    assert (cells[0, 1:] == 7).all()
