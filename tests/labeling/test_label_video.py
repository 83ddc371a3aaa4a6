"""Whole videos: labels, and why there are none."""

from __future__ import annotations

import shutil
import wave

import av
import numpy as np
import pytest

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.label_video import label_video
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.result import VideoFailure
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.synth import clips
from nitrogen_jax.labeling.synth.traces import smooth

FEW = LabelOptions(samples=9)  # frames in which the overlay is looked for, for speed


@pytest.fixture(scope="module")
def one(skin):
    """A library of the skin that is shown; finding it among others is tested with `locate`."""
    return Library((skin,))


@pytest.fixture(scope="module")
def of_plain(plain, one):
    return label_video(plain, one, FEW)


def agrees(labels, states, moved=0.1) -> None:
    """The labels are the states, but for little."""
    rows = labels.valid
    assert rows.mean() > 0.9
    assert (labels.states.buttons == states.buttons)[rows].mean() > 0.999
    for read, true in ((labels.states.left, states.left), (labels.states.right, states.right)):
        assert np.abs(read - true)[rows].mean() < moved / 4
        assert np.percentile(np.abs(read - true)[rows], 98) < moved


def cause_of(path, library, options=FEW) -> str:
    with pytest.raises(VideoFailure) as caught:
        label_video(path, library, options)
    assert str(path) in str(caught.value)
    return caught.value.cause


# ---------------------------------------------------------------------------------------------
# Labels


def test_the_labels_are_what_was_pressed(made, of_plain, skin, place):
    agrees(of_plain, made.played(60))
    assert (of_plain.frames, of_plain.size, of_plain.warnings) == (60, (360, 640), ())
    assert of_plain.rate == pytest.approx(15)
    np.testing.assert_allclose(of_plain.times, np.arange(60) / 15, atol=1e-3)
    (segment,) = of_plain.segments
    assert (segment.start, segment.end) == (0, 60)
    assert (segment.skin, segment.controller) == (skin.name, skin.controller)
    assert made.corner_error(segment.at, place, skin) < 1
    assert segment.box == pytest.approx(segment.at.box(skin))
    assert segment.opacity == pytest.approx(1, abs=0.1)
    assert set(of_plain.cpu_seconds) == {"locate", "decode", "read"}


def test_two_calls_give_the_same(plain, one, of_plain):
    again = label_video(plain, one, FEW)
    assert again.segments == of_plain.segments
    for first, second in zip(again.states, of_plain.states, strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(again.confidence, of_plain.confidence)
    np.testing.assert_array_equal(again.valid, of_plain.valid)


def test_the_file_is_read_from_beginning_to_end(plain, one, monkeypatch):
    """PyAV's containers cannot be changed, so that they are wrapped."""
    really, opened = av.open, []

    class NoSeeking:
        def __init__(self, inner):
            self.__dict__["inner"] = inner

        def __getattr__(self, name):
            assert name != "seek", "it was sought"
            return getattr(self.inner, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.inner.close()

    def opening(*args, **more):
        opened.append(args[0])
        return NoSeeking(really(*args, **more))

    monkeypatch.setattr(av, "open", opening)
    told = []
    labels = label_video(plain, one, FEW, told.append)
    assert opened
    assert sum(told) == labels.frames == 60


def test_a_whole_skin_at_its_bit_rate(made, folder, game):
    """Everything that a skin has, in a clip as they are made for measuring."""
    full = made.generate(0)
    trace = smooth(np.random.default_rng(4), 5)
    at = made.at_width(full, 190, 430.2, 12.7)
    plan = clips.ClipPlan(
        "full", full.name, True, at, 0.9, 0, False, made.SIZE, made.RATE, 2_000_000, "h264",
        trace.name, 0.0, 4.0, 1,
    )  # fmt: skip
    path = folder / "full.mp4"
    clips.render(plan, full, trace, made.Kept(game), path, "ultrafast")
    labels = label_video(path, Library((full,)), FEW)
    agrees(labels, clips.truth(plan, full, trace)[0], 0.2)


@pytest.mark.parametrize(
    ("pixels", "full"),
    [("yuv420p10le", False), ("yuv444p", False), ("yuvj420p", True), ("yuv420p", True)],
)
def test_formats_give_the_labels_of_the_plain_one(made, folder, shown, one, of_plain, pixels, full):
    path = made.write(folder / f"{pixels}{full}.mkv", shown, pixels=pixels, full=full)
    labels = label_video(path, one, FEW)
    np.testing.assert_array_equal(labels.states.buttons, of_plain.states.buttons)
    assert np.abs(labels.states.left - of_plain.states.left).max() < 0.1
    assert labels.segments[0].opacity == pytest.approx(of_plain.segments[0].opacity, abs=0.05)


def test_a_video_of_odd_size(made, folder, shown, one, of_plain):
    odd = [np.ascontiguousarray(frame[:-1, :-1]) for frame in shown]
    path = made.write(
        folder / "odd.webm", odd, codec="libvpx-vp9",
        options={"deadline": "realtime", "cpu-used": "8", "crf": "20"},
    )  # fmt: skip
    labels = label_video(path, one, FEW)
    assert labels.size == (359, 639)
    np.testing.assert_array_equal(labels.states.buttons, of_plain.states.buttons)
    assert np.abs(labels.states.left - of_plain.states.left).max() < 0.1


def test_a_frame_rate_that_varies(made, folder, shown, one, of_plain):
    ticks = np.cumsum([0, *([4, 10] * 30)])[:60]
    path = made.write(folder / "vfr.mkv", shown, ticks=[int(tick) for tick in ticks])
    labels = label_video(path, one, FEW)
    assert labels.warnings == ("the frame rate varies",)
    np.testing.assert_allclose(labels.times, ticks / 100, atol=2e-3)
    assert labels.rate == pytest.approx(59 / (ticks[-1] / 100), rel=1e-3)
    np.testing.assert_array_equal(labels.states.buttons, of_plain.states.buttons)


def test_a_video_of_one_frame(made, folder, shown, one, skin):
    path = made.write(folder / "one.mp4", shown[8:9])
    labels = label_video(path, one, FEW)
    assert (labels.frames, labels.rate, labels.times.tolist()) == (1, 0.0, [0.0])
    assert labels.segments[0].skin == skin.name
    assert labels.states.buttons[0, BUTTON_INDEX["SOUTH"]]


def test_a_skin_without_sticks_and_one_without_buttons(made, folder, game, skin):
    for name, kinds in (("buttons", ("texture", "button")), ("sticks", ("texture", "stick"))):
        part = made.few(1, kinds=kinds)
        at, states = made.at_width(part, 170, 300.3, 20.6), made.played(30)
        path = made.write(folder / f"{name}.mp4", made.drawn(game[:30], part, at, states))
        labels = label_video(path, Library((part,)), FEW)
        if name == "buttons":
            states.left[:] = 0
        else:
            states.buttons[:] = False
        agrees(labels, states)


def test_siblings_that_differ_where_pressed_are_told_apart(made, folder, game, skin, place):
    family = (skin, *(made.tinted(skin, name, gain, True) for name, gain in (
        ("red", (1, 0.1, 0.1)), ("blue", (0.1, 0.1, 1)),
    )))  # fmt: skip
    states = made.played(40)
    path = made.write(folder / "red.mp4", made.drawn(game[:40], family[1], place, states))
    labels = label_video(path, Library(family), FEW)
    assert [segment.skin for segment in labels.segments] == ["red"]
    agrees(labels, states)


# ---------------------------------------------------------------------------------------------
# Overlays that are there for a part, or in part


def test_an_overlay_that_goes_away_and_moves(made, folder, game, skin, place, one):
    """There for 6 s, away for 6 s, then in another corner for 8 s; a key frame each second."""
    other = made.at_width(skin, 180, 430.4, 20.2)
    number = np.arange(100)
    states = made.played(100)
    frames = made.drawn((game * 2)[:100], skin, place, states, there=number < 30)
    frames = made.drawn(frames, skin, other, states, there=number >= 60)
    path = made.write(folder / "moves.mp4", frames, rate=5, gop=5)
    labels = label_video(path, one, LabelOptions(samples=12, recheck_seconds=5))
    first, second = labels.segments
    assert first.start == 0
    assert first.end == pytest.approx(30, abs=10)
    assert second.start == pytest.approx(60, abs=10)
    assert second.end == 100
    assert made.corner_error(first.at, place, skin) < 1
    assert made.corner_error(second.at, other, skin) < 1
    away = (number >= first.end) & (number < second.start)
    assert not labels.confidence[away].any()
    assert not labels.valid[away].any()
    assert not any(part[away].any() for part in labels.states)
    there = (number < min(first.end, 30)) | (number >= max(second.start, 60))
    assert (labels.states.buttons == states.buttons)[there].mean() > 0.995


def test_a_little_outside_of_the_picture_is_a_warning(made, folder, game, skin, one):
    at = made.at_width(skin, 170, -24.3, 150.4)
    states = made.played(30)
    path = made.write(folder / "edge.mp4", made.drawn(game[:30], skin, at, states))
    labels = label_video(path, one, FEW)
    assert labels.warnings == ("the overlay leaves the picture",)
    (segment,) = labels.segments
    assert made.corner_error(segment.at, at, skin) < 1
    x, y, wide, high = segment.box
    assert x == 0
    assert wide == pytest.approx(170 - 24.3, abs=1)
    assert (y, high) == pytest.approx(at.box(skin)[1::2], abs=1)


def test_half_outside_of_the_picture_is_too_much(made, folder, game, skin, one):
    at = made.at_width(skin, 200, 640 - 104.0, 100.4)
    path = made.write(folder / "half.mp4", made.drawn(game[:30], skin, at, made.played(30)))
    assert cause_of(path, one) == "overlay_cut_off"


def test_two_overlays_and_a_box_for_one(made, folder, shown, skin, place, library):
    second = library.skins[2]
    at = made.at_width(second, 190, 420.2, 20.6)
    states = made.played(30)
    both = made.drawn(shown[:30], second, at, made.States.idle(30))
    path = made.write(folder / "two.mp4", both)
    assert cause_of(path, library) == "two_overlays"
    labels = label_video(path, library, LabelOptions(samples=9, box=place.box(skin)))
    assert [segment.skin for segment in labels.segments] == [skin.name]
    agrees(labels, states)


# ---------------------------------------------------------------------------------------------
# Files without labels


def test_without_an_overlay(made, folder, game, one):
    path = made.write(folder / "none.mp4", game[:30])
    assert cause_of(path, one) == "no_overlay"
    assert cause_of(path, Library(())) == "no_overlay"


def test_an_overlay_outside_of_the_box(plain, one):
    options = LabelOptions(samples=9, box=(400, 10, 150, 100))
    assert cause_of(plain, one, options) == "no_overlay"


def test_pictures_whose_size_changes(made, folder, shown, one):
    small = [np.ascontiguousarray(frame[:180, :320]) for frame in shown[:10]]
    parts = [
        made.write(folder / f"of{at}.ts", frames, kind="mpegts")
        for at, frames in enumerate((shown[:30], small))
    ]
    path = folder / "sizes.mp4"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert cause_of(path, one) == "size_changes"


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_file_that_is_cut(made, folder, shown, one, ending):
    container = {"movflags": "faststart"} if ending == "mp4" else {}
    whole = made.write(folder / f"whole.{ending}", shown, container=container)
    assert cause_cut(whole, 0.6, one) == "damaged"


def cause_cut(whole, share, library) -> str:
    content = whole.read_bytes()
    cut = whole.with_name(f"cut{whole.suffix}")
    cut.write_bytes(content[: int(share * len(content))])
    return cause_of(cut, library)


def test_sound_alone(folder, one):
    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    renamed = folder / "sound.mp4"
    shutil.copy(path, renamed)
    assert cause_of(renamed, one) == "no_picture"


@pytest.mark.parametrize("content", [b"", b"this is a text\n" * 40, bytes(5000)])
def test_what_is_not_a_video(folder, one, content):
    path = folder / "text.mp4"
    path.write_bytes(content)
    assert cause_of(path, one) == "not_a_video"


def test_a_file_that_is_not_there(folder, one):
    assert cause_of(folder / "nothing.mp4", one) == "not_a_video"


def test_a_video_of_which_no_frame_can_be_decoded(plain, folder, one):
    """Its index is whole, and its pictures are noise."""
    content = bytearray(plain.read_bytes())
    start, end = content.find(b"mdat") + 4, content.rfind(b"moov") - 4
    noise = np.random.default_rng(0).integers(0, 256, end - start, dtype=np.uint8)
    content[start:end] = noise.tobytes()
    path = folder / "noise.mp4"
    path.write_bytes(bytes(content))
    assert cause_of(path, one) == "damaged"
