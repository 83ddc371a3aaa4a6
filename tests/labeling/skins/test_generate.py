"""Made-up skins: many, different, the same for a seed, and everything on them can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region
from nitrogen_jax.labeling.skins.generate import generate, outline
from nitrogen_jax.labeling.skins.look import CLICKS, EFFECTS, look
from nitrogen_jax.labeling.skins.plan import FAMILIES, LARGEST, SMALLEST, TRAVEL, plan
from nitrogen_jax.labeling.skins.skin import States

SEEDS = range(24)


@pytest.fixture(scope="module")
def skins():
    return [generate(seed) for seed in SEEDS]


def test_the_same_seed_gives_the_same_skin():
    one, other = generate(5), generate(5)
    assert one.name == other.name
    for a, b in zip(one.elements, other.elements, strict=True):
        assert (a.name, a.position, a.travel) == (b.name, b.position, b.travel)
        for mine, yours in zip(a.sprites, b.sprites, strict=True):
            np.testing.assert_array_equal(mine, yours)


def test_five_hundred_seeds_have_five_hundred_geometries():
    assert len({outline(seed).geometry for seed in range(500)}) == 500


def test_outlines_have_the_geometry_of_what_is_drawn(skins):
    for seed, skin in zip(SEEDS, skins, strict=True):
        assert outline(seed).geometry == skin.geometry


def test_plans_are_as_different_as_they_should_be():
    plans = [plan(seed) for seed in range(300)]
    assert {one.family for one in plans} == set(FAMILIES)
    assert {one.dpad for one in plans} == {"nine", "four", "overlap"}
    widths = [one.size[0] for one in plans]
    assert SMALLEST <= min(widths) < 400
    assert 1300 < max(widths) <= LARGEST
    parts = [{part.name for part in one.parts} for one in plans]
    for often in ("GUIDE", "START", "LEFT_TRIGGER", "LEFT_SHOULDER", "left_stick", "right_stick"):
        share = np.mean([often in names for names in parts])
        assert 0.3 < share < 0.97, often
    assert any("left_stick" in names and "right_stick" not in names for names in parts)
    assert any(not {"left_stick", "right_stick"} & names for names in parts)
    triggers = [part for one in plans for part in one.parts if part.kind == "trigger"]
    assert {part.direction for part in triggers if part.bar} == {"up", "down", "left", "right"}
    assert any(not part.bar for part in triggers)


def test_sticks_travel_as_those_of_real_skins():
    travels = np.array(
        [
            part.travel / one.size[0]
            for one in map(plan, range(200))
            for part in one.parts
            if part.kind == "stick"
        ]
    )
    # Pictures that triggers make wider are wider than the body, which the travel is a share of.
    assert travels.min() > 0.75 * TRAVEL[0]
    assert travels.max() <= TRAVEL[1] + 1e-9
    assert travels.max() > 2.5 * travels.min()


def test_looks_are_as_different_as_they_should_be():
    looks = [look(seed) for seed in range(300)]
    assert {one.style for one in looks} == {"filled", "line", "flat"}
    assert {one.effect for one in looks} == set(EFFECTS)
    assert {one.click for one in looks} == set(CLICKS)
    assert {one.outline for one in looks} == {"pad", "slab", "oval", "none"}
    for choice in ("coloured", "printed", "behind", "wells", "plate"):
        assert {getattr(one, choice) for one in looks} == {True, False}
    assert any(one.body.alpha < 0.6 for one in looks)


@pytest.mark.parametrize("seed", range(150))
def test_no_group_lies_on_another(seed):
    one = plan(seed)
    sticks = [part for part in one.parts if part.kind == "stick"]
    rest = [part for part in one.parts if part.kind == "button" and part.button == "GUIDE"]
    for i, a in enumerate(sticks + rest):
        for b in (sticks + rest)[:i]:
            far = np.hypot(a.centre[0] - b.centre[0], a.centre[1] - b.centre[1])
            assert far > 0.9 * (a.half[0] + b.half[0])


def test_everything_lies_in_the_picture(skins):
    for skin in skins:
        for element in skin.elements:
            (x, y), (w, h) = element.position, element.size
            middle = np.array([x + w / 2, y + h / 2])
            assert (middle >= 0).all(), (skin.name, element.name)
            assert (middle <= skin.size).all(), (skin.name, element.name)


def test_sprites_are_premultiplied(skins):
    for skin in skins:
        for element in skin.elements:
            for sprite in element.sprites:
                assert (sprite[..., :3] <= sprite[..., 3:]).all()


def frames(skin, states):
    scale = 200 / skin.size[0]
    region = Region(0, 0, 200, max(1, round(skin.size[1] * scale)))
    painter = Painter(skin, Placement(scale, 0, 0), region)
    return [frame.copy() for frame in painter.states(states)]


def test_whatever_is_pressed_changes_the_picture(skins):
    for skin in skins:
        names = [name for name in skin.buttons if not name.endswith("TRIGGER")]
        states = States.idle(len(names) + 1)
        for at, name in enumerate(names):
            states.buttons[at + 1, BUTTON_INDEX[name]] = True
        idle, *pressed = frames(skin, states)
        for name, frame in zip(names, pressed, strict=True):
            assert np.abs(frame - idle).max() > 15, (skin.name, name)


def test_sticks_and_triggers_change_the_picture(skins):
    for skin in skins:
        states = States.idle(5)
        states.left[1], states.right[2] = (1, 0), (0, 1)
        states.triggers[3], states.triggers[4] = (1, 0), (0, 1)
        idle, left, right, *pulled = frames(skin, states)
        for side, frame in (("left", left), ("right", right)):
            moved = np.abs(frame - idle).max() > 15
            assert moved == (side in skin.sides), skin.name
        for side, frame in zip(("LEFT", "RIGHT"), pulled, strict=True):
            moved = np.abs(frame - idle).max() > 15
            assert moved == (f"{side}_TRIGGER" in skin.buttons), skin.name


def test_four_buttons_of_a_dpad_show_two_directions_at_once():
    seed = next(seed for seed in range(100) if plan(seed).dpad == "overlap" and _has_dpad(seed))
    skin = generate(seed)
    states = States.idle(4)
    up, right = BUTTON_INDEX["DPAD_UP"], BUTTON_INDEX["DPAD_RIGHT"]
    states.buttons[[1, 3], up] = True
    states.buttons[[2, 3], right] = True
    idle, one, other, both = frames(skin, states)
    for single in (one, other):
        changed = np.abs(single - idle).max(axis=-1) > 30
        assert changed.any()
        shown = np.abs(both - idle).max(axis=-1) > 15
        assert (shown & changed).sum() > 0.9 * changed.sum()


def _has_dpad(seed) -> bool:
    return any(part.name == "DPAD_UP" for part in plan(seed).parts)
