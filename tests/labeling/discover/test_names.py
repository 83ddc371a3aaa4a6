"""Spots get their names by where pads have buttons."""

from __future__ import annotations

import pytest

from nitrogen_jax.labeling.discover import names
from nitrogen_jax.labeling.discover.names import Placed

WAYS = {"NORTH": (0, -1), "SOUTH": (0, 1), "WEST": (-1, 0), "EAST": (1, 0)}
STICKS = {
    "asymmetric": {"left": (0.23, 0.26), "right": (0.64, 0.44)},
    "symmetric": {"left": (0.36, 0.5), "right": (0.64, 0.5)},
}
FACE = {"asymmetric": (0.78, 0.26), "symmetric": (0.79, 0.3)}
DPAD = {"asymmetric": (0.36, 0.45), "symmetric": (0.21, 0.3)}


def diamond(centre, arm=0.066):
    u, v = centre
    return {name: (u + arm * x, v + arm * y) for name, (x, y) in WAYS.items()}


def named(points, sticks, drawn=lambda u, v, radius: 1.0):
    spots = [Placed(at, (0.06, 0.06)) for at in points.values()]
    found = names.buttons(spots, sticks, drawn)
    return {name: found.get(at) for at, name in enumerate(points)}


@pytest.mark.parametrize("layout", STICKS)
def test_four_face_buttons(layout):
    points = diamond(FACE[layout])
    assert named(points, STICKS[layout]) == {name: name for name in points}


@pytest.mark.parametrize("layout", STICKS)
def test_a_dpad(layout):
    ways = {"NORTH": "DPAD_UP", "SOUTH": "DPAD_DOWN", "WEST": "DPAD_LEFT", "EAST": "DPAD_RIGHT"}
    points = {ways[name]: at for name, at in diamond(DPAD[layout], 0.045).items()}
    assert named(points, STICKS[layout]) == {name: name for name in points}


@pytest.mark.parametrize("pair", [("WEST", "NORTH"), ("SOUTH", "EAST"), ("WEST", "EAST")])
def test_two_of_four_by_what_is_drawn(pair):
    """The other two are never pressed, but they are drawn."""
    points = diamond((0.76, 0.28))

    def drawn(u, v, radius):
        return 2.0 if any(abs(u - x) + abs(v - y) < 0.03 for x, y in points.values()) else 0.1

    seen = {name: points[name] for name in pair}
    assert named(seen, STICKS["asymmetric"], drawn) == {name: name for name in pair}


def test_the_middle_and_the_top():
    points = {
        "BACK": (0.43, 0.24),
        "START": (0.57, 0.24),
        "GUIDE": (0.5, 0.2),
        "LEFT_TRIGGER": (0.22, 0.03),
        "LEFT_SHOULDER": (0.22, 0.1),
        "RIGHT_SHOULDER": (0.78, 0.1),
    }
    assert named(points, STICKS["asymmetric"]) == {name: name for name in points}


def test_sides_of_sticks():
    assert names.sides([(0.64, 0.5), (0.36, 0.5)]) == ["right", "left"]
    assert names.sides([(0.3, 0.5)]) == ["left"]
    assert names.sides([(0.66, 0.5)]) == ["right"]
    assert names.sides([(0.66, 0.5)], 0.6) == ["left"]  # which is used more
    assert names.sides([(0.8, 0.5)], 0.6) == ["right"]
