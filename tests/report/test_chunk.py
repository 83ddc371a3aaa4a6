"""Drawn chunks: what is pressed is seen, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS, Pad
from nitrogen_jax.report import chunk


def make_pad(steps=1, left=(0, 0), right=(0, 0), pressed=()):
    buttons = np.zeros((steps, 21), bool)
    buttons[:, [BUTTON_INDEX[name] for name in pressed]] = True
    return Pad(buttons, np.tile(left, (steps, 1)), np.tile(right, (steps, 1)))


def test_text_grid():
    pad = make_pad(12, right=(0.7, -0.7))
    pad.buttons[1, BUTTON_INDEX["SOUTH"]] = pad.buttons[11, BUTTON_INDEX["SOUTH"]] = True
    pad.left[3] = (-1, 0)
    assert chunk.text_grid(pad) == [
        "step         0  1  2  3  4  5  6  7  8  9 10 11",
        "A            ·  ■  ·  ·  ·  ·  ·  ·  ·  ·  ·  ■",
        "left stick   ·  ·  ·  ←  ·  ·  ·  ·  ·  ·  ·  ·",
        "right stick  ↗  ↗  ↗  ↗  ↗  ↗  ↗  ↗  ↗  ↗  ↗  ↗",
    ]


def test_text_grid_names_every_button():
    lines = chunk.text_grid(make_pad(2, pressed=BUTTONS))
    assert len(lines) == 1 + len(BUTTONS) + 2
    for label in gamepad.LABELS.values():
        assert sum(line.startswith(f"{label} ") for line in lines) == 1
    assert len(set(map(len, lines))) == 1


@pytest.mark.parametrize("eighth", range(8))
def test_arrows_agree_with_the_words(eighth):
    turn = eighth * np.pi / 4
    stick = np.array([np.cos(turn), -np.sin(turn)], np.float32)
    words = gamepad.describe(Pad(np.zeros(21, bool), stick, np.zeros(2)))
    names = {
        **{"right": "→", "up-right": "↗", "up": "↑", "up-left": "↖"},
        **{"left": "←", "down-left": "↙", "down": "↓", "down-right": "↘"},
    }
    assert chunk.arrow(stick) == names[words.removeprefix("left stick ")]
    assert chunk.arrow(stick * 0.1) == chunk.RELEASED


def area(shape):
    """Row and column slices around a button."""
    height = shape.height if shape.kind == "box" else shape.width
    return (
        slice(shape.y - height - 2, shape.y + height + 3),
        slice(shape.x - shape.width - 2, shape.x + shape.width + 3),
    )


@pytest.mark.parametrize("name", BUTTONS)
def test_a_pressed_button_lights_up_and_no_other(name):
    idle = chunk.draw_pad(make_pad()[0]).astype(int)
    lit = chunk.draw_pad(make_pad(pressed=[name])[0]).astype(int)
    changed = np.abs(lit - idle).any(axis=-1)
    assert (lit[changed] == chunk.LIT).all(axis=-1).sum() >= 10
    inside = changed[area(chunk.SHAPES[name])]
    assert inside.sum() == changed.sum()


def test_every_button_has_a_place_on_the_pad():
    assert set(chunk.SHAPES) == set(BUTTONS)
    for shape in chunk.SHAPES.values():
        rows, columns = area(shape)
        assert 0 <= rows.start < rows.stop <= chunk.PAD_HEIGHT
        assert 0 <= columns.start < columns.stop <= chunk.PAD_WIDTH


@pytest.mark.parametrize("name", ["left", "right"])
@pytest.mark.parametrize("stick", [(0, 0), (1, 0), (0, -1), (-1, 1), (0.5, 0.5)])
def test_a_stick_is_drawn_where_it_is(name, stick):
    canvas = chunk.draw_pad(make_pad(**{name: stick})[0])
    idle = chunk.draw_pad(make_pad()[0])
    centre = chunk.STICKS[name]
    x, y = np.rint(np.add(centre, (chunk.STICK_RADIUS - 4) * np.array(stick))).astype(int)
    assert tuple(canvas[y, x]) == chunk.STICK
    other = chunk.STICKS["right" if name == "left" else "left"]
    around = tuple(slice(c - 9, c + 10) for c in other[::-1])
    np.testing.assert_array_equal(canvas[around], idle[around])


@pytest.mark.parametrize("shape", [(100, 100), (64, 256), (300, 20), (1, 5000)])
@pytest.mark.parametrize(("steps", "columns"), [(18, 6), (7, 3), (1, 6)])
def test_the_whole_picture(shape, steps, columns):
    frame = np.full((*shape, 3), (10, 200, 30), np.uint8)
    drawn = chunk.draw(frame, make_pad(steps), columns)
    assert (drawn.dtype, drawn.ndim, drawn.shape[2]) == (np.uint8, 3, 3)
    assert max(drawn.shape) < 4000
    rows = -(-steps // columns)
    assert drawn.shape[0] > rows * chunk.PAD_HEIGHT
    assert tuple(drawn[drawn.shape[0] // 2, 20]) == (10, 200, 30)


def test_each_step_is_drawn_in_its_place():
    pad = make_pad(8)
    pad.buttons[:] = np.random.default_rng(0).random((8, 21)) < 0.3
    drawn = chunk.draw(np.zeros((10, 10, 3), np.uint8), pad, columns=3)
    places = []
    for step in range(8):
        cell = chunk.draw_pad(pad[step], f"step {step}")
        score = cv2.matchTemplate(drawn, cell, cv2.TM_SQDIFF)
        assert score.min() < 100  # OpenCV computes it by Fourier transform, in float32
        places.append(np.unravel_index(score.argmin(), score.shape))
    assert places == sorted(places)
    assert len({row for row, _ in places}) == 3


def test_bad_input():
    frame = np.zeros((4, 4, 3), np.uint8)
    for pad in (make_pad()[0], make_pad(0)):
        with pytest.raises(NitrogenError, match="is not a chunk"):
            chunk.draw(frame, pad)
        with pytest.raises(NitrogenError, match="is not a chunk"):
            chunk.text_grid(pad)
    for bad in (frame[..., 0], frame.astype(float), frame[:0]):
        with pytest.raises(NitrogenError, match=r"frame is .*, where uint8"):
            chunk.draw(bad, make_pad())
