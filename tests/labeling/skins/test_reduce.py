"""Skins with fewer pixels look the same where they are drawn small."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.skins.reduce import SPARE, suited
from nitrogen_jax.labeling.skins.skin import Element, Skin, States

_spec = importlib.util.spec_from_file_location("presets", Path(__file__).parent / "presets.py")
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)


def moved(seed: int, number: int = 3) -> States:
    """A pad in any state."""
    rng = np.random.default_rng(seed)
    states = States.idle(number)
    states.buttons[:] = rng.random(states.buttons.shape) < 0.4
    states.left[:], states.right[:] = rng.uniform(-1, 1, (2, number, 2))
    states.triggers[:] = rng.integers(0, 5, (number, 2)) / 4
    return states


def drawn(skin: Skin, at: Placement, region: Region, states: States) -> np.ndarray:
    return np.stack(list(Painter(skin, at, region).states(states)))


@pytest.mark.parametrize("seed", range(6))
def test_a_reduced_skin_is_drawn_as_the_original_is(seed):
    skin = generate(seed)
    # Bars may differ by a part of a pixel of the reduced sprite.
    skin = replace(skin, elements=tuple(replace(one, bar=False) for one in skin.elements))
    at = Placement(120 / skin.size[0], 7.3, 5.6)
    region = Region(0, 0, 150, round(skin.size[1] * at.scale) + 30)
    small, there = suited(skin, at)
    states = moved(seed)
    one, other = drawn(skin, at, region, states), drawn(small, there, region, states)
    apart = np.abs(one - other)
    assert apart.mean() < 1
    assert np.percentile(apart, 99) < 20


def test_where_pixels_of_the_picture_are_whole_blocks_nothing_is_lost():
    sprites = presets.noise(0, 40, 32), presets.noise(1, 40, 32)
    stick = Element("stick", "l", (24.0, 14.0), sprites, "LEFT_THUMB", "left", (24.0, 24.0))
    skin = Skin("one", (144, 144), (stick,))
    at = Placement(1 / 4, 3.0, 2.0)
    small, there = suited(skin, at)
    assert there.scale == 1 / 2
    states = States.idle(3)
    states.left[1:] = [[1, -1], [0.5, 0.25]]
    region = Region(0, 0, 36, 36)
    one, other = drawn(skin, at, region, states), drawn(small, there, region, states)
    assert np.abs(one - other).max() <= 0.51  # sprites are whole numbers
    # The stick has moved as far as it should.
    first = [np.argwhere(alpha).min(0) for alpha in other[..., 3]]
    assert (first[1] - first[0]).tolist() == [-5, 6]  # the picture ends at the top


@given(st.integers(0, 3), st.floats(0.02, 3), st.floats(-50, 50), st.floats(-50, 50))
@settings(max_examples=30)
def test_elements_stay_where_they_are_in_the_picture(seed, scale, x, y):
    skin, at = presets.pad(moved=seed / 3), Placement(scale, x, y)
    small, there = suited(skin, at)
    factor = there.scale / at.scale
    assert factor == round(factor)
    # There are still more pixels than are needed, and not many more.
    assert there.scale * SPARE <= 1 or factor == 1
    assert there.scale > 1 / (2 * SPARE) - 1e-9
    assert (there.x, there.y) == (x, y)
    for one, other in zip(skin.elements, small.elements, strict=True):
        for mine, old in zip(other.position, one.position, strict=True):
            assert mine * there.scale == pytest.approx(old * at.scale)
        for mine, old in zip(other.travel, one.travel, strict=True):
            assert mine * there.scale == pytest.approx(old * at.scale)
        assert (one.kind, one.button, one.side) == (other.kind, other.button, other.side)


def test_large_skins_are_left_as_they_are():
    skin = presets.pad()
    at = Placement(1.0, 3.0, 4.0)
    assert suited(skin, at) == (skin, at)


@given(st.integers(0, 10_000), st.sampled_from([0.04, 0.1, 0.2]))
@settings(max_examples=20)
def test_reduced_sprites_are_premultiplied(seed, scale):
    sprite = presets.noise(seed, 19, 13)
    skin = Skin("one", (40, 30), (Element("texture", "t", (0.0, 0.0), (sprite,)),))
    small, _ = suited(skin, Placement(scale, 0, 0))
    reduced = small.elements[0].sprites[0].astype(int)
    assert (reduced[..., :3] <= reduced[..., 3:]).all()
    # The same amount of everything, transparency beyond the edges included.
    factor = int(1 / (SPARE * scale))
    total = reduced.sum((0, 1)) * factor**2
    pixels = reduced.shape[0] * reduced.shape[1] * factor**2
    assert np.abs(total - sprite.astype(int).sum((0, 1))).max() <= 0.5 * pixels
