"""A video with an overlay whose skin nobody has given."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.accuracy.score import r2
from nitrogen_jax.labeling.discover import discover
from nitrogen_jax.labeling.label_video import label_video
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.result import UNKNOWN_SKIN, VideoFailure
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.synth.footage import MadeUp, draw_hud
from nitrogen_jax.labeling.synth.traces import shown, smooth

NONE = Library(())
SIZE = 400, 224
FRAMES, RATE = 240, 30.0
FACE = ("SOUTH", "EAST", "WEST", "NORTH")


@pytest.fixture(scope="module")
def scenes():
    return [frame.copy() for frame in islice(MadeUp().frames(SIZE, RATE, 5), FRAMES)]


@pytest.fixture(scope="module")
def other():
    """A skin with a body, two sticks that stand out and a diamond, which no library has."""
    skin, elements = generate(11), []
    for element in skin.elements:
        if element.kind == "stick":
            plain = element.sprites[0].copy()
            height, width = plain.shape[:2]
            y, x = np.mgrid[:height, :width]
            far = np.hypot(x - width / 2, y - height / 2) / (width / 2)
            plain[far < 0.95] = 235, 235, 235, 255
            plain[far < 0.6] = 20, 20, 20, 255
            element = replace(element, sprites=(plain, plain))
        elements.append(element)
    return replace(skin, elements=tuple(elements))


@pytest.fixture(scope="module")
def states(other):
    times = (np.arange(FRAMES) + 0.5) / RATE
    played = shown(smooth(np.random.default_rng(3), FRAMES / RATE).at(times), other)
    for at, name in enumerate(FACE):
        played.buttons[:, BUTTON_INDEX[name]] = (np.arange(FRAMES) + 17 * at) % 70 < 9
    return played


@pytest.fixture(scope="module")
def at(made, other):
    return made.at_width(other, 140, 30.4, 60.7)


@pytest.fixture(scope="module")
def path(made, folder, scenes, other, states, at):
    return made.write(folder / "unknown.mp4", made.drawn(scenes, other, at, states), rate=RATE)


@pytest.fixture(scope="module")
def labels(path, other, at):
    return label_video(path, NONE, LabelOptions(box=at.box(other), discover=True))


def test_it_is_found_and_said_to_be_unknown(labels, other, at):
    (segment,) = labels.segments
    assert segment.skin == UNKNOWN_SKIN
    assert (segment.start, segment.end) == (0, FRAMES)
    x, y, wide, high = at.box(other)
    found = segment.box
    assert np.abs(np.subtract(found, (x, y, wide, high))).max() < 0.05 * wide
    assert any("not in the library" in warning for warning in labels.warnings)
    assert labels.confidence.max() < 1


def test_sticks_are_read(labels, states):
    for read, true in ((labels.states.left, states.left), (labels.states.right, states.right)):
        assert r2(read, true) > 0.7


def test_buttons_are_read_by_their_names(labels, states):
    for name in FACE:
        one, true = (part.buttons[:, BUTTON_INDEX[name]] for part in (labels.states, states))
        assert (one & true).sum() > 0.9 * true.sum(), name
        assert (one & ~true).sum() < 0.1 * true.sum(), name


def test_it_is_only_looked_for_if_asked(path):
    with pytest.raises(VideoFailure) as caught:
        label_video(path, NONE)
    assert caught.value.cause == "no_overlay"


@pytest.mark.parametrize("hud", [False, True])
def test_a_game_with_or_without_a_display_has_no_overlay(made, folder, scenes, hud):
    frames = scenes[:120]
    if hud:
        picture, where = draw_hud(np.random.default_rng(8), SIZE)
        frames = [np.where(where[..., None], picture, frame) for frame in frames]
    path = made.write(folder / f"game{hud:d}.mp4", frames)
    with pytest.raises(VideoFailure) as caught:
        label_video(path, NONE, LabelOptions(discover=True))
    assert caught.value.cause == "no_overlay"


def test_an_overlay_that_nobody_uses_is_none(made, folder, scenes, other, at):
    idle = made.drawn(scenes[:90], other, at, made.States.idle(90))
    path = made.write(folder / "idle.mp4", idle)
    with pytest.raises(VideoFailure) as caught:
        label_video(path, NONE, LabelOptions(discover=True))
    assert caught.value.cause == "no_overlay"


def test_a_second_stick_travels_as_the_first_and_is_seen_better_on_the_left():
    def one(x, travel):
        return SimpleNamespace(centre=(x, 50), rest=np.zeros(2), travel=travel)

    first = one(60, 6.0)
    assert discover._second(first, one(120, 7.0), 3.0)
    assert not discover._second(first, one(120, 17.0), 30.0)
    assert not discover._second(first, one(120, 7.0), 1.0)
    assert not discover._second(first, one(20, 6.0), 3.0)
    assert discover._second(first, one(20, 6.0), 9.0)
