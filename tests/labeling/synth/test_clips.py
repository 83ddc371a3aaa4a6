"""Clips: their plans, their truth, and what a decoder finds in the encoded files."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.data import video
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.planes import colours_of
from nitrogen_jax.labeling.skins.draw import Painter, Placement, overlay_region
from nitrogen_jax.labeling.skins.generate import outline
from nitrogen_jax.labeling.skins.skin import States
from nitrogen_jax.labeling.synth.clips import (
    STREAMS,
    ClipPlan,
    Encoder,
    Recipe,
    describe,
    plan,
    render,
    truth,
)
from nitrogen_jax.labeling.synth.traces import RATE, Trace, shown, smooth

_path = Path(__file__).parents[1] / "skins" / "presets.py"
_spec = importlib.util.spec_from_file_location("presets", _path)
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)

TRACE = smooth(np.random.default_rng(0), 8)


class Grey:
    """Footage that is one smooth picture."""

    def frames(self, size, rate, seed):
        low = np.random.default_rng(seed).uniform(60, 180, (3, 4, 3)).astype(np.float32)
        picture = cv2.resize(low, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        while True:
            yield picture


class Broken:
    """Footage that stops in the middle."""

    def frames(self, size, rate, seed):
        for _ in range(3):
            yield np.zeros((size[1], size[0], 3), np.uint8)
        raise NitrogenError("the footage is broken")


def small(**more) -> ClipPlan:
    """A plan of a small clip with the small pad."""
    usual = ClipPlan(
        "clip", "pad", True, Placement(1.6, 20.3, 11.7), 1.0, 0, False, (256, 144), 30.0,
        1_000_000, "h264", "smooth", 0.5, 1.0, 3,
    )  # fmt: skip
    return replace(usual, **more)


def decoded(path) -> np.ndarray:
    return np.stack([frame.picture() for frame in video.frames(path, threads=1)])


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


# ---------------------------------------------------------------------------------------------
# Plans


@given(st.integers(0, 10_000), st.integers(0, 40))
@settings(max_examples=40)
def test_plans_lie_within_the_bounds_of_the_recipe(seed, which):
    recipe = Recipe(travel=(3.5, 11), width=(110, 400), opacity=(0.5, 0.9), lag=2)
    skin = outline(which)
    made = plan("a", np.random.default_rng(seed), skin, True, TRACE, 3.0, recipe)
    wide = skin.size[0] * made.at.scale
    travel = max(max(one.travel) for one in skin.elements) * made.at.scale
    assert wide <= 400 + 1e-6
    assert travel <= 11 + 1e-6
    high = skin.size[1] * made.at.scale
    assert high <= made.size[1] / 2 + 1e-6
    # The lower bounds hold where the upper ones let them.
    most = min(11 / travel if travel else 9, 400 / wide, made.size[1] / 2 / high)
    assert wide * most < 110 or wide >= 110 - 1e-6
    assert not travel or travel * most < 3.5 or wide * most < 110 or travel >= 3.5 - 1e-6
    assert 0 <= made.at.x <= made.size[0] - wide + 1e-6
    assert 0 <= made.at.y <= made.size[1] - high + 1e-6
    assert 0.5 <= made.opacity <= 0.9
    assert 0 <= made.lag <= 2
    assert (made.size, made.rate, made.bits) in STREAMS
    assert 0 <= made.start <= TRACE.seconds - 3.0
    assert made.frames == len(made.times) == 3 * made.rate


def test_plans_are_decided_by_the_seed():
    def draw(seed):
        rng = np.random.default_rng(seed)
        return [plan(f"{i}", rng, outline(4), True, TRACE, 2.0, Recipe()) for i in range(4)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert [json.loads(describe(one)) for one in draw(1)] == [
        json.loads(describe(one)) for one in draw(1)
    ]


def test_shares_of_displays_codecs_and_opaque_overlays():
    rng, skin = np.random.default_rng(0), outline(1)
    recipe = Recipe(hud=0.3, vp9=0.4)
    made = [plan("a", rng, skin, True, TRACE, 1.0, recipe) for _ in range(600)]
    assert np.mean([one.hud for one in made]) == pytest.approx(0.3, abs=0.06)
    assert np.mean([one.codec == "vp9" for one in made]) == pytest.approx(0.4, abs=0.06)
    assert np.mean([one.opacity == 1 for one in made]) == pytest.approx(0.5, abs=0.06)
    assert {(one.size, one.rate, one.bits) for one in made} == set(STREAMS)
    never = Recipe(hud=0, vp9=0)
    made = [plan("a", rng, skin, True, TRACE, 1.0, never) for _ in range(50)]
    assert not any(one.hud or one.codec == "vp9" for one in made)


def test_a_clip_may_be_longer_than_its_trace():
    made = plan("a", np.random.default_rng(0), None, False, TRACE, 100.0, Recipe())
    assert made.start == 0
    assert made.skin is None


# ---------------------------------------------------------------------------------------------
# Truth


def test_the_truth_is_what_the_pad_did_and_the_overlay_may_be_late():
    states = States.idle(600)
    states.left[:, 0] = np.linspace(-1, 1, 600)
    trace = Trace("ramp", states)
    did, late = truth(small(lag=3, seconds=2.0), presets.pad(), trace)
    assert did.number == late.number == 60
    # Frame i shows what the pad did three frames before.
    np.testing.assert_allclose(late.left[3:], did.left[:-3], atol=1e-6)
    first = np.floor((0.5 + 0.5 / 30) * RATE)
    assert did.left[0, 0] == pytest.approx(states.left[int(first), 0])


def test_the_truth_holds_what_the_skin_shows():
    did, _ = truth(small(), presets.pad(), TRACE)
    expected = shown(TRACE.at(small().start + small().times), presets.pad())
    for one, other in zip(did, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    nothing, _ = truth(small(skin=None), None, TRACE)
    assert not nothing.buttons.any()
    assert not nothing.left.any()


# ---------------------------------------------------------------------------------------------
# Files


@pytest.mark.parametrize(("codec", "suffix"), [("h264", ".mp4"), ("vp9", ".mkv")])
@pytest.mark.parametrize("opacity", [1.0, 0.6])
def test_decoded_frames_show_the_overlay_as_it_is_drawn(tmp_path, codec, suffix, opacity):
    made = small(codec=codec, opacity=opacity, lag=2, seconds=0.8)
    path, skin = tmp_path / f"clip{suffix}", presets.pad()
    render(made, skin, TRACE, Grey(), path, "veryfast")
    frames = decoded(path)
    assert frames.shape == (made.frames, 144, 256, 3)
    region = overlay_region(skin, made.at)
    painter = Painter(skin, made.at, region)
    _, late = truth(made, skin, TRACE)
    background = next(Grey().frames(made.size, made.rate, made.seed))
    rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
    under = background[rows, columns].astype(float)
    for frame, rgba in zip(frames, painter.states(late), strict=True):
        clear = 1 - opacity * rgba[..., 3:] / 255
        assert psnr(frame[rows, columns], opacity * rgba[..., :3] + clear * under) > 27
    # Nothing is drawn elsewhere.
    outside = np.ones((144, 256), bool)
    outside[region.top - 8 : region.bottom + 8, region.left - 8 : region.right + 8] = False
    assert psnr(frames[:, outside], background[outside][None]) > 35
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_frames_show_the_state_of_their_moment(tmp_path):
    """A button that is pressed for one frame is seen in that frame."""
    states = States.idle(120)
    states.buttons[40:42, BUTTON_INDEX["SOUTH"]] = True  # two rows are one frame at 30 Hz
    trace = Trace("one", states)
    made = small(start=0.0, seconds=1.5)
    render(made, presets.pad(), trace, Grey(), tmp_path / "a.mp4", "veryfast")
    did, _ = truth(made, presets.pad(), trace)
    (frame,) = np.flatnonzero(did.buttons[:, BUTTON_INDEX["SOUTH"]])
    x, y = (int(20.3 + 1.6 * 83), int(11.7 + 1.6 * 23))
    brightness = decoded(tmp_path / "a.mp4")[:, y - 1 : y + 2, x - 1 : x + 2].mean((1, 2, 3))
    assert brightness.argmax() == frame
    assert brightness[frame] > np.delete(brightness, frame).max() + 50


def test_a_display_lies_below_the_overlay(tmp_path):
    made = small(hud=True, seconds=0.1)
    render(made, presets.pad(), TRACE, Grey(), tmp_path / "a.mp4", "veryfast")
    render(replace(made, hud=False), presets.pad(), TRACE, Grey(), tmp_path / "b.mp4", "veryfast")
    one, other = decoded(tmp_path / "a.mp4"), decoded(tmp_path / "b.mp4")
    apart = np.abs(one.astype(int) - other).max((0, 3))
    assert apart.max() > 60
    # The body of the pad is opaque.
    assert apart[20:100, 30:170].max() < 40


def test_streams_say_what_they_are(tmp_path):
    made = small(seconds=0.2, rate=60.0)
    render(made, None, TRACE, Grey(), tmp_path / "a.mp4", "ultrafast")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 60
        frame = next(container.decode(stream))
    assert colours_of(frame) == (1, False)


def test_bit_rates_are_kept(tmp_path):
    class Noise:
        def frames(self, size, rate, seed):
            rng = np.random.default_rng(seed)
            while True:
                yield rng.integers(0, 256, (size[1], size[0], 3), np.uint8)

    sizes = []
    for bits in (200_000, 800_000):
        path = tmp_path / f"{bits}.mp4"
        render(small(seconds=2, bits=bits), None, TRACE, Noise(), path, "ultrafast")
        sizes.append(8 * path.stat().st_size / 2)
    assert sizes[0] < 0.6 * sizes[1]
    assert sizes[1] == pytest.approx(800_000, rel=0.6)


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_no_file_is_left_where_drawing_fails(tmp_path, codec):
    path = tmp_path / "clip.mkv"
    with pytest.raises(NitrogenError, match="the footage is broken"):
        render(small(codec=codec), None, TRACE, Broken(), path, "veryfast")
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_left_where_the_encoder_fails(tmp_path):
    path = tmp_path / "clip.mp4"
    with pytest.raises(NitrogenError, match=r"cannot write video .*clip\.mp4"):
        render(small(), None, TRACE, Grey(), path, "nonsense")
    assert list(tmp_path.iterdir()) == []
    # Not even where it fails only when it is closed.
    encoder = Encoder(path, (64, 64), 30.0, 100_000, "h264", "nonsense")
    with pytest.raises(NitrogenError, match="cannot write video"), encoder:
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(NitrogenError, match="does not exist"):
        render(small(), None, TRACE, Grey(), tmp_path / "nowhere" / "a.mp4", "veryfast")
    with pytest.raises(NitrogenError, match="cannot write video"):
        render(small(), None, TRACE, Grey(), tmp_path / "a.nothing", "veryfast")
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_stays_where_a_new_one_fails(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(NitrogenError):
        render(small(), None, TRACE, Broken(), path, "veryfast")
    assert path.read_bytes() == b"old"
