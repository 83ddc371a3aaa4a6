"""Reading `.pt` files: what torch.save writes comes back equal; nothing hostile gets through."""

from __future__ import annotations

import gc
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.weights import torch_pickle, torch_read, torch_zip
from nitrogen_jax.weights.torch_read import read_torch

DATA = Path(__file__).parent / "data"
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def archive(path: Path, code: bytes, root: str = "a", method=zipfile.ZIP_STORED, **entries) -> Path:
    """A checkpoint with `code` as its pickle; entries by name, `data_0` meaning data/0."""
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(f"{root}/data.pkl", code)
        for name, data in entries.items():
            file.writestr(f"{root}/{name.replace('_', '/')}", data)
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def storage(key="0", count=6, kind=b"torch\nFloatStorage", device=b"X\x03\x00\x00\x00cpu") -> bytes:
    number = b"J" + struct.pack("<i", count)
    return b"(" + text("storage") + b"c" + kind + b"\n" + text(key) + device + number + b"tQ"


def tensor(offset=b"K\x00", shape=b"K\x02K\x03\x86", strides=b"K\x03K\x01\x86", of=None) -> bytes:
    made = of if of is not None else storage()
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return rebuild + made + offset + shape + strides + b"\x89" + ORDERED_DICT + b"tR"


SIX = np.arange(6, dtype="<f4")


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.needs("ml_dtypes")
def test_a_file_of_torch_save_is_read_without_torch():
    """`torch_save.pt` was written by torch.save (2.13); its values follow these formulas."""
    read = read_torch(DATA / "torch_save.pt")
    assert list(read) == ["model", "step", "epoch", "ckpt_config", "plain"]
    assert type(read) is dict
    assert type(read["model"]) is OrderedDict
    assert (read["step"], read["epoch"]) == (1234, 2)
    assert read["ckpt_config"] == {
        "model_cfg": {"hidden_size": 8, "dropout": 0.25, "tags": ["a", None, True]},
        "shape": (2, 3),
        "dtype": "float32",
        "big": -(2**70),
    }
    ramp = np.arange(6).reshape(2, 3)
    for name in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8"):
        array = read["model"][name]
        assert array.dtype == np.dtype(name)
        np.testing.assert_array_equal(array, ramp)
    assert read["model"]["bfloat16"].dtype.name == "bfloat16"
    np.testing.assert_array_equal(read["model"]["bfloat16"].astype(np.float32), ramp)
    np.testing.assert_array_equal(read["model"]["bool"], ramp % 2 == 1)
    np.testing.assert_array_equal(read["model"]["transposed"], ramp.T)
    np.testing.assert_array_equal(read["model"]["parameter"], ramp)
    assert np.shares_memory(read["model"]["transposed"], read["model"]["int64"])
    assert read["plain"][0].shape == ()
    assert read["plain"][0] == 5
    assert read["plain"][1].shape == (0, 3)


def test_a_file_in_the_released_layout_is_read():
    read = read_torch(DATA / "released_format.pt")
    assert list(read) == ["model", "step", "epoch", "ckpt_config"]
    weight = read["model"]["action_encoder.W1.weight"]
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, np.arange(12).reshape(4, 3) / 8)


@pytest.mark.parametrize("root", ["ng", "archive", "name with spaces", "..", "~", "C:"])
def test_the_root_folder_may_have_any_name(tmp_path, root):
    path = archive(tmp_path / "x.pt", b"\x80\x02K\x07.", root=root)
    assert read_torch(path) == 7
    assert os.listdir(tmp_path) == ["x.pt"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        (b"K\x02K\x03\x86", b"K\x03K\x01\x86", SIX.reshape(2, 3)),
        (b"K\x03K\x02\x86", b"K\x01K\x03\x86", SIX.reshape(2, 3).T),
        (b"K\x02\x85", b"K\x05\x85", SIX[::5]),
        (b"K\x04K\x06\x86", b"K\x00K\x01\x86", np.stack([SIX] * 4)),
        (b")", b")", SIX[0]),
        (b"K\x00K\x05\x86", b"K\x05K\x01\x86", np.zeros((0, 5), np.float32)),
    ],
)
def test_strided_tensors(tmp_path, method, shape, strides, expected):
    code = tensor(shape=shape, strides=strides) + b"."
    path = archive(tmp_path / "x.pt", code, method=method, data_0=SIX.tobytes())
    array = read_torch(path)
    np.testing.assert_array_equal(array, expected)
    assert array.shape == expected.shape
    assert not array.flags.writeable


def test_arrays_are_views_of_the_file_and_outlive_its_name(tmp_path):
    values = np.arange(8 << 20, dtype="<f4")
    code = tensor(shape=b"J\x00\x00\x80\x00\x85", strides=b"K\x01\x85", of=storage(count=8 << 20))
    path = archive(tmp_path / "x.pt", code + b".", data_0=values.tobytes())
    tracemalloc.start()
    array = read_torch(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < values.nbytes / 32
    path.unlink()
    gc.collect()
    np.testing.assert_array_equal(array, values)


def test_attributes_of_an_ordered_dict_are_dropped(tmp_path):
    code = ORDERED_DICT + text("w") + b"K\x01s" + b"}" + text("_metadata") + b"}sb."
    read = read_torch(archive(tmp_path / "x.pt", code))
    assert read == OrderedDict(w=1)
    assert not hasattr(read, "_metadata")


# --- against PyTorch ------------------------------------------------------------------------------


def test_everything_torch_saves_comes_back_equal(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    names = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8"]
    names += ["uint8", "bool"]
    base = torch.randn(4, 5)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.BatchNorm2d(4))
    saved = {
        "tensors": {name: (torch.randn(3, 4) * 9).to(getattr(torch, name)) for name in names},
        "state": network.state_dict(),
        "parameter": torch.nn.Parameter(base),
        "views": [base, base.T, base[1:, ::2], base[2], base.expand(3, 4, 5), base.flatten()[7]],
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 7),
        "size": base.shape,
        "dtype": torch.bfloat16,
        "optimiser": torch.optim.Adam(network.parameters()).state_dict(),
        "plain": [1, -2, 2**40, -(2**90), 1.5, float("inf"), "é", None, True, (), (1,), {3: "x"}],
    }
    for protocol in (2, 3, 4, 5):
        torch.save(saved, tmp_path / "x.pt", pickle_protocol=protocol)
        read = read_torch(tmp_path / "x.pt")
        assert list(read) == list(saved)
        compare(torch, saved, read)
    assert np.shares_memory(read["views"][0], read["views"][1])
    assert np.shares_memory(read["views"][0], read["parameter"])


def compare(torch, want, got):
    """Equality of a PyTorch object and what was read, types included."""
    if isinstance(want, torch.Tensor):
        want = want.detach()
        assert type(got) is np.ndarray
        assert got.dtype.name == str(want.dtype).removeprefix("torch.")
        assert got.shape == tuple(want.shape)
        wide = torch.float64 if want.dtype.is_floating_point else torch.int64
        numpy_wide = np.float64 if want.dtype.is_floating_point else np.int64
        np.testing.assert_array_equal(got.astype(numpy_wide), want.to(wide).numpy())
    elif isinstance(want, dict):
        assert type(got) is type(want)
        assert list(got) == list(want)
        for key in want:
            compare(torch, want[key], got[key])
    elif isinstance(want, torch.Size):
        assert got == tuple(want)
    elif isinstance(want, torch.dtype):
        assert got == str(want).removeprefix("torch.")
    elif isinstance(want, (list, tuple)):
        assert type(got) is type(want)
        assert len(got) == len(want)
        for one, other in zip(want, got, strict=True):
            compare(torch, one, other)
    else:
        assert type(got) is type(want)
        assert got == want


def test_formats_of_torch_that_are_not_read_say_what_they_ask_for(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(NitrogenError, match=r"asks for torch\.nn\.modules\.linear\.Linear"):
        read_torch(path)
    torch.save(torch.zeros(2, dtype=torch.complex64), path)
    with pytest.raises(NitrogenError, match=r"asks for torch\.ComplexFloatStorage"):
        read_torch(path)
    torch.save({"w": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(NitrogenError, match=r"before PyTorch 1\.6"):
        read_torch(path)


# --- hostile pickles ------------------------------------------------------------------------------


class Payload:
    """Pickles to a call of `function(*args)`."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: {"model": [p]}, lambda p: {"a": (p, p)}])
def test_no_call_runs(tmp_path, protocol, wrap):
    marker = tmp_path / "ran"
    payloads = {
        "posix.system": Payload(os.system, f"touch {marker}"),
        "eval": Payload(eval, f"open({str(marker)!r}, 'w').close()"),
        "exec": Payload(exec, f"open({str(marker)!r}, 'w').close()"),
        "getattr": Payload(getattr, "", "join"),
        "open": Payload(open, str(marker), "w"),
    }
    for name, payload in payloads.items():
        code = pickle.dumps(wrap(payload), protocol)
        with pytest.raises(NitrogenError) as caught:
            read_torch(archive(tmp_path / "x.pt", code))
        if protocol >= 2:
            assert f"{name}, which is no part of a checkpoint" in str(caught.value)
        assert not marker.exists()
    # The payloads are real: Python's own unpickler does run them.
    pickle.loads(pickle.dumps(wrap(payloads["eval"]), protocol))
    assert marker.exists()


CALL_ME = b"(" + text("touch ran") + b"tR."
HUGE = b"\x8a\x0a" + b"\x7f" * 10  # an integer of 80 bits
ONES_99 = b"(" + b"K\x01" * 99 + b"t"
HOSTILE = {
    "reduce": b"cos\nsystem\n" + CALL_ME,
    "reduce, text protocol": b"cos\nsystem\n(S'touch ran'\ntR.",
    "inst": b"(" + text("touch ran") + b"ios\nsystem\n.",
    "inst of an allowed name": b"(icollections\nOrderedDict\n.",
    "obj": b"(cos\nsystem\n" + text("touch ran") + b"o.",
    "obj of an allowed name": b"(ccollections\nOrderedDict\no.",
    "newobj": b"ccollections\nOrderedDict\n)\x81.",
    "newobj_ex": b"ccollections\nOrderedDict\n)}\x92.",
    "stack_global": text("os") + text("system") + b"\x93" + CALL_ME,
    "stack_global, dotted": text("torch") + text("os.system") + b"\x93" + CALL_ME,
    "global, dotted": b"ctorch\nos.system\n" + CALL_ME,
    "global, dotted module": b"ctorch.os\nsystem\n" + CALL_ME,
    "attribute of an allowed function": b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
    "attribute of an allowed class": b"ccollections\nOrderedDict.__init__\n.",
    "class whose name runs on": b"ctorch\nFloatStorage.__reduce__\n.",
    "stack_global of no text": b"K\x01K\x02\x93.",
    "builtins": b"cbuiltins\ngetattr\n.",
    "python 2 builtins": b"c__builtin__\neval\n.",
    "torch loads bytes": b"ctorch.storage\n_load_from_bytes\n.",
    "torch hub": b"ctorch.hub\nload\n.",
    "extension registry": b"\x82\x01.",
    "extension registry, wide": b"\x84\x01\x00\x00\x00.",
    "set": b"\x8f.",
    "frozenset": b"(\x91.",
    "bytes": b"C\x01x.",
    "buffer": b"\x97.",
    "old persistent id": b"Pfoo\n.",
    "call of a string": text("os.system") + b")R.",
    "call of a dict": b"})R.",
    "call of a result": ORDERED_DICT + b")R.",
    "call of a storage class": b"ctorch\nFloatStorage\n)R.",
    "call without a tuple": b"ccollections\nOrderedDict\n]R.",
    "call with too many arguments": b"ccollections\nOrderedDict\nK\x01\x85R.",
    "class as a value": b"ccollections\nOrderedDict\n.",
    "class as a nested value": b"]ctorch\nFloatStorage\na.",
    "bare storage": storage() + b".",
    "build of a class": b"ccollections\nOrderedDict\n}" + text("x") + b"K\x01sb.",
    "build of a tensor": tensor() + b"}" + text("base") + b"Nsb.",
    "build of a dict": b"}}b.",
    "build with a tuple": ORDERED_DICT + b"N}\x86b.",
    "items of a tensor": tensor() + b"K\x00K\x01s.",
    "items of a list": b"](K\x00K\x01u.",
    "items of a storage": storage() + b"(K\x00K\x01u.",
    "items of a class": b"ccollections\nOrderedDict\n" + text("x") + b"Ns.",
    "append to a dict": b"}K\x01a.",
    "append to a tensor": tensor() + b"K\x01a.",
    "odd items": b"}(K\x00u.",
    "list as a key": b"}]Ns.",
    "nested tuple as a key": b"})\x85\x85Ns.",
    "huge number as a key": b"}\x8a\x20" + b"\x7f" * 32 + b"Ns.",
    "tensor as a key": b"}" + tensor() + b"Ns.",
    "class as a key": b"}ccollections\nOrderedDict\nNs.",
    "holds itself": b"]q\x00h\x00a.",
    "holds itself in a dict": b"}q\x00" + text("x") + b"h\x00s.",
    "multiplies": b"N" + b"2\x86" * 60 + b".",
    "deep": b"]" * 300 + b"a" * 299 + b".",
    "very deep": b")" + b"\x85" * 500_000 + b".",
    "protocol 6": b"\x80\x06N.",
    "persistent id is text": text("0") + b"Q.",
    "persistent id is a number": b"K\x00Q.",
    "persistent id is too short": b"(" + text("storage") + b"tQ.",
    "persistent id without class": storage().replace(b"ctorch\nFloatStorage\n", b"N") + b".",
    "persistent id of a function": storage(kind=b"torch._utils\n_rebuild_tensor") + b".",
    "persistent id of no device": storage(device=b"N") + b".",
    "persistent id of other kind": storage().replace(b"storage", b"module!") + b".",
    "storage elsewhere": storage(key="../../../etc/passwd") + b".",
    "absolute storage": storage(key="/etc/passwd") + b".",
    "storage larger than its entry": tensor(of=storage(count=7)) + b".",
    "storage of a billion": tensor(of=storage(count=2**31 - 1)) + b".",
    "storage of less than nothing": tensor(of=storage(count=-1)) + b".",
    "wrong item size": tensor(of=storage(kind=b"torch\nDoubleStorage")) + b".",
    "tensor of no storage": tensor(of=b"N") + b".",
    "tensor of a tensor": tensor(of=tensor()) + b".",
    "offset beyond": tensor(offset=b"K\x01") + b".",
    "offset far beyond": tensor(offset=b"\x8a\x08" + b"\xff" * 7 + b"\x7f") + b".",
    "negative offset": tensor(offset=b"J\xff\xff\xff\xff") + b".",
    "offset is a float": tensor(offset=b"G" + bytes(8)) + b".",
    "offset is a bool": tensor(offset=b"\x89") + b".",
    "negative size": tensor(shape=b"K\x02J\xff\xff\xff\xff\x86") + b".",
    "negative stride": tensor(strides=b"K\x03J\xff\xff\xff\xff\x86") + b".",
    "stride beyond": tensor(strides=b"K\x04K\x01\x86") + b".",
    "more strides than sizes": tensor(strides=b"K\x01K\x01K\x01\x87") + b".",
    "sizes in a list": tensor(shape=b"]K\x06a", strides=b"]K\x01a") + b".",
    "too many dimensions": tensor(shape=ONES_99, strides=ONES_99) + b".",
    "size beyond 64 bits": tensor(shape=HUGE + b"\x85", strides=b"K\x00\x85") + b".",
    "empty but beyond 64 bits": tensor(shape=b"K\x00" + HUGE + b"\x86") + b".",
    "terabytes by stride 0": tensor(shape=b"J\x00\x00\x00\x7f\x85", strides=b"K\x00\x85") + b".",
    "parameter of no tensor": b"ctorch._utils\n_rebuild_parameter\n(N\x88NtR.",
    "conjugated tensor": tensor()[:-2] + b"}" + text("conj") + b"\x88stR.",
    "huge memo index, never put": b"j\xff\xff\xff\xff.",
    "memo of nothing": b"q\x00.",
    "negative length": b"\x8b\xff\xff\xff\xff.",
    "length beyond the end": b"X\xff\xff\xff\xffa.",
    "wide length beyond the end": b"\x8d" + b"\xff" * 8 + b"a.",
    "text that is not Unicode": b"X\x01\x00\x00\x00\xff.",
    "empty": b"",
    "no stop": b"N",
    "nothing on the stack": b".",
    "two on the stack": b"NN.",
    "stop inside a mark": b"N(.",
    "pop of nothing": b"0.",
    "pop of no mark": b"1.",
    "tuple of nothing": b"\x87.",
    "tuple of no mark": b"t.",
    "reduce of nothing": b"R.",
    "line without end": b"cos",
    "unknown": b"\xfe.",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_and_broken_pickles_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "x.pt", b"\x80\x02" + HOSTILE[name], data_0=SIX.tobytes())
    with pytest.raises(NitrogenError, match=r"x\.pt is (refused|damaged)") as caught:
        read_torch(path)
    assert len(str(caught.value)) < 400
    assert os.listdir(tmp_path) == ["x.pt"]  # no `ran`


def test_the_hostile_pickles_differ_from_good_ones_only_in_their_fault(tmp_path):
    path = archive(tmp_path / "x.pt", b"\x80\x02" + tensor() + b".", data_0=SIX.tobytes())
    np.testing.assert_array_equal(read_torch(path), SIX.reshape(2, 3))


def test_a_huge_memo_index_costs_no_memory(tmp_path):
    path = archive(tmp_path / "x.pt", b"}r\xff\xff\xff\xff0j\xff\xff\xff\xff.")
    tracemalloc.start()
    assert read_torch(path) == {}
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_numpy_array_in_the_pickle_is_refused(tmp_path):
    for value in (np.arange(3), np.float32(1)):
        with pytest.raises(NitrogenError, match=r"asks for numpy\."):
            read_torch(archive(tmp_path / "x.pt", pickle.dumps(value, 2)))


def test_names_in_messages_cannot_write_on_the_terminal(tmp_path):
    name = "\x1b[2J" + "x" * 10_000
    code = text("os") + text(name) + b"\x93."
    with pytest.raises(NitrogenError) as caught:
        read_torch(archive(tmp_path / "x.pt", code))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("module", "limit"),
    [(torch_pickle, "MAX_INSTRUCTIONS"), (torch_read, "MAX_VALUES"), (torch_zip, "MAX_PICKLE")],
)
def test_limits(tmp_path, monkeypatch, module, limit):
    path = archive(tmp_path / "x.pt", b"(" + b"N" * 50 + b"t.")
    assert read_torch(path) == (None,) * 50
    monkeypatch.setattr(module, limit, 40)
    with pytest.raises(NitrogenError, match="is refused"):
        read_torch(path)


# --- broken and foreign files ---------------------------------------------------------------------


def test_files_that_are_no_checkpoint_say_so(tmp_path):
    def message(path: Path) -> str:
        with pytest.raises(NitrogenError) as caught:
            read_torch(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def holding(data: bytes) -> Path:
        (tmp_path / "x.pt").write_bytes(data)
        return tmp_path / "x.pt"

    assert "does not exist" in message(tmp_path / "missing.pt")
    assert "is a folder" in message(tmp_path)
    assert "is empty" in message(holding(b""))
    assert "is not a PyTorch checkpoint" in message(holding(b"hello"))
    assert "Git LFS pointer" in message(holding(b"version https://git-lfs.github.com/spec/v1\n"))
    legacy = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    assert "before PyTorch 1.6" in message(holding(legacy + b"more"))
    assert "bare pickle" in message(holding(pickle.dumps({}, 4)))
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as file:
        file.writestr("readme.txt", "hello")
        file.writestr("data.pkl", "N.")  # not inside a root folder
        file.writestr("a/b/data.pkl", "N.")
    assert "0 data.pkl" in message(tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt", "a") as file:
        file.writestr("a/data.pkl", "N.")
        file.writestr("b/data.pkl", "N.")
    assert "2 data.pkl" in message(tmp_path / "x.pt")
    assert "big-endian" in message(archive(tmp_path / "x.pt", b"N.", byteorder="big"))
    assert "neither little" in message(archive(tmp_path / "x.pt", b"N.", byteorder="odd"))
    assert "no entry a/data/0" in message(archive(tmp_path / "x.pt", tensor() + b"."))
    whole = archive(tmp_path / "x.pt", tensor() + b".", data_0=SIX.tobytes()).read_bytes()
    assert "table of entries" in message(holding(whole[:-30]))


def test_zip_bombs_are_refused(tmp_path, monkeypatch):
    deflated = zipfile.ZIP_DEFLATED
    zeros = tensor(shape=b"J\x00\x00\x10\x00\x85", strides=b"K\x01\x85", of=storage(count=1 << 20))
    path = archive(tmp_path / "x.pt", zeros + b".", method=deflated, data_0=bytes(4 << 20))
    assert read_torch(path).shape == (1 << 20,)
    monkeypatch.setattr(torch_zip, "_MAX_INFLATED", (4, 1 << 20))
    with pytest.raises(NitrogenError, match="unpacks to far more"):
        read_torch(path)


@pytest.mark.parametrize("lie", [-1, 1, 1000])
def test_a_compressed_entry_must_have_its_declared_size(tmp_path, lie):
    code = tensor() + b"."
    path = archive(tmp_path / "x.pt", code, method=zipfile.ZIP_DEFLATED, data_0=SIX.tobytes())
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4) + 24  # uncompressed size
    assert struct.unpack_from("<I", data, at) == (24,)
    struct.pack_into("<I", data, at, 24 + lie)
    path.write_bytes(data)
    with pytest.raises(NitrogenError, match=r"declared size|smaller than"):
        read_torch(path)


def test_other_compressions_and_passwords_are_refused(tmp_path):
    path = archive(tmp_path / "x.pt", b"N.", method=zipfile.ZIP_BZIP2)
    with pytest.raises(NitrogenError, match="packed in a way"):
        read_torch(path)
    data = bytearray(archive(path, b"N.").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(NitrogenError, match="encrypted"):
        read_torch(path)


def try_to_read(path: Path, data: bytes) -> None:
    """Reads a possibly broken file: a value or a NitrogenError; anything else fails the test."""
    path.write_bytes(data)
    try:
        value = read_torch(path)
    except NitrogenError:
        return
    repr(value)  # touches every mapped byte: a view outside of the file would crash here


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


SMALL = [(DATA / name).read_bytes() for name in ("torch_save.pt", "released_format.pt")]


@given(st.sampled_from(SMALL), st.floats(0, 1, exclude_max=True))
@settings(max_examples=60)
def test_a_cut_file_is_an_error(folder, whole, part):
    (folder / "cut.pt").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(NitrogenError, match=r"cut\.pt is (damaged|empty|not a PyTorch checkpoint)"):
        read_torch(folder / "cut.pt")


def soft_spots(whole: bytes) -> list[int]:
    """Positions in data.pkl, in the local headers and in the table at the end."""
    spots = list(range(whole.rindex(b"PK\x05\x06") - 1200, len(whole)))
    spots += range(whole.index(b"\x80\x02}"), whole.index(b"PK\x03\x04", 4))
    starts = [i for i in range(len(whole)) if whole.startswith(b"PK\x03\x04", i)]
    return spots + [at + i for at in starts for i in range(100)]


SPOTS = [soft_spots(whole) for whole in SMALL]


@given(st.data())
@settings(max_examples=200)
def test_flipped_bytes_never_surprise(folder, data):
    which = data.draw(st.integers(0, 1))
    broken = bytearray(SMALL[which])
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(st.sampled_from(SPOTS[which]))] = data.draw(st.integers(0, 255))
    try_to_read(folder / "flipped.pt", bytes(broken))


INSTRUCTIONS = [bytes([i]) for i in range(256)]
PIECES = [
    *(list(torch_pickle._PUSH) + list(torch_pickle._DO)),
    *(b"q\x00", b"h\x00", b"K\x03", b"J\xff\xff\xff\xff", text("storage"), text("x"), text("0")),
    *(b"}", b"]", b"(", b")", storage(), tensor(), ORDERED_DICT, b"ctorch\nFloatStorage\n"),
    *(b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nSize\n"),
]


@given(st.lists(st.sampled_from(PIECES) | st.sampled_from(INSTRUCTIONS), max_size=25))
@settings(max_examples=200)
def test_random_programs_never_surprise(folder, pieces):
    code = b"".join(pieces) + b"."
    path = archive(folder / "program.pt", code, data_0=SIX.tobytes())
    try_to_read(path, path.read_bytes())
