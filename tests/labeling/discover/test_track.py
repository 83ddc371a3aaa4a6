"""A sprite that is followed over a background, neither of them known."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.labeling.accuracy.score import r2
from nitrogen_jax.labeling.discover import learn, reader, sticks, track
from nitrogen_jax.labeling.fit.model import GRID, REACH

PLACE = 40, 36
RADIUS = 8


def moved(shift, noise=3.0, seed=0):
    """(N, 72, 80) a dark disc with a bright ring that is moved over a pattern."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:72, :80]
    ground = 20.0 * ((x // 9 + y // 7) % 2)
    frames = []
    for dx, dy in shift:
        far = np.hypot(x - PLACE[0] - dx, y - PLACE[1] - dy)
        frame = np.where(far < RADIUS, -30.0, ground)
        frames.append(np.where((far >= RADIUS - 2) & (far < RADIUS), 40.0, frame))
    return np.array(frames, np.float32) + rng.normal(0, noise, (len(shift), 72, 80))


def positions(rng, number=120, travel=7):
    """Half of the time at rest, half anywhere within the travel."""
    angle, far = rng.uniform(0, 2 * np.pi, number), rng.uniform(3, travel, number)
    shift = np.round(np.stack([np.cos(angle), np.sin(angle)], 1) * far[:, None])
    shift[rng.random(number) < 0.5] = 0
    return shift.astype(int)


@pytest.mark.parametrize("beside", [(0, 0), (3, -2)])
def test_every_shift_is_found(beside):
    shift = positions(np.random.default_rng(3))
    place = PLACE[0] + beside[0], PLACE[1] + beside[1]
    found = track.follow(moved(shift), place, 9.0, 9, 3.0, 2)
    moved_by = found.shift - track.rest_of(found.shift)
    assert (np.abs(moved_by - shift).max(1) <= 1).mean() > 0.97
    assert found.explained > 0.8


def test_where_nothing_moves_there_is_no_sprite():
    found = track.follow(moved(np.zeros((60, 2), int)), PLACE, 9.0, 9, 3.0)
    assert found is None or found.explained < 0.3


def test_a_stick_is_found_without_being_told_where():
    shift = np.repeat(positions(np.random.default_rng(6), 70), 2, 0)  # neighbours are alike
    found = sticks.find(moved(shift), 110.0)
    assert found[0].worth > 0.55
    assert found[0].centre == pytest.approx(PLACE, abs=3)
    assert found[0].travel == pytest.approx(7, abs=1.5)


def test_what_changes_at_random_is_no_stick():
    frames = np.random.default_rng(4).normal(0, 30, (140, 72, 80)).astype(np.float32)
    assert all(one.worth < 0.5 for one in sticks.find(frames, 110.0))


def test_what_goes_to_one_side_only_is_a_bar_and_no_stick():
    pressed = np.repeat(np.random.default_rng(7).random(70) < 0.3, 2)
    found = sticks.find(moved(np.outer(pressed, (0, 7))), 110.0)
    assert all(one.worth < 0.3 for one in found)


def test_rest_is_the_middle_though_a_side_is_held_for_longer():
    held = [(0, 0)] * 30 + [(7, 0)] * 50 + [(-7, 0)] * 25 + [(0, 7)] * 8 + [(0, -7)] * 7
    assert track.rest_of(np.array(held)).tolist() == [0, 0]
    shifted = np.add(held, (4, -3))
    assert track.rest_of(shifted).tolist() == [4, -3]


def test_a_peak_lies_between_pixels():
    y, x = np.mgrid[-4:5, -4:5]
    true = np.array([(1.3, -0.4), (-2.0, 2.2), (0.0, 0.0)])
    scores = np.stack([-((x - a) ** 2) - (y - b) ** 2 for a, b in true])
    np.testing.assert_allclose(track.peak(scores, 4), true, atol=1e-5)


def domed(shift, seed=0):
    """(N, 72, 80) uint8: a soft dark dome on a shaded body, which has hardly any fine detail."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:72, :80]
    body = 150 + 0.6 * (x - 40) - 0.4 * (y - 36)
    frames = []
    for dx, dy in shift:
        far = np.hypot(x - PLACE[0] - dx, y - PLACE[1] - dy)
        cover = 1 / (1 + np.exp((far - 9) / 1.5))
        look = 60 + 0.05 * (9 - far).clip(0) ** 2
        frames.append(body * (1 - cover) + look * cover)
    frames = np.array(frames) + rng.normal(0, 2, (len(shift), 72, 80))
    return frames.clip(0, 255).round().astype(np.uint8)


def test_a_soft_solid_stick_is_read_from_pictures_as_they_are():
    shift = np.repeat(positions(np.random.default_rng(8), 100), 2, 0)
    frames = domed(shift)
    width = 120.0
    rated = []
    for one in sticks.find(frames, width):
        model = learn.stick(one, frames)
        rated.append((learn.evidence(model, frames).whole * one.worth, model))
    model = max(rated, key=lambda pair: pair[0])[1]
    assert model.plain
    read = reader.read_stick(model, frames).value[:, :2] * model.travel
    assert r2(read, shift) > 0.97


def test_scores_on_a_grid_keep_the_best_of_all_shifts():
    rng = np.random.default_rng(9)
    frames = domed(np.repeat(positions(rng, 60), 2, 0))
    model = learn.stick(sticks.find(frames, 120.0)[0], frames)
    found = reader.read_stick(model, frames)
    assert found.scores.shape == (len(frames), GRID * GRID)
    best = found.scores.argmax(1)
    axis = np.linspace(-REACH, REACH, GRID)
    place = np.stack([axis[best % GRID], axis[best // GRID]], 1)
    near = np.abs(place - found.value[:, :2]).max(1) < 1.1 * (axis[1] - axis[0])
    assert near.mean() > 0.95
