"""Examples out of pictures, videos and records: which frames, which truth, in which order."""

from __future__ import annotations

import dataclasses
import os
from itertools import islice

import cv2
import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.data import sources
from nitrogen_jax.data.example import PartlyRead, following
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.presets import policy_preset

av = pytest.importorskip("av")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("tensorflow_datasets")
from nitrogen_jax.data import records as stored  # noqa: E402

ONE = dataclasses.replace(policy_preset("test"), action_shift=2, horizon=5)
SIZE = ONE.vision.image_size
THREE = dataclasses.replace(ONE, frames=3, frame_spacing=4, context_length=12)
STEP = 4  # of brightness from one frame to the next


def flat_picture(number):
    return np.full((24, 40, 3), 20 + STEP * number, np.uint8)


def number(frame):
    """The inverse of `flat_picture` after lossy coding."""
    return round((float(frame.mean()) - 20) / STEP)


def make_video(path, frames=30):
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 40, 24, "yuv420p", 2_000_000
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(flat_picture(index), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def random_actions(steps, seed=0):
    """Vectors (steps, 25) that a label table can hold."""
    random = np.random.default_rng(seed)
    pads = gamepad.Pad(
        random.random((steps, 21)) < 0.3, *random.uniform(-1, 1, (2, steps, 2)).astype(np.float32)
    )
    vector = gamepad.pack(pads)
    unlabelled = [gamepad.BUTTON_INDEX[f"RIGHT_{n}"] for n in ("UP", "BOTTOM", "LEFT", "RIGHT")]
    vector[:, unlabelled] = 0
    return vector


def write_labels(path, actions):
    columns = gamepad.vector_to_columns(actions)
    pq.write_table(
        pa.table({k: v.tolist() if v.ndim == 2 else v for k, v in columns.items()}), path
    )


def make_record(pictures=10, stride=3, steps=30, **fields):
    values = {
        "video_id": "abc",
        "game": "g",
        "controller": "c",
        "start_time": 2.5,
        "rate": 20.0,
        "frame_stride": stride,
        "frames": tuple(
            cv2.imencode(".jpg", flat_picture(j))[1].tobytes() for j in range(pictures)
        ),
        "actions": random_actions(steps),
        "confidence": np.ones(steps, np.float32),
    }
    return stored.Chunk(**{**values, **fields})


def read_all(source):
    """All examples, and the problems on the way."""
    examples, problems = [], []
    for item in range(len(source.names)):
        try:
            for one in source.read(item, 0):
                examples.append(one)
        except PartlyRead as error:
            problems.append(error.problem)
    return examples, problems


def numbers(example):
    """The numbers of an example's frames, None for a dropped one."""
    for frame, gone in zip(example.frames, example.dropped, strict=True):
        assert not (gone and frame.any())
    return [
        None if gone else number(frame)
        for frame, gone in zip(example.frames, example.dropped, strict=True)
    ]


# ---------------------------------------------------------------------------------------------


def test_what_follows_a_frame():
    actions = random_actions(10)
    true, valid = following(actions, 4, shift=2, horizon=3)
    assert valid.all()
    np.testing.assert_array_equal(true, actions[6:9])
    true, valid = following(actions, 6, shift=2, horizon=4)
    assert valid.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(true[:2], actions[8:])
    np.testing.assert_array_equal(true[2:], gamepad.neutral(2))
    assert not following(actions, 40, shift=2, horizon=4)[1].any()
    assert following(actions, 0, shift=-1, horizon=2)[1].tolist() == [False, True]


def test_pictures(tmp_path):
    for index, name in enumerate(("b.png", "a.png")):
        cv2.imwrite(str(tmp_path / name), flat_picture(index + 1))
    source = sources.images([tmp_path], THREE)
    assert source.total == 2
    examples, problems = read_all(source)
    assert not problems
    assert [one.source for one in examples] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert [numbers(one) for one in examples] == [[None, None, 2], [None, None, 1]]
    assert all(one.frames.shape == (3, SIZE, SIZE, 3) for one in examples)
    assert all((one.frame, one.time, one.true) == (0, 0.0, None) for one in examples)
    assert list(source.read(0, 1)) == []


def test_an_unreadable_picture_is_named_when_its_turn_comes(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"bad")
    with pytest.raises(NitrogenError, match=r"bad\.png"):
        list(sources.images([tmp_path], ONE).read(0, 0))


def test_every_kth_frame_of_a_video(tmp_path):
    make_video(tmp_path / "v.mp4")
    source = sources.videos(tmp_path, ONE, every=7)
    examples, problems = read_all(source)
    assert not problems
    assert [one.frame for one in examples] == [0, 7, 14, 21, 28]
    assert [numbers(one) for one in examples] == [[0], [7], [14], [21], [28]]
    assert [one.time for one in examples] == pytest.approx([0, 0.35, 0.7, 1.05, 1.4], abs=1e-3)
    assert {one.source for one in examples} == {"v.mp4"}
    assert source.total == len(examples)


def test_every_is_the_horizon_by_default(tmp_path):
    make_video(tmp_path / "v.mp4")
    examples, _ = read_all(sources.videos(tmp_path, ONE))
    assert [one.frame for one in examples] == [0, 5, 10, 15, 20, 25]
    with pytest.raises(NitrogenError, match="every is 0"):
        sources.videos(tmp_path, ONE, every=0)


@pytest.mark.parametrize("every", [1, 3, 6, 20])
def test_older_frames_of_the_context(tmp_path, every):
    make_video(tmp_path / "v.mp4")
    examples, _ = read_all(sources.videos(tmp_path, THREE, every))
    assert len(examples) == -(-30 // every)
    for one in examples:
        wanted = [one.frame - 8, one.frame - 4, one.frame]
        assert numbers(one) == [None if i < 0 else i for i in wanted]


def test_leaving_out_examples_is_like_dropping_them(tmp_path):
    make_video(tmp_path / "v.mp4")
    stored.write_records(tmp_path / "r", [make_record()])
    for source in (
        sources.videos(tmp_path, THREE, 3),
        sources.records(tmp_path / "r", THREE, 3),
    ):
        for first in (0, 1, 4, 9, 10, 11):
            rest = list(source.read(0, first))
            wanted = list(islice(source.read(0, 0), first, None))
            assert [one.frame for one in rest] == [one.frame for one in wanted]
            for one, other in zip(rest, wanted, strict=True):
                np.testing.assert_array_equal(one.frames, other.frames)
                np.testing.assert_array_equal(one.dropped, other.dropped)


def test_truth_from_label_tables(tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    make_video(tmp_path / "a.mp4")
    make_video(tmp_path / "b.mp4", frames=6)
    actions = random_actions(30)
    write_labels(labels / "a.parquet", actions)
    source = sources.videos(tmp_path, ONE, 6, labels)
    examples, _ = read_all(source)
    assert [one.source for one in examples] == ["a.mp4"] * 5 + ["b.mp4"]
    assert examples[-1].true is None
    for one in examples[:-1]:
        begin = one.frame + ONE.action_shift
        rows = actions[begin : begin + ONE.horizon]
        assert one.valid.tolist() == [i < len(rows) for i in range(ONE.horizon)]
        np.testing.assert_allclose(one.true[one.valid], rows, atol=1e-6)
    assert [int(one.valid.sum()) for one in examples[:-1]] == [5, 5, 5, 5, 4]


def test_labels_that_are_missing_or_broken(tmp_path):
    make_video(tmp_path / "a.mp4", frames=3)
    labels = tmp_path / "labels"
    with pytest.raises(NitrogenError, match="labels of label tables does not exist"):
        sources.videos(tmp_path, ONE, labels=labels)
    labels.mkdir()
    with pytest.raises(NitrogenError, match=r"none of the videos: a\.parquet"):
        sources.videos(tmp_path, ONE, labels=labels)
    (labels / "a.parquet").write_bytes(b"no table")
    with pytest.raises(NitrogenError, match=r"label table .*a\.parquet cannot be read"):
        read_all(sources.videos(tmp_path, ONE, labels=labels))
    pq.write_table(pa.table({"south": [True]}), labels / "a.parquet")
    with pytest.raises(NitrogenError, match=r"label table .*a\.parquet: no column"):
        read_all(sources.videos(tmp_path, ONE, labels=labels))


def test_damaged_videos_are_reported_and_the_others_read(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    make_video(tmp_path / "b.mkv", frames=50)
    data = (tmp_path / "b.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data[: len(data) // 2])
    make_video(tmp_path / "c.mp4", frames=4)
    examples, problems = read_all(sources.videos(tmp_path, ONE, 1))
    assert [(one.source, one.read > 0) for one in problems] == [("a.mp4", False), ("b.mkv", True)]
    read = [one.source for one in examples].count("b.mkv")
    assert 0 < read == problems[1].read < 50
    assert [one.source for one in examples].count("c.mp4") == 4


def test_records(tmp_path):
    one, other = make_record(), make_record(video_id="def", start_time=0.0)
    stored.write_records(tmp_path / "r", [one, other])
    source = sources.records(tmp_path / "r", ONE, every=6)
    examples, problems = read_all(source)
    assert not problems
    assert source.names == ("train[0]", "train[1]")
    assert source.total == len(examples) == 10
    assert [x.source for x in examples] == ["abc"] * 5 + ["def"] * 5
    # pictures 0, 2, 4, ... of stride 3; the first record begins at 2.5 s, which is frame 50
    assert [x.frame for x in examples] == [50, 56, 62, 68, 74, 0, 6, 12, 18, 24]
    assert [x.time for x in examples[:5]] == pytest.approx([2.5, 2.8, 3.1, 3.4, 3.7])
    assert [numbers(x) for x in examples[:5]] == [[0], [2], [4], [6], [8]]
    for x in examples[5:]:
        begin = x.frame + ONE.action_shift
        rows = one.actions[begin : begin + ONE.horizon]
        np.testing.assert_array_equal(x.true[x.valid], rows)
        assert x.valid.sum() == len(rows)


@pytest.mark.parametrize(("every", "pictures"), [(1, 10), (3, 10), (4, 5), (7, 4), (100, 1)])
def test_every_is_rounded_up_to_stored_pictures(tmp_path, every, pictures):
    stored.write_records(tmp_path / "r", [make_record()])
    examples, _ = read_all(sources.records(tmp_path / "r", ONE, every))
    assert len(examples) == pictures


def test_older_frames_of_a_record_are_the_stored_ones_before(tmp_path):
    stored.write_records(tmp_path / "r", [make_record(start_time=0.0)])
    examples, _ = read_all(sources.records(tmp_path / "r", THREE, 3))
    assert [one.frame for one in examples] == list(range(0, 30, 3))
    for one in examples:
        wanted = [(one.frame - back) // 3 for back in (8, 4, 0)]
        assert numbers(one) == [None if i < 0 else i for i in wanted]


def test_splits_of_records(tmp_path):
    stored.write_records(tmp_path / "r", [make_record(), make_record()], split="val")
    assert len(sources.records(tmp_path / "r", ONE, split="val[:1]").names) == 1
    with pytest.raises(NitrogenError, match="no split 'train'"):
        sources.records(tmp_path / "r", ONE, split="train")
    stored.write_records(tmp_path / "none", [])
    with pytest.raises(NitrogenError, match="hold no record"):
        sources.records(tmp_path / "none", ONE)


def test_a_broken_picture_in_a_record_ends_that_record(tmp_path):
    frames = list(make_record().frames)
    frames[4] = b"broken"
    bad = make_record(frames=tuple(frames))
    stored.write_records(tmp_path / "r", [bad, make_record()])
    examples, problems = read_all(sources.records(tmp_path / "r", ONE, 3))
    assert len(examples) == 4 + 10
    assert [tuple(problem) for problem in problems] == [
        ("train[0]", 4, "picture 4 of it cannot be decoded")
    ]


def test_identity_tells_changed_files(tmp_path):
    make_video(tmp_path / "v.mp4", frames=3)
    cv2.imwrite(str(tmp_path / "p.png"), flat_picture(0))
    stored.write_records(tmp_path / "r", [make_record()])
    makers = [
        (lambda: sources.videos(tmp_path, ONE), "v.mp4"),
        (lambda: sources.images([tmp_path], ONE), "p.png"),
        (lambda: sources.records(tmp_path / "r", ONE), "r/dataset_info.json"),
    ]
    for make, name in makers:
        before = make().identity
        assert make().identity == before
        os.utime(tmp_path / name, (1, 1))
        assert make().identity != before
    assert sources.videos(tmp_path, ONE, 2).identity != sources.videos(tmp_path, ONE, 3).identity
