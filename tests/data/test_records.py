"""Records: TFDS opens what we write, without TensorFlow."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError

pytest.importorskip("tensorflow_datasets")
from nitrogen_jax.data import records


def chunk(number=0, steps=6, stride=2, pictures=3, **fields):
    random = np.random.default_rng(number)
    values = {
        "video_id": f"video {number}",
        "game": "Ünicode",
        "controller": "xboxone",
        "start_time": 1e7 + number / 3,  # more than float32 can tell apart
        "rate": 59.94,
        "frame_stride": stride,
        "frames": tuple(b"\xff\xd8" + random.bytes(5 + j) + b"\0" for j in range(pictures)),
        "actions": random.random((steps, 25), np.float32),
        "confidence": random.random(steps, np.float32),
    }
    return records.Chunk(**{**values, **fields})


def assert_same(one, other):
    for field in dataclasses.fields(records.Chunk):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        elif field.name == "rate":
            assert np.float32(a) == np.float32(b)
        else:
            assert a == b


@pytest.mark.parametrize("pictures", [0, 1, 3])
def test_round_trip(tmp_path, pictures):
    chunks = [chunk(i, steps=5 + i, pictures=pictures) for i in range(5)]
    records.write_records(tmp_path / "a", iter(chunks), "val", chunks_per_shard=2)
    assert records.splits(tmp_path / "a") == {"val": 5}
    back = records.read_records(tmp_path / "a", "val")
    assert len(back) == 5
    for one, other in zip(chunks, back, strict=True):
        assert_same(one, other)
    assert_same(back[-1], chunks[-1])
    assert_same(records.read_records(tmp_path / "a", "val[3:]")[0], chunks[3])
    with pytest.raises(IndexError):
        back[5]
    assert len(list((tmp_path / "a").glob("chunks-val.array_record-*"))) == 3


def test_tensorflow_is_not_needed(tmp_path, run_python):
    records.write_records(tmp_path / "a", [chunk(1)])
    code = (
        "import sys, json\n"
        "import tensorflow_datasets as tfds\n"
        f"data = tfds.builder_from_directory({str(tmp_path / 'a')!r}).as_data_source('train')\n"
        "one = data[0]\n"
        "print(json.dumps([len(data), one['video_id'].decode(), one['actions'].sum().item(),\n"
        "                  [frame.hex() for frame in one['frames']], one['start_time'].item(),\n"
        "                  'tensorflow' in sys.modules]))"
    )
    ran = run_python("-c", code)
    assert ran.returncode == 0, ran.stderr
    wanted = chunk(1)
    frames = [frame.hex() for frame in wanted.frames]
    assert json.loads(ran.stdout.splitlines()[-1]) == [
        *(1, "video 1", wanted.actions.sum().item(), frames, wanted.start_time, False)
    ]


def test_nothing_is_left_of_a_write_that_fails(tmp_path):
    def chunks():
        yield chunk(0)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        records.write_records(tmp_path / "a", chunks())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(NitrogenError, match="exists and is not empty"):
        records.write_records(tmp_path, [chunk()])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_no_dataset(tmp_path):
    with pytest.raises(NitrogenError, match=r"dataset_info\.json is not there"):
        records.read_records(tmp_path)
    (tmp_path / "dataset_info.json").write_text('{"name": "x", "version": "1.0.0"}')
    with pytest.raises(NitrogenError, match="cannot be opened"):
        records.read_records(tmp_path)
    (tmp_path / "dataset_info.json").write_text("{")
    with pytest.raises(NitrogenError, match="cannot be opened"):
        records.read_records(tmp_path)


def test_unknown_split_and_foreign_features(tmp_path):
    records.write_records(tmp_path / "a", [chunk()])
    with pytest.raises(NitrogenError, match="no split 'test': they have train"):
        records.read_records(tmp_path / "a", "test")
    path = tmp_path / "a" / "features.json"
    data = json.loads(path.read_text())
    del data["featuresDict"]["features"]["rate"]
    path.write_text(json.dumps(data))
    with pytest.raises(NitrogenError, match="have no feature rate"):
        records.read_records(tmp_path / "a")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"actions": np.zeros((6, 24), np.float32)}, r"actions is float32 \(6, 24\)"),
        ({"actions": np.zeros((6, 25))}, "actions is float64"),
        ({"actions": np.full((6, 25), np.nan, np.float32)}, "actions holds NaN"),
        ({"confidence": np.zeros(5, np.float32)}, r"confidence is float32 \(5,\)"),
        ({"rate": 0.0}, "rate 0.0"),
        ({"start_time": np.nan}, "start_time is nan"),
        ({"frame_stride": 0}, "stride of 0"),
        ({"frame_stride": 3}, "do not lie within its 6 frames"),
    ],
)
def test_chunks_that_cannot_be(fields, complaint):
    with pytest.raises(NitrogenError, match=complaint):
        chunk(**fields)
