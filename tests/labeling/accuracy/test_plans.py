"""Which clips a benchmark draws: shares, layouts before colours, what the locator is given."""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.labeling.accuracy import plans
from nitrogen_jax.labeling.accuracy.plans import Case, cases, core
from nitrogen_jax.labeling.skins.draw import Placement
from nitrogen_jax.labeling.skins.generate import outline
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.synth.clips import Recipe
from nitrogen_jax.labeling.synth.traces import smooth

_path = Path(__file__).parents[1] / "skins" / "presets.py"
_spec = importlib.util.spec_from_file_location("presets", _path)
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)

TRACES = [smooth(np.random.default_rng(i), 6) for i in range(3)]


def pad(name: str, colour, moved=0.0):
    return presets.pad(colour, moved).renamed(name)


# One layout in three colours, and one in a single colour.
COLOURS = [pad(f"pad-{i}", (90 * i, 10, 10)) for i in range(3)]
OTHER = pad("moved", (10, 90, 10), moved=8.0)
LIBRARY = Library((*COLOURS, OTHER), (("broken.json", "no skin"),))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Made-up skins without drawing them."""
    monkeypatch.setattr("nitrogen_jax.labeling.skins.generate.generate", outline)


def drawn(number=40, seed=0, known=LIBRARY, skins=LIBRARY, recipe=None, unknown=False):
    recipe = recipe or Recipe()
    return cases(number, 2.0, seed, known, skins, TRACES, recipe, unknown)


@given(st.integers(1, 60), st.floats(0, 0.4), st.floats(0, 0.4), st.integers(0, 99))
@settings(max_examples=25)
def test_shares_are_spread_evenly(number, none, unknown, seed):
    kinds = [one.kind for one in drawn(number, seed, recipe=Recipe(none, unknown))]
    assert abs(kinds.count("none") - none * number) < 1.001
    # A clip that would be both is one without an overlay.
    assert kinds.count("unknown") <= unknown * (number + 1) + 1e-6
    assert kinds.count("unknown") >= unknown * (number + 1) - kinds.count("none") - 1.001
    assert len(kinds) == number


def test_a_tenth_without_overlay_and_a_tenth_unknown():
    made = drawn(60)
    assert Counter(one.kind for one in made) == {"known": 48, "none": 6, "unknown": 6}
    for one in made:
        assert one.plan.known == (one.kind == "known")
        assert (one.skin is None) == (one.kind == "none") == (one.plan.skin is None)
        if one.kind == "unknown":
            assert one.skin.name.startswith("generated-")
    assert len({one.skin.name for one in made if one.kind == "unknown"}) == 6
    assert [one.plan.name for one in made[:2]] == ["clip0000", "clip0001"]
    assert len({one.plan.seed for one in made}) == 60


def test_layouts_are_drawn_equally_often_whatever_their_colours():
    made = [one for one in drawn(60) if one.kind == "known"]
    layouts = Counter(one.skin.geometry for one in made)
    assert sorted(layouts.values()) == [24, 24]
    names = Counter(one.skin.name for one in made)
    assert names == {"moved": 24, "pad-0": 8, "pad-1": 8, "pad-2": 8}


def test_cases_are_decided_by_the_seed():
    def said(seed):
        return [(one.plan, one.kind) for one in drawn(12, seed)]

    assert said(3) == said(3)
    assert said(3) != said(4)
    # More clips are the same clips and others.
    assert [one.plan for one in drawn(20, 3)][:12] == [one.plan for one in drawn(12, 3)]


def test_skins_that_the_library_lacks_are_unknown():
    made = drawn(20, known=Library(tuple(COLOURS)), recipe=Recipe(none=0, unknown=0))
    for one in made:
        assert one.kind == ("unknown" if one.skin.name == "moved" else "known")
    # Another colour of a layout that is known is known.
    made = drawn(20, known=Library((COLOURS[0], OTHER)), recipe=Recipe(none=0, unknown=0))
    assert {one.kind for one in made} == {"known"}


@given(st.integers(1, 30), st.integers(0, 50))
@settings(max_examples=10)
def test_unknown_skins_are_never_given_to_the_locator_in_any_colour(number, seed):
    made = drawn(number, seed, unknown=True)
    for one in made:
        library = plans.given(one, LIBRARY, True)
        if one.skin is None:
            assert library is LIBRARY
        else:
            assert one.kind == "unknown"
            assert one.skin.geometry not in {skin.geometry for skin in library.skins}
            assert library.skins
        assert library.faults == LIBRARY.faults
    assert not any(one.skin and one.skin.name.startswith("generated") for one in made)


def test_known_skins_are_given_to_the_locator():
    for one in drawn(20):
        assert plans.given(one, LIBRARY, False) is LIBRARY


@pytest.mark.parametrize(
    ("width", "opacity", "inside"),
    [(120, 0.6, True), (119, 0.6, False), (120, 0.59, False), (99, 1.0, False), (400, 1.0, True)],
)
def test_the_core_of_clips(width, opacity, inside):
    skin = COLOURS[0]  # 100 pixels wide, travel 4
    one = next(case for case in drawn(3) if case.skin is not None)
    plan = replace(one.plan, at=Placement(width / 100, 0, 0), opacity=opacity)
    assert core(plan, skin) is inside
    assert core(plan, None) is True


def test_sticks_that_move_too_little_are_not_of_the_core():
    skin = COLOURS[0]
    slow = replace(
        skin,
        elements=tuple(replace(e, travel=(e.travel[0] / 2,) * 2) for e in skin.elements),
    )
    still = replace(skin, elements=tuple(e for e in skin.elements if e.kind != "stick"))
    plan = replace(drawn(1)[0].plan, at=Placement(1.5, 0, 0), opacity=1.0)
    assert core(plan, skin)
    assert not core(plan, slow)
    assert core(plan, still)


def test_cases_can_be_sent_to_processes():
    import pickle

    one = drawn(1)[0]
    again = pickle.loads(pickle.dumps(one))
    assert isinstance(again, Case)
    assert again.plan == one.plan
