"""Writing `.pt` files: what is written reads back equal, here and in PyTorch."""

from __future__ import annotations

import os
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.weights import torch_write
from nitrogen_jax.weights.torch_read import MAX_DEPTH, read_torch
from nitrogen_jax.weights.torch_write import write_torch

ml_dtypes = pytest.importorskip("ml_dtypes")  # comes with JAX
DATA = Path(__file__).parent / "data"
NAMES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def released() -> dict:
    """The layout of the released checkpoint, much smaller; `data/released_format.pt` holds it."""
    model = OrderedDict()
    model["action_encoder.W1.weight"] = np.arange(12, dtype=np.float32).reshape(4, 3) / 8
    model["action_encoder.W1.bias"] = -np.ones(4, np.float32)
    model["vl_self_attention_model.scale"] = np.full((), 0.5, np.float32)
    config = {
        "experiment_name": "tiny",
        "model_cfg": {"model_type": "nitrogen", "hidden_size": 8, "add_pos_embed": True},
        "tokenizer_cfg": {"old_layout": False, "game_mapping_cfg": None, "num_visual_tokens": 256},
        "modality_cfg": {"frame_per_sample": 1, "shape": [256, 256], "share": 0.5},
    }
    return {"model": model, "step": 1234, "epoch": 0, "ckpt_config": config}


def same(one: object, other: object) -> bool:
    """Equality with types, dtypes, shapes, key order and the bits of every number."""
    if isinstance(one, np.ndarray):
        fits = type(other) is np.ndarray and one.dtype == other.dtype and one.shape == other.shape
        return fits and one.tobytes() == other.tobytes()
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        keys = same(list(one), list(other))
        return keys and all(same(a, b) for a, b in zip(one.values(), other.values(), strict=True))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return struct.pack(">d", one) == struct.pack(">d", other)
    return one == other


arrays = st.sampled_from(NAMES).flatmap(
    lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
half_arrays = hnp.arrays(np.uint16, hnp.array_shapes(max_side=4)).map(
    lambda bits: bits.view(ml_dtypes.bfloat16)
)
words = st.text(st.characters(codec="utf-8"))
# Up to the largest that PyTorch's weights_only reader knows (255 bytes).
whole_numbers = st.integers(-(2**70), 2**70) | st.integers(-(2**2039), 2**2039 - 1)
plain = st.none() | st.booleans() | whole_numbers | st.floats() | words
small_keys = st.integers(-(2**63), 2**63) | words | st.booleans() | st.none()
keys = small_keys | st.tuples(small_keys, small_keys)
objects = st.recursive(
    plain | arrays | half_arrays | arrays.map(lambda a: a.T),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(keys, inner, max_size=5)
        | st.dictionaries(words, inner, max_size=5).map(OrderedDict)
    ),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("round-trip")


@given(objects)
def test_reading_gives_back_what_was_written(folder, obj):
    write_torch(folder / "x.pt", obj)
    assert same(read_torch(folder / "x.pt"), obj)


@given(st.lists(plain, max_size=20), st.sampled_from(["x.pt", "ünï.pt", "a b.ckpt", ".pt", "..pt"]))
def test_any_file_name_is_a_good_one(folder, obj, name):
    write_torch(folder / name, obj)
    assert same(read_torch(folder / name), obj)


def test_the_bytes_depend_on_nothing_but_the_object_and_the_name(tmp_path):
    """`released_format.pt` was written by this function once; a change of format shows here."""
    assert same(read_torch(DATA / "released_format.pt"), released())
    write_torch(tmp_path / "released_format.pt", released())
    assert (tmp_path / "released_format.pt").read_bytes() == (
        DATA / "released_format.pt"
    ).read_bytes()


@pytest.mark.parametrize("zip64_from", [2**31 - 1, 0])
def test_the_archive_is_sound_and_aligned(tmp_path, monkeypatch, zip64_from):
    """Also with the 64-bit headers that entries above 2 GiB get."""
    monkeypatch.setattr(torch_write, "_ZIP64_FROM", zip64_from)
    obj = {"model": {f"w{i}": np.arange(i * 7, dtype=np.int16) for i in range(30)}}
    write_torch(tmp_path / "x.pt", obj)
    assert same(read_torch(tmp_path / "x.pt"), obj)
    data = (tmp_path / "x.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            name_and_extra = struct.unpack_from("<HH", data, info.header_offset + 26)
            assert (info.header_offset + 30 + sum(name_and_extra)) % 64 == 0
            assert (name_and_extra[1] > 20) or zip64_from
    assert names[:2] == ["x/data.pkl", "x/byteorder"]
    assert names[-1] == "x/version"


def test_an_array_that_occurs_twice_is_stored_once(tmp_path):
    weight = np.arange(6.0)
    write_torch(tmp_path / "x.pt", {"a": weight, "b": weight, "c": weight.copy()})
    read = read_torch(tmp_path / "x.pt")
    assert np.shares_memory(read["a"], read["b"])
    assert not np.shares_memory(read["a"], read["c"])


def test_arrays_that_are_not_plain_numpy(tmp_path):
    jax = pytest.importorskip("jax")
    obj = {
        "jax": jax.numpy.arange(5, dtype=jax.numpy.bfloat16),
        "scalar": jax.numpy.float32(2.5),
        "big-endian": np.arange(5, dtype=">f4"),
        "strided": np.arange(24).reshape(4, 6)[::2, ::3],
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "broadcast": np.broadcast_to(np.int8(3), (2, 2)),
    }
    write_torch(tmp_path / "x.pt", obj)
    read = read_torch(tmp_path / "x.pt")
    for name, array in obj.items():
        np.testing.assert_array_equal(read[name], np.asarray(array))
        assert read[name].dtype.name == array.dtype.name
        assert read[name].shape == array.shape


def test_progress_adds_up_to_the_bytes_of_the_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_write, "_CHUNK", 1000)
    obj = [np.zeros(777, np.float32), np.zeros(3, np.int8), np.zeros((0, 4)), np.zeros(2000, bool)]
    written = []
    write_torch(tmp_path / "x.pt", obj, written.append)
    assert sum(written) == sum(array.nbytes for array in obj)
    assert max(written) == 1000
    assert same(read_torch(tmp_path / "x.pt"), obj)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    write_torch(tmp_path / "x.pt", "old")

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_torch(tmp_path / "x.pt", np.zeros(3), stop)
    assert read_torch(tmp_path / "x.pt") == "old"
    assert os.listdir(tmp_path) == ["x.pt"]


def loop() -> list:
    items: list = []
    items.append(items)
    return items


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


UNSUPPORTED = [
    ({"model": {"foo": {1, 2}}}, r"model/foo .* a builtins\.set"),
    ({"model": [1, b"x"]}, r"model/1 .* a builtins\.bytes"),
    (object(), r"the top .* builtins\.object"),
    ({"w": np.zeros(2, np.complex64)}, "w .* an array of complex64"),
    ({"w": np.array(["x"])}, "w .* an array of str"),
    ({"w": np.array([{}])}, "w .* an array of object"),
    ({"step": np.int64(3)}, r"step .* a numpy\.int64"),
    ({"model": {b"x": 1}}, "model .* a dict key of type bytes"),
    ({"model": {((1,),): 1}}, "model .* a dict key of type tuple"),
    ({"a": "\ud800"}, "a .* not valid Unicode"),
    (loop(), r"0/0/0.* holding itself"),
    (deep(MAX_DEPTH + 1), "nested deeper"),
]


@pytest.mark.parametrize(("obj", "message"), UNSUPPORTED)
def test_what_cannot_be_written_is_named_with_its_place(tmp_path, obj, message):
    with pytest.raises(NitrogenError, match=message) as caught:
        write_torch(tmp_path / "x.pt", obj)
    assert len(str(caught.value)) < 400
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("bits", [7, 8, 16, 31, 32, 63, 2038, 2039, 2040, 9000])
def test_integers_at_the_edges_of_their_encodings(tmp_path, bits):
    numbers = [s * 2**bits + d for s in (1, -1) for d in (-1, 0, 1)]
    write_torch(tmp_path / "x.pt", numbers)
    assert read_torch(tmp_path / "x.pt") == numbers


def test_the_deepest_nesting_that_is_written_is_read(tmp_path):
    write_torch(tmp_path / "x.pt", deep(MAX_DEPTH))
    assert read_torch(tmp_path / "x.pt") == deep(MAX_DEPTH)


def test_millions_of_small_values_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_write, "MAX_INSTRUCTIONS", 1000)
    write_torch(tmp_path / "x.pt", [0] * 900)
    with pytest.raises(NitrogenError, match="millions of values outside arrays"):
        write_torch(tmp_path / "x.pt", [0] * 1001)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(NitrogenError, match="nowhere does not exist"):
        write_torch(tmp_path / "nowhere" / "x.pt", 1)
    if os.geteuid() != 0:  # root may write anywhere
        tmp_path.chmod(0o500)
        with pytest.raises(NitrogenError, match=r"cannot write .*x\.pt: Permission denied"):
            write_torch(tmp_path / "x.pt", 1)


# --- against PyTorch ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"weights_only": True}, {"weights_only": False}, {"mmap": True}])
@pytest.mark.parametrize("zip64_from", [2**31 - 1, 0])
def test_torch_loads_what_was_written(tmp_path, monkeypatch, how, zip64_from):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch_write, "_ZIP64_FROM", zip64_from)
    shared = np.arange(4)
    obj = released() | {
        "tensors": {name: np.arange(6).reshape(2, 3).astype(name) for name in NAMES},
        "half": np.arange(6).astype(ml_dtypes.bfloat16).reshape(3, 2),
        "transposed": np.arange(6).reshape(2, 3).T,
        "scalar": np.array(1.5),
        "empty": np.zeros((2, 0, 3), np.float32),
        "shared": [shared, shared],
        "plain": [1, 255, 256, 65535, 65536, -1, 2**31, -(2**2039), -0.0, "é", (1, 2, 3, 4)],
    }
    if how == {"weights_only": False}:
        obj["plain"].append(2**9000)
    write_torch(tmp_path / "x.pt", obj)
    loaded = torch.load(tmp_path / "x.pt", **how)
    assert type(loaded["model"]) is OrderedDict
    assert loaded["half"].dtype == torch.bfloat16
    assert loaded["shared"][0].data_ptr() == loaded["shared"][1].data_ptr()
    assert loaded["empty"].is_contiguous()

    def to_numpy(value):
        if isinstance(value, torch.Tensor):
            if value.dtype == torch.bfloat16:
                return value.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
            return value.numpy()
        if isinstance(value, dict):
            return type(value)((key, to_numpy(part)) for key, part in value.items())
        if isinstance(value, (list, tuple)):
            return type(value)(to_numpy(part) for part in value)
        return value

    assert same(to_numpy(loaded), obj)


@given(objects)
def test_torch_agrees_with_our_reader(folder, obj):
    torch = pytest.importorskip("torch")
    write_torch(folder / "x.pt", {"obj": obj})
    torch.save(torch.load(folder / "x.pt", weights_only=True), folder / "y.pt")
    assert same(read_torch(folder / "y.pt"), {"obj": obj})
