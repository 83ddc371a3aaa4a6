"""The stream of samples: decided by seed and position alone, and what its samples are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("av")

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.parser import samples, stream
from nitrogen_jax.labeling.parser.scene_cache import SceneOptions, Scenes
from nitrogen_jax.labeling.parser.slots import CLICKS, READ
from nitrogen_jax.labeling.parser.stream import ParserData, Stream, StreamOptions

SMALL = StreamOptions(made_up=3, variants=1, clips=2, recorded=0.3, block=32)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Scenes that are made once for all tests here."""
    return SceneOptions(pictures=3, folder=str(tmp_path_factory.mktemp("scenes")))


def taken(options, batch, number, **more):
    """The next samples of a stream, joined, and its state behind them."""
    with Stream(options, SMALL, batch, seed=5, **more) as found:
        parts = [next(found) for _ in range(number)]
        return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}, found.state()


def same(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_the_same_samples_come_again_whatever_the_batch(options):
    whole, _ = taken(options, 24, 3)
    again, _ = taken(options, 24, 3)
    same(whole, again)
    others, _ = taken(options, 8, 9)
    same(whole, others)


def test_a_stream_goes_on_from_its_state(options):
    whole, _ = taken(options, 20, 4)
    first, state = taken(options, 20, 2)
    assert state == {"position": 40}
    data = ParserData(options, SMALL)
    with data.open(None, 20, seed=5, state=state) as found:
        second = [next(found), next(found)]
    for name, array in whole.items():
        rest = np.concatenate([first[name], *(part[name] for part in second)])
        np.testing.assert_array_equal(array, rest, err_msg=name)


def test_hosts_share_a_batch(options):
    whole, _ = taken(options, 16, 2)
    parts = [taken(options, 16, 2, host=host, hosts=2)[0] for host in range(2)]
    for name, array in whole.items():
        halves = [part[name].reshape(2, 8, *array.shape[1:]) for part in parts]
        joined = np.concatenate(halves, 1).reshape(array.shape)
        np.testing.assert_array_equal(array, joined, err_msg=name)
    with pytest.raises(NitrogenError, match="multiple of the 3 hosts"):
        Stream(options, SMALL, 16, seed=0, hosts=3)


def test_a_process_makes_the_same_samples(options):
    same(taken(options, 16, 3, workers=1)[0], taken(options, 16, 3)[0])


@pytest.mark.parametrize("wrong", [{"block": 12}, {"recorded": 1.5}, {"clips": 0}])
def test_options_that_make_no_sense_are_refused(options, wrong):
    with pytest.raises(NitrogenError, match=rf"data\.stream\.{next(iter(wrong))} is"):
        Stream(options, dataclasses.replace(SMALL, **wrong), 16, seed=0)


def test_other_seeds_and_blocks_are_other_samples(options):
    scenes = Scenes(options)
    first = stream.block(scenes, SMALL, 0, 0)
    for seed, number in ((1, 0), (0, 1)):
        assert (first["frames"] != stream.block(scenes, SMALL, seed, number)["frames"]).any()


def test_kept_scenes_are_what_they_were_when_they_were_made(options):
    unkept, kept = Scenes(dataclasses.replace(options, folder=None)), Scenes(options)
    for _ in range(2):  # made, and read
        for make in ("drawn", "recorded"):
            one, other = (vars(getattr(scenes, make)(1, 0)) for scenes in (unkept, kept))
            same(one, other)
        kept = Scenes(options)


def test_a_damaged_file_of_a_scene_is_made_anew(tmp_path):
    options = SceneOptions(pictures=3, folder=str(tmp_path))
    made = vars(Scenes(options).drawn(0, 0))
    (path,) = tmp_path.glob("drawn-*.npz")
    path.write_bytes(path.read_bytes()[:1000])
    same(made, vars(Scenes(options).drawn(0, 0)))


def test_samples_hold_what_their_skins_have(options):
    found = stream.block(Scenes(options), SMALL, 0, 0)
    assert found["valid"].all()
    assert not (found["buttons"] & ~found["has_buttons"]).any()
    # A placement that is a pixel wrong moves sticks that travel three.
    assert (np.abs(found["sticks"]) <= 1.5).all()
    for side, corner in enumerate((0, 48)):
        there = found["has_sticks"][:, side]
        slot = found["frames"][:, :, :44, corner : corner + 44]
        assert slot[there].any((1, 2, 3, 4)).all()
        assert not slot[~there].any()
        assert ((found["travel"][:, side] > 0).all(1) == there).all()
        assert not (found["has_buttons"][:, CLICKS[side]] & ~there).any()


def test_pressed_buttons_look_pressed(options):
    """Frames of an opaque scene agree with the half of the template that the labels name."""
    scene = Scenes(options).drawn(1, 0)
    rng = np.random.default_rng(2)  # whose first number makes the overlay opaque
    part = samples.from_drawn(scene, rng, 64, Scenes(options).grounds)
    seen = right = 0
    for slot, at in enumerate(samples.PRESS_READ):
        place = (slice(None), *samples._press(slot))
        if not scene.presses[at] or READ[at].endswith("TRIGGER"):
            continue
        alpha = part["template"][..., 3::4][place].astype(float) / 255
        gaps = []
        for half, first in enumerate((0, 4)):
            clear = 1 - alpha[..., half : half + 1]
            drawn = part["template"][place][..., first : first + 3] + clear * (110, 128, 128)
            gaps.append(np.abs(part["frames"][:, 1][place] - drawn).mean((1, 2, 3)))
        seen += len(gaps[0])
        right += int(((gaps[1] < gaps[0]) == part["buttons"][:, at]).sum())
    assert right > 0.9 * seen > 0


def test_clips_are_one_pass_in_order_and_filled_up(options):
    data = ParserData(options, SMALL, held_out=2)
    with data.open_once(None, 48, held_out=True) as found:
        batches = list(found)
    assert [int(one["valid"].sum()) for one in batches] == [48, 14]
    clip = np.concatenate([one["clip"][one["valid"]] for one in batches])
    assert clip.tolist() == [stream.HELD_OUT] * 31 + [stream.HELD_OUT + 1] * 31
    frames = np.concatenate([one["frames"] for one in batches])
    np.testing.assert_array_equal(frames[1:31, 0], frames[:30, 1])
    assert ParserData(options, SMALL, held_out=0).open_once(None, 8, held_out=True) is None
