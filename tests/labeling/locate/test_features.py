"""Key points: where they lie, what matches, and which directions agree."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.labeling.locate.features import (
    RATIO,
    UPRIGHT,
    Features,
    Matches,
    match,
    sift,
    upright,
)


def blobs(centres, size=(120, 160)) -> np.ndarray:
    """Round spots around some (x, y), where the first pixel's centre is (0.5, 0.5)."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    total = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 50) for cx, cy in centres)
    return (40 + 180 * np.minimum(total, 1)).astype(np.uint8)


def test_a_key_point_lies_in_the_middle_of_a_spot():
    centres = [(40.0, 30.0), (101.0, 78.5)]
    points = sift(blobs(centres)).points
    for centre in centres:
        assert np.hypot(*(points - centre).T).min() < 0.15


def test_where_the_mask_is_0_there_are_no_key_points():
    mask = np.zeros((120, 160), np.uint8)
    mask[:, :80] = 255
    points = sift(blobs([(40, 30), (101, 78)]), mask).points
    assert len(points)
    assert points[:, 0].max() < 82


def test_descriptors_have_unit_length_and_products_of_the_same_points_are_1(shown):
    features = sift(cv2.cvtColor(shown[0], cv2.COLOR_RGB2GRAY), most=200)
    assert np.linalg.norm(features.descriptors, axis=1) == pytest.approx(1, abs=1e-4)
    assert len(features.points) == len(features.sizes) == len(features.angles) >= 100


def test_a_flat_picture_has_none():
    features = sift(np.full((50, 60), 90, np.uint8))
    assert features.points.shape == (0, 2)
    assert features.descriptors.shape == (0, 128)
    assert len(features.sizes) == len(features.angles) == 0


def products(distance: float) -> float:
    """Of unit vectors so far apart."""
    return 1 - distance**2 / 2


@given(st.floats(0.05, 1.0), st.floats(0.05, 0.999))
def test_a_match_stands_out_by_the_ratio_of_distances(second, share):
    similar = np.array([[products(second), products(second * share), products(1.4)]])
    found = match(similar)
    if abs(share - RATIO) > 1e-3:
        assert len(found.first) == (share < RATIO)
    if len(found.first):
        assert (found.first[0], found.second[0]) == (0, 1)
        assert found.alike[0] == pytest.approx(products(second * share))


def test_rows_are_matched_one_by_one():
    similar = np.array([[0.1, 0.9, 0.2], [0.5, 0.5, 0.5], [0.95, 0.1, 0.3]])
    found = match(similar)
    assert found.first.tolist() == [0, 2]
    assert found.second.tolist() == [1, 0]


@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (4, 1)])
def test_nothing_is_matched_where_nothing_can_stand_out(shape):
    assert len(match(np.ones(shape)).first) == 0


def turned(*angles) -> Features:
    number = len(angles)
    return Features(
        np.zeros((number, 2)), np.zeros((number, 2)), np.ones(number), np.array(angles, float)
    )


def test_directions_agree_across_0_degrees():
    one, other = turned(355, 10, 90, 180), turned(5, 350, 60, 0)
    rows = np.arange(4)
    found = upright(one, other, Matches(rows, rows, np.ones(4)))
    assert found.first.tolist() == [0]
    assert found.second.tolist() == [0]


@given(st.floats(0, 360), st.floats(-180, 180))
def test_only_the_turn_counts(angle, turn):
    row = np.array([0])
    found = upright(turned((angle + turn) % 360), turned(angle), Matches(row, row, np.ones(1)))
    if abs(abs(turn) - UPRIGHT) > 1e-6:
        assert len(found.first) == (abs(turn) < UPRIGHT)


def test_key_points_without_directions_all_pass():
    plain = Features(np.zeros((2, 2)), np.zeros((2, 2)))
    rows = np.arange(2)
    assert len(upright(plain, turned(0, 90), Matches(rows, rows, np.ones(2))).first) == 2
