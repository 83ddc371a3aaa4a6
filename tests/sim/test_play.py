"""Pads that play without looking."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import NUM_BUTTONS, Pad
from nitrogen_jax.sim import actions, catalogue, games, play


def test_a_script_holds_each_press_for_its_time():
    doom = games.get("freedoom")
    pads = play.take(play.script(doom, 35.0), 200)
    lengths = [press.frames(35.0) for press in doom.script]
    edges = np.cumsum([0, *lengths])
    for press, start, end in zip(doom.script, edges, edges[1:], strict=False):
        for step in range(start, end):
            np.testing.assert_array_equal(pads.left[step], np.float32(press.left))
            np.testing.assert_array_equal(pads.pressed[step], press.pad.pressed)
    # and begins anew
    np.testing.assert_array_equal(pads.left[edges[-1]], np.float32(doom.script[0].left))


def test_a_game_without_a_script_has_a_common_one():
    pads = play.take(play.script(catalogue.get("ale"), 60.0), 300)
    assert pads.pressed.any()
    assert np.abs(pads.left).max() == 1


@settings(max_examples=20)
@given(st.integers(0, 2**31 - 1), st.sampled_from([15.0, 35.0, 60.0]))
def test_chance_is_decided_by_its_seed_and_leaves_menus_alone(seed, rate):
    pads = play.take(play.chance(rate, seed), 200)
    again = play.take(play.chance(rate, seed), 200)
    np.testing.assert_array_equal(pads.pressed, again.pressed)
    np.testing.assert_array_equal(pads.left, again.left)
    menus = [gamepad.BUTTON_INDEX[name] for name in gamepad.NO_MENUS]
    assert not pads.pressed[:, menus].any()
    assert (gamepad.deflection(pads.left) <= 1 + 1e-6).all()


def test_chance_plays_and_rests():
    pads = play.take(play.chance(60.0, 1), 20_000)
    pressed = pads.pressed.mean(0)
    used = [gamepad.BUTTON_INDEX[name] for name in play.CHANCE]
    assert (pressed[used] > 0.01).all()
    assert 0.03 < gamepad.is_idle(pads).mean() < 0.3
    other = play.take(play.chance(60.0, 2), 20_000)
    assert (other.pressed != pads.pressed).any()


def test_files_are_played_to_their_end(tmp_path):
    path = tmp_path / "some.npz"
    rng = np.random.default_rng(0)
    pad = Pad(rng.random((7, NUM_BUTTONS)) < 0.5, rng.uniform(-1, 1, (7, 2)), np.zeros((7, 2)))
    actions.write(path, pad)
    (source,) = play.sources([str(path)])
    assert source.name == "some"
    played = play.take(play.pads(source, games.get("freedoom"), 35.0, 0), 100)
    np.testing.assert_array_equal(played.pressed, pad.pressed)
    np.testing.assert_array_equal(played.left, pad.left)


def test_mistakes_are_told(tmp_path):
    with pytest.raises(NitrogenError, match="'scriptd' is neither scripted nor random"):
        play.sources(["scriptd"])
    (tmp_path / "text.npz").write_text("no actions")
    (source,) = play.sources([str(tmp_path / "text.npz")])
    with pytest.raises(NitrogenError, match=r"text\.npz"):
        play.pads(source, games.get("freedoom"), 35.0, 0)
    with pytest.raises(NitrogenError, match="no pads to play"):
        play.take(iter(()), 5)


def test_the_idle_pad_is_idle():
    assert gamepad.is_idle(play.idle())
    assert len(list(itertools.islice(play.chance(60, 0), 5))) == 5
