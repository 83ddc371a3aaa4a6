"""Records: TFDS opens what we write, without TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import inspect
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nitrogen_jax.errors import NitrogenError

pytest.importorskip("tensorflow_datasets")
from nitrogen_jax.data import records, stored_frames


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


def smooth(count, height=32, width=48):
    """Moving waves (count, height, width, 3) uint8."""
    t, y, x = np.ogrid[:count, :height, :width]
    waves = [100 * np.sin(x / 9 + t / 5 + c) + 20 * np.cos(y / 7 - t / 3 + c) for c in range(3)]
    return (128 + np.stack(waves, -1)).astype(np.uint8)


def full(codec, number=0):
    """A chunk in which no field has its default."""
    random = np.random.default_rng(number)
    packets, keys = stored_frames.encode(codec, smooth(20))
    return chunk(
        number,
        steps=64,
        stride=3,
        frames=packets,
        key_frames=keys,
        codec=codec,
        chunk_id=f"чанк_{number:04d}",
        start_frame=(1 << 40) + number,  # more than 32 bits
        first_row=120 + number,
        times=np.cumsum(random.random(64)).astype(np.float32),
        label_lag=-3,
        mask="blur",
        mask_box=(0.125, 0.75, 0.25, 0.2),
        game_area=(0.0, 0.125, 1.0, 0.875),
    )


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


@pytest.mark.parametrize("codec", stored_frames.CODECS)
def test_every_field_comes_back(tmp_path, codec):
    wanted = full(codec)
    records.write_records(tmp_path / "a", [wanted])
    (back,) = records.read_records(tmp_path / "a")
    for name in ("mask_box", "game_area"):  # kept as float32
        np.testing.assert_array_equal(np.float32(getattr(wanted, name)), getattr(back, name))
    same = {name: getattr(wanted, name) for name in ("mask_box", "game_area")}
    assert_same(dataclasses.replace(back, **same), wanted)
    pictures = back.pictures([0, 7, 19])
    assert list(pictures) == [0, 7, 19]
    for at, picture in pictures.items():
        np.testing.assert_array_equal(picture, wanted.pictures([at])[at])
        assert abs(picture.astype(float) - smooth(20)[at]).mean() < 8


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=50)
@given(data=st.data())
def test_any_values_come_back(data):
    rows, stride = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 5))
    pictures = data.draw(st.integers(0, (rows - 1) // stride + 1))
    floats = st.floats(-1e3, 1e3, width=32)
    wanted = records.Chunk(
        video_id=data.draw(TEXT),
        game=data.draw(TEXT),
        controller=data.draw(TEXT),
        chunk_id=data.draw(TEXT),
        start_time=data.draw(st.floats(-1e9, 1e9)),
        start_frame=data.draw(st.integers(-(1 << 60), 1 << 60)),
        first_row=data.draw(st.integers(0, (1 << 31) - 1)),
        label_lag=data.draw(st.integers(-1000, 1000)),
        rate=data.draw(st.floats(0.125, 1000, width=32)),
        frame_stride=stride,
        frames=tuple(data.draw(st.binary(max_size=9)) for _ in range(pictures)),
        actions=data.draw(arrays.arrays(np.float32, (rows, 25), elements=floats)),
        confidence=data.draw(arrays.arrays(np.float32, rows, elements=st.floats(0, 1, width=32))),
        times=data.draw(arrays.arrays(np.float32, rows, elements=floats)),
    )
    assert_same(records.from_bytes(records.to_bytes(wanted)), wanted)


def test_defaults():
    one = chunk(steps=7, stride=2, pictures=4, start_time=2.0, rate=30.0)
    assert one.start_frame == 60
    np.testing.assert_array_equal(one.key_frames, [0, 1, 2, 3])
    np.testing.assert_allclose(one.times, np.arange(7) / 30, rtol=1e-6)


def fingerprint(value) -> list:
    """What JSON can hold of a number, bytes, a list of bytes, or an array."""
    if isinstance(value, bytes):
        return [value.hex()]
    if isinstance(value, int | float):
        return [value]
    if isinstance(value, list) or value.dtype == object:
        return [bytes(one).hex() for one in value]
    if value.shape == ():
        return [value.item()]
    return [str(value.dtype), list(value.shape), value.tobytes().hex()]


# Opens records as somebody would who has TFDS and has never heard of this package.
OPENED = f"""
import json, sys

class WithoutTensorFlow:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *arguments):
        hidden = name.partition(".")[0] in ("tensorflow", "nitrogen_jax")
        return None if hidden else self.finder.find_spec(name, *arguments)

sys.meta_path[:] = map(WithoutTensorFlow, sys.meta_path)
import tensorflow_datasets as tfds

{inspect.getsource(fingerprint)}
builder = tfds.builder_from_directory(sys.argv[1])
data = builder.as_data_source("train")
names = list(builder.info.features)
print(json.dumps([{{name: fingerprint(one[name]) for name in names}} for one in data]))
"""


def test_tfds_opens_all_of_it_without_tensorflow(tmp_path, run_python):
    chunks = [full(codec, number) for number, codec in enumerate(("jpeg", "h264", "jpeg"))]
    records.write_records(tmp_path / "a", chunks, chunks_per_shard=2)
    ran = run_python("-c", OPENED, str(tmp_path / "a"))
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    kinds = dict.fromkeys(("rate", "mask_box", "game_area"), np.float32)
    kinds |= dict.fromkeys(("first_row", "frame_stride", "label_lag"), np.int32)
    kinds |= {"start_frame": np.int64, "start_time": np.float64}
    assert len(found) == 3
    for one, chunk in zip(found, chunks, strict=True):
        assert one.keys() == {field.name for field in dataclasses.fields(records.Chunk)}
        for name, value in one.items():
            wanted = getattr(chunk, name)
            if isinstance(wanted, str):
                wanted = wanted.encode()
            elif name == "frames":
                wanted = list(wanted)
            else:
                wanted = np.asarray(wanted, kinds.get(name))
            assert value == fingerprint(wanted), name


def test_splits_without_records(tmp_path):
    records.write_records(tmp_path / "a", [])
    assert records.splits(tmp_path / "a") == {"train": 0}
    assert list(records.read_records(tmp_path / "a")) == []
    assert list(records.read_records(tmp_path / "a", "train[:5]")) == []
    # A build whose videos all failed leaves files in which there is nothing.
    (tmp_path / "b").mkdir()
    lengths = (0, 2, 0)
    for number, length in enumerate(lengths):
        path = tmp_path / "b" / records.shard_name("val", number)
        assert len(records.write_file(path, [records.to_bytes(chunk())] * length)) == length
    shards = {"val": records.Shards(lengths, 1), "train": records.Shards((0,), 0)}
    records.write_metadata(tmp_path / "b", shards, "")
    assert records.splits(tmp_path / "b") == {"train": 0, "val": 2}
    assert [one.video_id for one in records.read_records(tmp_path / "b", "val")] == ["video 0"] * 2
    assert [n for _, n in records.shard_files(tmp_path / "b", "val")] == [0, 2, 0]
    assert len(records.read_records(tmp_path / "b")) == 0


def test_files_of_a_split(tmp_path):
    records.write_records(tmp_path / "a", map(chunk, range(5)), chunks_per_shard=2)
    found = records.shard_files(tmp_path / "a", "train")
    assert [n for _, n in found] == [2, 2, 1]
    assert [path.name for path, _ in found] == [records.shard_name("train", n) for n in range(3)]
    assert all(path.is_file() for path, _ in found)
    with pytest.raises(NitrogenError, match="no split 'val': they have train"):
        records.shard_files(tmp_path / "a", "val")
    sizes = records.write_file(tmp_path / "f", [b"abc", b"", b"x" * 1000])
    assert sizes == [3, 0, 1000]


# ---------------------------------------------------------------------------------------------
# Damage


@contextlib.contextmanager
def refused(*words: str) -> Iterator[None]:
    """One sentence with these words in it."""
    with pytest.raises(NitrogenError) as caught:
        yield
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.fixture
def stored(tmp_path):
    """Six records of 9 kB in two files."""
    frames = [np.random.default_rng(n).bytes(3000) for n in range(3)]
    chunks = [dataclasses.replace(chunk(n), frames=tuple(frames)) for n in range(6)]
    records.write_records(tmp_path / "a", chunks, chunks_per_shard=3)
    return tmp_path / "a"


def read_all(folder):
    return [one.video_id for one in records.read_records(folder)]


@pytest.mark.parametrize("keep", [0, 10, 1000, 0.3, 0.6, 0.99])
def test_a_shard_that_was_cut_off(stored, keep):
    (path, _), _ = records.shard_files(stored, "train")
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with refused("record 0 of", str(stored), "split train", "cannot be read"):
        read_all(stored)


def test_what_is_beside_the_damage_can_be_read(stored):
    (path, _), _ = records.shard_files(stored, "train")
    data = bytearray(path.read_bytes())
    frame = np.random.default_rng(1).bytes(3000)
    data[data.index(frame) + 1500] ^= 1  # a single bit of the first record's second picture
    path.write_bytes(data)
    found = records.read_records(stored)
    with refused("record 0 of", str(stored)):
        found[0]
    assert [found[n].video_id for n in range(1, 6)] == [f"video {n}" for n in range(1, 6)]


def test_a_shard_that_is_gone(stored):
    (_, _), (path, _) = records.shard_files(stored, "train")
    path.unlink()
    with refused("record", str(stored), "cannot be read"):
        read_all(stored)


def test_a_record_that_is_not_ours(stored):
    (path, _), _ = records.shard_files(stored, "train")
    path.unlink()
    records.write_file(path, [b"", b"\xff" * 50, b"plain text"])
    found = records.read_records(stored)
    for number in range(3):
        with refused(f"record {number} of", "cannot be read"):
            found[number]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", "\0", '{"featuresDict": 1}', None])
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_damaged_metadata(stored, name, text):
    if text is None:
        (stored / name).unlink()
    else:
        (stored / name).write_text(text)
    for use in (read_all, records.splits, lambda folder: records.shard_files(folder, "train")):
        with refused(str(stored)):
            use(stored)


@settings(max_examples=40)
@given(data=st.data())
def test_metadata_in_which_something_has_changed(metadata, data):
    """Bytes of it may be wrong: then records are read as before, or refused in a sentence."""
    folder, texts = metadata
    name = data.draw(st.sampled_from(sorted(texts)))
    text = bytearray(texts[name])
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.integers(32, 126))
    try:
        (folder / name).write_bytes(text)
        with contextlib.suppress(NitrogenError):
            assert set(read_all(folder)) <= {f"video {n}" for n in range(2)}
    finally:
        (folder / name).write_bytes(texts[name])


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metadata") / "a"
    records.write_records(folder, map(chunk, range(2)))
    return folder, {path.name: path.read_bytes() for path in folder.glob("*.json")}


def test_more_records_are_promised_than_there_are(stored):
    path = stored / "dataset_info.json"
    path.write_text(path.read_text().replace('"3"', '"4"', 1))
    with refused("record 3 of", str(stored)):
        read_all(stored)


def test_a_kind_of_file_that_cannot_be_read(stored):
    path = stored / "dataset_info.json"
    path.write_text(path.read_text().replace('"array_record"', '"riegeli"'))
    with refused(str(stored), "cannot be opened"):
        read_all(stored)


# ---------------------------------------------------------------------------------------------
# Writing that fails


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for one megabyte."""
    if not shutil.which("mount") or os.geteuid():
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        pytest.skip(f"no small disk can be mounted here: {ran.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("free", [0, 1, 4096, 70_000, 135_000, 140_000])
def test_a_full_disk(small_disk, free):
    (small_disk / "other").write_bytes(bytes((1 << 20) - free))
    out = small_disk / "records"
    with refused(f"cannot write {out}: No space left on device"):
        records.write_records(out, [chunk()])
    assert [path.name for path in small_disk.iterdir()] == ["other"]
    (small_disk / "other").unlink()
    records.write_records(out, [chunk()])
    assert read_all(out) == ["video 0"]


def test_a_disk_that_fills_up(small_disk):
    given = 0

    def chunks():
        nonlocal given
        for number in range(100):
            given += 1
            frames = tuple(np.random.default_rng(number).bytes(20_000) for _ in range(3))
            yield dataclasses.replace(chunk(number), frames=frames)

    with pytest.raises(records.WriteError, match="No space left on device"):
        records.write_records(small_disk / "records", chunks(), chunks_per_shard=5)
    assert given < 100
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("method", ["__init__", "write", "close", "metadata", "mkdir"])
def test_a_write_that_the_system_refuses(tmp_path, monkeypatch, method):
    real = records.ArrayRecordWriter

    def fail(*arguments, **named):
        raise RuntimeError("Data loss: write() failed: Input/output error; 3 more\nline 2")

    class Writer:
        def __init__(self, *arguments):
            if method == "__init__":
                fail()
            self.real = real(*arguments)

        def __getattr__(self, name):
            return fail if name == method else getattr(self.real, name)

    def broken(*arguments, **named):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(records, "ArrayRecordWriter", Writer)
    if method == "metadata":
        monkeypatch.setattr(records.tfds.core.DatasetInfo, "write_to_directory", broken)
    if method == "mkdir":
        monkeypatch.setattr(Path, "mkdir", broken)
    with pytest.raises(records.WriteError) as caught:
        records.write_records(tmp_path / "a", map(chunk, range(3)))
    monkeypatch.undo()
    assert str(caught.value).startswith(f"cannot write {tmp_path / 'a'}: ")
    assert "Input/output error" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("good", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, NitrogenError])
def test_no_half_folder_whenever_it_stops(tmp_path, good, error):
    def chunks():
        yield from map(chunk, range(good))
        raise error("stop")

    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with pytest.raises(error, match="stop"):
            records.write_records(tmp_path / name, chunks(), chunks_per_shard=2)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]
    records.write_records(tmp_path / "empty", [chunk()])
    assert read_all(tmp_path / "empty") == ["video 0"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "f"
    records.write_file(path, [b"old"])
    before = path.read_bytes()

    def data():
        yield b"new"
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        records.write_file(path, data())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("split", ["", "all", "a b", "../x", "a.b", "train[:1]", "a+b"])
def test_names_that_no_split_can_have(tmp_path, split):
    with refused("split is", repr(split)):
        records.write_records(tmp_path / "a", [chunk()], split)
    assert list(tmp_path.iterdir()) == []


def test_no_records_in_a_file(tmp_path):
    with refused("chunks_per_shard is 0"):
        records.write_records(tmp_path / "a", [chunk()], chunks_per_shard=0)


# ---------------------------------------------------------------------------------------------
# Bad input


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
        ({"codec": "gif"}, "codec 'gif' is not one of jpeg, h264"),
        ({"times": np.zeros(6)}, "times is float64"),
        ({"times": np.full(6, np.inf, np.float32)}, "times holds NaN or inf"),
        ({"key_frames": np.arange(3)}, "key_frames is int64"),
        ({"key_frames": np.array([0, 3], np.int32)}, r"key_frames is int32 \[0, 3\]"),
        ({"key_frames": np.array([-1], np.int32)}, "key_frames is int32"),
        ({"key_frames": np.array([1, 0], np.int32)}, "key_frames is int32"),
        ({"key_frames": np.zeros((1, 1), np.int32)}, "key_frames is int32"),
    ],
)
def test_chunks_that_cannot_be(fields, complaint):
    with pytest.raises(NitrogenError, match=complaint):
        chunk(**fields)
