"""Drawing of sprites: areas are right, edges are smooth, colours stay premultiplied."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.labeling.skins import ink
from nitrogen_jax.labeling.skins.ink import Ink

RED = Ink(255, 0, 0)


def mass(canvas) -> float:
    """Pixels that are covered, parts of pixels counted as such."""
    return canvas[..., 3].sum() / 255


@given(st.floats(5, 40), st.floats(45, 55), st.floats(45, 55))
def test_a_disc_has_the_area_of_a_disc(radius, x, y):
    canvas = ink.blank(100, 100)
    ink.fill(canvas, ink.ellipse((x, y), radius), RED)
    assert mass(canvas) == pytest.approx(np.pi * radius**2, rel=0.03, abs=12)
    ys, xs = np.indices(canvas.shape[:2]) + 0.5
    weight = canvas[..., 3] / canvas[..., 3].sum(dtype=float)
    assert (xs * weight).sum() == pytest.approx(x, abs=0.3)
    assert (ys * weight).sum() == pytest.approx(y, abs=0.3)


@pytest.mark.parametrize("size", [60, 500, 1000])
def test_edges_are_smooth_at_every_size(size):
    canvas = ink.blank(size, size)
    ink.fill(canvas, ink.regular((size / 2, size / 2), 0.4 * size, 0.4 * size, 3), RED)
    edge = (canvas[..., 3] > 0) & (canvas[..., 3] < 255)
    assert len(np.unique(canvas[edge][:, 3])) > 8


def test_a_line_is_as_wide_as_it_should_be():
    canvas = ink.blank(120, 40)
    ink.stroke(canvas, np.array([[10.0, 20], [110, 20]]), 6, RED, closed=False)
    assert canvas[:, 60, 3].sum() / 255 == pytest.approx(6, abs=0.6)


colours = st.builds(Ink, *[st.floats(0, 255)] * 3, st.floats(0, 1))


@given(st.lists(colours, min_size=1, max_size=6))
def test_layers_stay_premultiplied(layers):
    canvas = ink.blank(30, 30)
    for at, colour in enumerate(layers):
        ink.fill(canvas, ink.ellipse((8 + 3 * at, 15), 9), colour)
        ink.glow(canvas, ink.ellipse((15, 8 + 3 * at), 3), 4, colour)
    assert (canvas[..., :3] <= canvas[..., 3:]).all()


@given(colours, colours)
def test_one_layer_over_another_is_a_mixture(below, above):
    canvas = ink.blank(12, 12)
    square = ink.rounded((6, 6), 6, 6, 0)
    ink.fill(canvas, square, below)
    ink.fill(canvas, square, above)
    pixel = canvas[6, 6].astype(float)
    alpha = above.alpha + below.alpha * (1 - above.alpha)
    assert pixel[3] == pytest.approx(255 * alpha, abs=2)
    for got, a, b in zip(pixel[:3], above[:3], below[:3], strict=True):
        wanted = a * above.alpha + b * below.alpha * (1 - above.alpha)
        assert got == pytest.approx(wanted, abs=3)


@pytest.mark.parametrize("at", [(-20, 5), (200, 5), (5, -30), (0, 0), (28, 28)])
def test_what_leaves_the_canvas_is_cut_off(at):
    small, large = ink.blank(30, 30), ink.blank(330, 330)
    for canvas, shift in ((small, 0), (large, 100)):
        centre = np.array(at) + shift
        ink.fill(canvas, ink.ellipse(centre, 6), RED)
        ink.stroke(canvas, ink.ellipse(centre, 9), 2, RED)
        ink.write(canvas, "A", tuple(centre), 8, RED, cv2.FONT_HERSHEY_SIMPLEX)
    difference = np.abs(small.astype(int) - large[100:130, 100:130])
    assert difference.max() <= 64  # lines that are cut off are rounded otherwise
    assert difference.mean() < 1


def test_letters_have_their_height_and_their_place():
    canvas = ink.blank(100, 100)
    ink.write(canvas, "X", (50, 50), 30, RED, cv2.FONT_HERSHEY_SIMPLEX)
    rows = np.flatnonzero(canvas[..., 3].any(axis=1))
    assert len(rows) == pytest.approx(30, abs=10)
    assert rows.mean() == pytest.approx(50, abs=5)


def test_quarters_turn_clockwise():
    up = np.array([[0.0, -1.0]])
    for quarters, wanted in enumerate([(0, -1), (1, 0), (0, 1), (-1, 0)]):
        np.testing.assert_allclose(ink.turned(up, (0, 0), quarters)[0], wanted, atol=1e-9)


def test_a_smooth_curve_goes_through_its_points():
    points = np.array([[0.0, 0], [4, 1], [5, 5], [1, 4]])
    curve = ink.smooth(points)
    for point in points:
        assert np.abs(curve - point).sum(axis=1).min() < 1e-9
