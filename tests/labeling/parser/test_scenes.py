"""Scenes: their truth is what their pictures show, also through a placement that is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("av")

from nitrogen_jax.labeling.parser import scenes
from nitrogen_jax.labeling.parser.slots import CELL

sys.path.insert(0, str(Path(__file__).parent))
from small import skin


@pytest.mark.parametrize("number", range(8))
def test_sticks_are_seen_where_the_truth_says(number):
    scene = scenes.draw(skin(), 3, number)
    luma = scene.knobs[0, ..., 0].astype(float)
    gap = np.abs(luma - luma[:, :2, :2].mean((1, 2), keepdims=True))
    weight = gap * (gap > 4)
    axis = (np.arange(44) + 0.5) / CELL - 5.5
    total = weight.sum((1, 2))
    seen = np.stack([(weight.sum(1) * axis).sum(-1), (weight.sum(2) * axis).sum(-1)], -1)
    # Painters place sticks on a grid of 1/8 pixel, and a pixel is 0.5 cells at most.
    wanted = scene.positions[0] * scene.travel[0]
    np.testing.assert_allclose(seen / total[:, None], wanted, atol=0.15)


def test_placements_that_are_wrong_move_all_positions_alike():
    beside = []
    for number in range(8):
        scene = scenes.draw(skin(), 3, number)
        rest, rim = scene.positions[0, 0], np.abs(scene.positions[0]).max()
        beside.append(float(np.abs(rest).max()))
        assert rim < 1.02 + beside[-1]
    assert max(beside) > 0.03
    assert scene.positions[1, 0].tolist() == [0, 0]  # which the skin does not have
