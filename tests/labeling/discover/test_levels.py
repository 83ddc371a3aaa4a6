"""What pixels do over time, once the game behind them is taken away."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.labeling.discover import levels


def clouds(rng, number=40, size=(40, 50)):
    """Smooth pictures that differ from frame to frame, (N, h, w), about 60 to 180."""
    y, x = np.mgrid[: size[0], : size[1]]
    frames = []
    for _ in range(number):
        a, b, c = rng.uniform(0, 6, 3)
        frames.append(120 + 40 * np.sin(a + x / 30) * np.cos(b + y / 25) + 20 * np.sin(c))
    return np.array(frames)


@pytest.mark.parametrize("opacity", [1.0, 0.6])
def test_an_overlay_stands_still_once_the_game_is_taken_away(opacity):
    """The edge of a half transparent disc, too, although its pixels follow the game."""
    game = clouds(np.random.default_rng(0))
    y, x = np.mgrid[:40, :50]
    disc = np.hypot(x - 25, y - 20) < 8
    frames = np.where(disc, (1 - opacity) * game + opacity * 220, game)
    left = levels.steady(frames.astype(np.uint8))
    before, after = frames.std(0)[disc].mean(), left.std(0)[disc].mean()
    assert after < 3
    assert opacity == 1 or before > 3 * after
    assert left.std(0)[~disc].mean() < 0.4 * frames.std(0)[~disc].mean()


def test_a_transform_of_a_part_is_that_of_the_whole():
    frames = clouds(np.random.default_rng(1)).astype(np.uint8)
    told = levels.Steady.told(frames, 2.0)
    rows, columns = slice(0, 30), slice(10, 50)
    part = told.cut(rows, columns).of(frames[:, rows, columns])
    inner = part[:, :20, 12:]  # what is beyond the cut has no part in it there
    np.testing.assert_allclose(inner, told.of(frames)[:, :20, 22:], atol=0.5)


def test_scatter_is_that_of_edges():
    rng = np.random.default_rng(2)
    picture = np.where(np.arange(60) // 10 % 2, 200.0, 40.0) * np.ones((40, 1))
    noisy = picture + rng.normal(0, 4, (60, 40, 60))
    assert levels.scatter(noisy) == pytest.approx(4, rel=0.2)
