"""The debug picture and the panel show what was held and what is to come."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.gamepad import BUTTON_INDEX, Pad
from nitrogen_jax.play import panel, sketch
from nitrogen_jax.play.seen import Decision, Seen
from nitrogen_jax.report.chunk import LIT, PAD_HEIGHT


def lit(area) -> int:
    return int((area == np.array(LIT)).all(-1).sum())


@pytest.mark.parametrize("size", [(48, 64), (480, 640), (700, 1000)])
def test_the_picture_is_whole_above_pad_and_chunk(make_seen, size):
    drawn = sketch.Sketch(size[::-1], shift=1)
    seen = make_seen(3, size)
    picture = drawn.draw(seen)
    assert picture.shape == (size[0] + sketch.PANEL, max(size[1], 640), 3)
    left = (picture.shape[1] - size[1]) // 2
    np.testing.assert_array_equal(picture[: size[0], left : left + size[1]], seen.picture)


def test_a_pressed_button_lights_its_column(make_seen):
    """A is pressed in steps 4k and 4k + 1, which are lit where the roll has A's row."""
    pad = gamepad.decode(make_seen(0).decision.chunk)
    roll = sketch.roll(pad)
    row = sketch._ROWS.index("SOUTH")
    top = 2 * sketch._STICK_ROW + row * sketch._ROW
    column = (roll.shape[1] - sketch._NAMES) // 18
    for step in range(18):
        begin = sketch._NAMES + step * column
        cell = roll[top : top + sketch._ROW, begin : begin + column]
        assert (lit(cell) > 0) == bool(pad.pressed[step, BUTTON_INDEX["SOUTH"]])
    assert lit(roll[top + sketch._ROW :]) == 0


def test_the_mark_moves_with_the_steps_and_leaves_with_the_chunk(make_seen):
    drawn, marks = sketch.Sketch((64, 48), shift=3), []
    for step in (1, 3, 4, 10, 20, 30):
        seen = make_seen(step, asked=0, shift=3)
        area = drawn.draw(seen)[48 + sketch._GAP :, sketch._ROLL :]
        edge = area[0]  # the mark's upper edge; nothing else is lit there
        found = np.flatnonzero((edge == np.array(LIT)).all(-1))
        marks.append(int(found[0]) if len(found) else None)
    column = marks[2] - marks[1]
    first = marks[1]
    assert marks == [None, first, first + column, first + 7 * column, first + 17 * column, None]


def test_the_pad_shows_what_is_held(make_seen):
    drawn = sketch.Sketch((64, 48), shift=1)
    area = slice(48 + sketch._GAP, 48 + sketch._GAP + PAD_HEIGHT), slice(0, 170)
    pressed, free = (drawn.draw(make_seen(step))[area] for step in (1, 2))
    assert lit(pressed) > 50
    assert lit(free) == 0


def test_before_the_first_chunk_there_is_none():
    pad = gamepad.decode(gamepad.neutral())
    seen = Seen(0, 0.0, 0.0, np.zeros((48, 64, 3), np.uint8), pad, "", Decision(pad), 0.0, {})
    picture = sketch.Sketch((64, 48), 1).draw(seen)
    assert lit(picture) == 0
    assert "no chunk yet" in "\n".join(panel.lines(seen, 10, 1))


def test_the_panel_fits_and_does_not_jump(make_seen):
    heights = set()
    for step in range(1, 40):
        lines = panel.lines(make_seen(step, asked=step // 9 * 9), 3600, 1)
        assert max(map(len, lines)) <= panel.WIDTH
        heights.add(len(lines))
    everything = Pad(np.ones((18, 21), bool), np.zeros((18, 2)), np.ones((18, 2)) * 0.7)
    held = make_seen(5)
    decision = Decision(everything[0], gamepad.pack(everything), 4)
    seen = Seen(5, 0.1, 0.2, held.picture, everything[0], "person", decision, 0.0, {})
    lines = panel.lines(seen, 3600, 1)
    assert max(map(len, lines)) <= panel.WIDTH
    assert "more buttons" in "\n".join(lines)
    assert "pad (person)" in lines[1]
    assert len(heights | {len(lines)}) == 1


def test_the_panel_marks_the_step_that_is_played(make_seen):
    for step in (1, 7, 18):
        lines = panel.lines(make_seen(step), 3600, 1)
        head = next(line for line in lines if line.startswith("step ") and "of" not in line)
        (mark,) = (line for line in lines if "▲" in line)
        assert head[: mark.index("▲") + 1].split()[-1] == str(step - 1)
