"""When the overlay is where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nitrogen_jax.labeling import segments
from nitrogen_jax.labeling.locate.locate import Found
from nitrogen_jax.labeling.locate.templates import prepare
from nitrogen_jax.labeling.sample import Sampled
from nitrogen_jax.labeling.segments import Part, apart, divide

SIZE = 360, 640


@pytest.fixture(scope="module")
def templates(library):
    return prepare(library)


def found_at(skin, place) -> Found:
    return Found(skin, place, 1.0, 0.9, 1.0, 1.0, ((skin, 0.9, 1.0),))


@pytest.fixture(scope="module")
def divided(made, folder, game, skin, place, templates):
    """A function: which frames of 2 a second have the overlay -> parts of the video."""

    def divide_(name, there, elsewhere=(), other=None, recheck=1.0):
        number = len(there)
        frames = (game * (number // len(game) + 1))[:number]
        states = made.played(number)
        frames = made.drawn(frames, skin, place, states, there=there)
        if other is not None:
            frames = made.drawn(frames, skin, other, states, there=elsewhere)
        path = made.write(folder / f"{name}.mp4", frames, rate=2, gop=4)
        sampled = Sampled(np.arange(0, number, 2) / 2, frames[::2], False)
        return divide(path, sampled, found_at(skin, place), templates, None, recheck)

    return divide_


@pytest.mark.parametrize("recheck", [1.0, 100.0])
def test_an_overlay_that_stays_is_one_part(divided, recheck):
    (part,) = divided("stays", [True] * 30, recheck=recheck)
    assert (part.start, part.end) == (0.0, float("inf"))


@pytest.mark.parametrize("recheck", [1.0, 100.0])
def test_where_it_is_away_there_is_no_part(divided, recheck):
    """From 10 s to 20 s; key frames are 2 s apart."""
    there = [not 20 <= frame < 40 for frame in range(60)]
    first, second = divided("away", there, recheck=recheck)
    assert first.start == 0
    assert second.end == float("inf")
    assert first.end == pytest.approx(10, abs=2)
    assert second.start == pytest.approx(20, abs=2)
    assert first.found is second.found


def test_before_it_comes_and_after_it_goes_there_is_no_part(divided):
    there = [20 <= frame < 44 for frame in range(70)]
    (part,) = divided("between", there)
    assert part.start == pytest.approx(10, abs=2)
    assert part.end == pytest.approx(22, abs=2)


def test_an_overlay_that_moves_is_found_at_its_new_place(made, divided, skin, place):
    other = made.at_width(skin, 190, 420.6, 18.4)
    there = [frame < 24 for frame in range(60)]
    first, second = divided("moves", there, [not one for one in there], other)
    assert first.found.at == place
    assert made.corner_error(second.found.at, other, skin) < 1
    assert first.end == pytest.approx(12, abs=2)
    assert first.end == second.start


def test_it_is_looked_for_anew_in_what_is_lost(made, divided, skin, place):
    """There and back again: the first place is not searched for twice."""
    other = made.at_width(skin, 190, 420.6, 18.4)
    there = [not 24 <= frame < 48 for frame in range(72)]
    first, second, third = divided("back", there, [not one for one in there], other)
    assert first.found is third.found
    assert made.corner_error(second.found.at, other, skin) < 1


def looked(monkeypatch, templates, skin, place, seen, step=2.0, searched=None) -> list[Part]:
    """Parts, where it is told at which moments the overlay is seen.

    To `searched` is added of every search whether it compared all places.
    """
    searched = [] if searched is None else searched
    scores = iter(seen)

    class Fake:
        def __init__(self, score):
            self.score = score

    monkeypatch.setattr(segments, "compare", lambda *a: Fake(float(next(scores))))
    monkeypatch.setattr(segments, "locate", lambda *a, **k: searched.append(k["everywhere"]) or [])
    looks = segments._Looks(found_at(skin, place), templates, None)
    for at in range(len(seen)):
        looks.add(at * step, np.zeros((*SIZE, 3), np.uint8))
    return looks.parts()


@pytest.mark.parametrize(
    ("seen", "edges"),
    [
        ([1, 1, 1, 1], [(0, float("inf"))]),
        ([1, 1, 0, 1, 1], [(0, float("inf"))]),  # one moment is no absence
        ([1, 1, 0, 0, 1, 1], [(0, 3), (7, float("inf"))]),
        ([0, 0, 1, 1, 1, 0, 0], [(3, 9)]),
        ([0, 0, 1, 0, 0], []),
        ([0, 0, 0], []),
        ([1], [(0, float("inf"))]),
    ],
)
def test_moments_become_seconds(monkeypatch, templates, skin, place, seen, edges):
    parts = looked(monkeypatch, templates, skin, place, seen)
    assert [(part.start, part.end) for part in parts] == edges


def test_parts_of_a_moment_are_no_parts(monkeypatch, templates, skin, place):
    parts = looked(monkeypatch, templates, skin, place, [1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 1.0)
    assert [(part.start, part.end) for part in parts] == [(6.5, float("inf"))]


def test_all_places_are_compared_once_after_each_loss(monkeypatch, templates, skin, place):
    stash, searched = segments.STASHED, []
    seen = [1, *[0] * (3 * stash), 1, *[0] * (2 * stash), 1]
    looked(monkeypatch, templates, skin, place, seen, searched=searched)
    assert searched == [True, False, False, True, False]


def test_what_is_found_later_must_be_in_the_picture_too(monkeypatch, templates, skin, place):
    cut_off = replace(found_at(skin, place), visible=segments.LEAST_VISIBLE - 0.01)
    looks = segments._Looks(found_at(skin, place), templates, None)
    monkeypatch.setattr(segments, "locate", lambda *a, **k: [cut_off])
    looks._lost = [(at, np.zeros((*SIZE, 3), np.uint8)) for at in range(3)]
    looks.which = [-1] * 3
    looks._search()
    assert looks.known == [found_at(skin, place)]
    assert looks.which == [-1] * 3


@pytest.mark.parametrize(
    ("x", "y", "two"), [(300, 10, True), (30, 210, False), (60, 230, False), (24, 30, True)]
)
def test_overlays_in_different_places_are_two(made, skin, place, x, y, two):
    other = made.at_width(skin, 160, x, y)
    assert apart([found_at(skin, place), found_at(skin, other)]) == two


def test_a_small_overlay_inside_of_another_is_the_same(made, library, place, skin):
    small = found_at(library.skins[1], made.at_width(library.skins[1], 50, 60, 240))
    assert not apart([found_at(skin, place), small])
    assert not apart([small, found_at(skin, place)])
    assert not apart([small])
