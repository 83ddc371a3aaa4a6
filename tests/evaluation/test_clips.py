"""Clips of episodes: they are short and small, and show what was seen and held until the end."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nitrogen_jax.evaluation import clips
from nitrogen_jax.evaluation.clips import PICTURE, SIZE, Clip
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.report import chunk

pytest.importorskip("av")
from nitrogen_jax.data import video


def pad(*pressed: str, left=(0, 0)) -> Pad:
    buttons = np.zeros(NUM_BUTTONS, bool)
    buttons[[BUTTON_INDEX[name] for name in pressed]] = True
    return Pad(buttons, left, (0, 0))


def written(clip: Clip):
    """The frames of a clip (N, H, W, 3) and the seconds that it lasts."""
    path = clip.close()
    found = list(video.frames(path))
    pictures = np.stack([frame.picture() for frame in found])
    step = found[1].time - found[0].time if len(found) > 1 else 0
    return pictures, found[-1].time + step


def game(level: int, shape=(480, 640)) -> np.ndarray:
    return np.full((*shape, 3), level, np.uint8)


def seen(pictures: np.ndarray) -> np.ndarray:
    """The level of the game's picture in each frame."""
    return pictures[:, 100:140, 100:220].mean((1, 2, 3))


def lit(pictures: np.ndarray, button: str) -> np.ndarray:
    """Whether a button of the pad is lit, in each frame."""
    shape = chunk.SHAPES[button]
    found = pictures[:, shape.y, PICTURE[0] + shape.x].astype(int)
    return found[:, 0] > found[:, 2] + 60  # yellow and not grey


def test_a_short_episode_plays_at_its_own_speed(tmp_path):
    clip = Clip(tmp_path / "new" / "a.mp4", fps=30)
    clip.see(game(0), None, Verdict())
    for step in range(90):
        clip.see(game(2 * step), pad(), Verdict(progress=step / 90))
    pictures, seconds = written(clip)
    assert pictures.shape[1:] == (SIZE[1], SIZE[0], 3)
    assert seconds == pytest.approx(3, abs=0.15)
    assert len(pictures) == pytest.approx(45, abs=2)
    levels = seen(pictures)
    assert (np.diff(levels) > 0).all()
    assert levels[0] == pytest.approx(0, abs=5)
    assert levels[-1] == pytest.approx(178, abs=5)


@pytest.mark.parametrize("steps", [601, 5400])
def test_a_long_episode_is_there_to_its_end(tmp_path, steps):
    clip = Clip(tmp_path / "a.mp4", fps=30)
    for step in range(steps):
        clip.see(game(round(250 * step / (steps - 1)), (60, 80)), pad(), Verdict())
    pictures, seconds = written(clip)
    assert seconds == pytest.approx(clips.SECONDS, abs=1)
    assert clips.SECONDS * clips.RATE / 2 - 1 <= len(pictures) <= clips.SECONDS * clips.RATE + 1
    levels = seen(pictures)
    assert levels[-1] == pytest.approx(250, abs=5)
    assert np.diff(levels).max() < 6  # no part is left out


def test_noise_is_made_small(tmp_path):
    rng = np.random.default_rng(0)
    clip = Clip(tmp_path / "a.mp4", fps=15)
    noise = rng.integers(0, 256, (8, 240, 320, 3), np.uint8)
    for step in range(30):
        clip.see(noise[step % 8], pad(), Verdict())
    assert clip.close().stat().st_size <= clips.MOST_BYTES


def test_no_press_is_lost(tmp_path):
    """A button that one step of many held is lit, also where most steps are left out."""
    for steps, held in ((40, 7), (1300, 634), (1300, 1299)):
        clip = Clip(tmp_path / "a.mp4", fps=60)
        for step in range(steps):
            clip.see(game(0, (24, 32)), pad(*["SOUTH"] * (step == held)), Verdict())
        pictures, _ = written(clip)
        shown = lit(pictures, "SOUTH")
        assert shown.sum() == 1
        assert np.argmax(shown) == pytest.approx(held / steps * len(pictures), abs=2)
        assert not lit(pictures, "NORTH").any()


def test_pictures_keep_their_shape(tmp_path):
    """Of any shape: a bright one reaches two sides of its frame and leaves the others dark."""
    for shape, across, upright in (((210, 160), False, True), ((90, 160), True, False)):
        clip = Clip(tmp_path / "a.mp4", fps=10)
        clip.see(game(255, shape), None, Verdict())
        clip.see(game(255, shape), pad(), Verdict())
        pictures, _ = written(clip)
        bright = pictures[0, :, : PICTURE[0]].mean(2) > 128
        wide, high = bright.any(0).sum(), bright.any(1).sum()
        assert wide / high == pytest.approx(shape[1] / shape[0], rel=0.03)
        assert (wide == PICTURE[0]) == across
        assert (high == PICTURE[1]) == upright


def test_what_the_judge_reads_is_written(tmp_path):
    texts = []
    for facts in ({}, {"kills": 2.0}, {"kills": 3.0}, {"ゼルダ": "x" * 500, "b": 1e-12}):
        clip = Clip(tmp_path / "a.mp4", fps=10)
        clip.see(game(0), pad(), Verdict(None, 0.5, facts))
        texts.append(written(clip)[0][0, 150:, PICTURE[0] :].astype(int))
    for one, other in ((0, 1), (1, 2), (2, 3)):
        assert np.abs(texts[one] - texts[other]).max() > 60


def test_nothing_seen_nothing_written(tmp_path):
    clip = Clip(tmp_path / "a.mp4", fps=30)
    assert clip.close() is None
    clip = Clip(tmp_path / "b.mp4", fps=30)
    clip.see(game(0), None, Verdict())
    assert list(tmp_path.iterdir()) == []  # not closed: nothing either


def test_a_picture_may_be_reused_by_the_game(tmp_path):
    clip, picture = Clip(tmp_path / "a.mp4", fps=60), game(0, (24, 32))
    for step in range(6):  # the last one is between two moments
        picture[:] = 40 * step
        clip.see(picture, pad(), Verdict())
    picture[:] = 0
    assert seen(written(clip)[0])[-1] == pytest.approx(200, abs=5)


def test_it_is_said_what_is_missing(monkeypatch):
    assert clips.missing() is None
    monkeypatch.setattr("nitrogen_jax.data.video_write.ENCODER", "libx000")
    assert "libx000" in clips.missing()
    monkeypatch.setitem(sys.modules, "av.codec", None)  # as where av is not installed
    assert "nitrogen_jax[label]" in clips.missing()


def test_no_jax(run_python):
    code = "import sys, nitrogen_jax.evaluation.clips, nitrogen_jax.data.video_write\n"
    code += "assert not {'jax', 'flax'} & sys.modules.keys()"
    assert run_python("-c", code).returncode == 0
