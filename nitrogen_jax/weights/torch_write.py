"""Writes PyTorch zip checkpoints (what `torch.load` opens, also with `mmap=True`) without PyTorch.

The layout is that of `torch.save`: a zip archive whose entries are stored, not compressed, with the
bytes of every tensor starting at a multiple of 64 in the file. The same object and file name give
the same bytes.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.weights.torch_read import MAX_DEPTH, MAX_INSTRUCTIONS, MAX_PICKLE, is_key

_STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
_ALIGNMENT = 64  # bytes; torch.save's own
_CHUNK = 16 << 20  # bytes written between two calls of `progress`
_ZIP64_FROM = 2**31 - 1  # bytes of one entry; larger ones need 64-bit sizes in their header


def write_torch(
    path: str | os.PathLike[str], obj: object, progress: Callable[[int], None] | None = None
) -> None:
    """Writes `obj` so that `torch.load(path)` gives it back with tensors for arrays.

    `obj` nests dict, OrderedDict, list, tuple, str, int, float, bool and None around NumPy or JAX
    arrays (float16/32/64, bfloat16, int8/16/32/64, uint8, bool). An integer of more than 255 bytes
    needs `torch.load(..., weights_only=False)`. An array that occurs twice is stored once and stays
    shared. Arrays go to disk one after the other; `progress` is called with the number of tensor
    bytes just written, which add up to the arrays' sizes. The file appears under its name only
    when it is whole.
    """
    path = Path(path)
    pickle, arrays = _Pickle.of(obj)
    # PyTorch names the archive's root folder after the file; only plain names are safe there.
    root = path.stem if re.fullmatch(r"[A-Za-z0-9_.-]+", path.stem) else "archive"
    try:
        with (
            atomic_path(path) as temporary,
            temporary.open("wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
        ):
            _write_entry(archive, file, f"{root}/data.pkl", pickle)
            _write_entry(archive, file, f"{root}/byteorder", b"little")
            for key, array in enumerate(arrays):
                # NOTE: only here does a JAX array come to the host, one at a time.
                data = _little_endian_bytes(np.asarray(array))
                _write_entry(archive, file, f"{root}/data/{key}", data, progress)
            _write_entry(archive, file, f"{root}/version", b"3\n")
    except OSError as cause:
        raise NitrogenError(f"cannot write {path}: {cause.strerror or cause}") from cause


def _write_entry(
    archive: zipfile.ZipFile,
    file: object,
    name: str,
    data: bytes | memoryview,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Appends one stored entry whose bytes begin at a multiple of 64."""
    size = len(data)
    large = size >= _ZIP64_FROM
    info = zipfile.ZipInfo(name)  # dated 1980, so that the bytes do not depend on the clock
    info.create_system = 0  # nor on the operating system
    # The header is 30 bytes, the name, 20 bytes of 64-bit sizes if large, and our extra field.
    header = file.tell() + 30 + len(name) + (20 if large else 0) + 4
    padding = -header % _ALIGNMENT
    info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    with archive.open(info, "w", force_zip64=large) as entry:
        for start in range(0, size, _CHUNK):
            chunk = data[start : start + _CHUNK]
            entry.write(chunk)
            if progress is not None:
                progress(len(chunk))
    info.extra = b""  # the table at the end needs no padding


def _little_endian_bytes(array: np.ndarray) -> memoryview:
    """The elements in C order as uint8 of shape (bytes,); no copy where they lie so already."""
    if array.dtype.name != "bfloat16":  # ml_dtypes types know no byte order
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


class _Pickle:
    """A pickle of protocol 2, one list item per instruction, and the arrays it refers to."""

    def __init__(self) -> None:
        self.code: list[bytes] = []
        self.size = 0  # bytes in `code`
        self.arrays: list = []
        self.keys: dict[int, int] = {}  # id(array) -> its index in `arrays`

    @classmethod
    def of(cls, obj: object) -> tuple[bytes, list]:
        pickle = cls()
        pickle.put(b"\x80\x02")
        pickle.add(obj, ())
        pickle.put(b".")
        return b"".join(pickle.code), pickle.arrays

    def put(self, *code: bytes) -> None:
        self.code.extend(code)
        self.size += sum(map(len, code))
        if self.size > MAX_PICKLE or len(self.code) > MAX_INSTRUCTIONS:
            raise NitrogenError(
                "cannot write this into a PyTorch checkpoint: it has millions of values outside "
                "arrays; keep long texts in files and long sequences of numbers in arrays"
            )

    def add(self, x: object, where: tuple) -> None:
        """Emits one value; `where` holds the keys that lead to it, for messages."""
        if len(where) >= MAX_DEPTH and type(x) in (dict, OrderedDict, list, tuple):
            raise _unsupported(where[:8], f"nested deeper than {MAX_DEPTH} or holding itself")
        kind = type(x)
        if x is None:
            self.put(b"N")
        elif kind is bool:
            self.put(b"\x88" if x else b"\x89")
        elif kind is int:
            self.put(_integer(x))
        elif kind is float:
            self.put(b"G" + struct.pack(">d", x))
        elif kind is str:
            self.put(_text(x, where))
        elif kind in (dict, OrderedDict):
            self.add_dict(x, where)
        elif kind is list:
            self.put(b"]", b"(")
            self.add_items(x, where)
            self.put(b"e")
        elif kind is tuple:
            self.put(b"(")
            self.add_items(x, where)
            self.put(b"t")
        elif _is_array(x):
            self.add_array(x, where)
        else:
            raise _unsupported(where, f"a {kind.__module__}.{kind.__qualname__}")

    def add_items(self, items: list | tuple, where: tuple) -> None:
        for index, item in enumerate(items):
            self.add(item, (*where, index))

    def add_dict(self, items: dict, where: tuple) -> None:
        self.put(*([b"}"] if type(items) is dict else _ORDERED_DICT), b"(")
        for key, value in items.items():
            if not is_key(key):
                raise _unsupported(where, f"a dict key of type {type(key).__qualname__}")
            self.add(key, (*where, "a key"))
            self.add(value, (*where, key))
        self.put(b"u")

    def add_array(self, array: np.ndarray, where: tuple) -> None:
        """Emits torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, {})."""
        dtype = getattr(array.dtype, "name", str(array.dtype))
        storage = _STORAGES.get(dtype)
        if storage is None:
            raise _unsupported(where, f"an array of {dtype}")
        key = self.keys.setdefault(id(array), len(self.arrays))
        if key == len(self.arrays):
            self.arrays.append(array)
        shape = tuple(int(n) for n in array.shape)
        # PyTorch's strides count elements, and an empty dimension counts as one in them.
        strides = tuple(math.prod(max(n, 1) for n in shape[i + 1 :]) for i in range(len(shape)))
        self.put(b"ctorch._utils\n_rebuild_tensor_v2\n", b"(", b"(")
        self.put(_text("storage", where), b"ctorch\n" + storage.encode() + b"\n")
        self.put(_text(str(key), where), _text("cpu", where), _integer(math.prod(shape)))
        self.put(b"t", b"Q", _integer(0))
        self.add(shape, where)
        self.add(strides, where)
        self.put(b"\x89", *_ORDERED_DICT, b"t", b"R")


_ORDERED_DICT = (b"ccollections\nOrderedDict\n", b")", b"R")


def _is_array(x: object) -> bool:
    """NumPy and JAX arrays, but not NumPy's scalars, which look alike."""
    return isinstance(x, np.ndarray) or (
        all(hasattr(x, name) for name in ("__array__", "dtype", "shape"))
        and not isinstance(x, np.generic)
    )


def _integer(number: int) -> bytes:
    if 0 <= number < 1 << 8:
        return b"K" + struct.pack("<B", number)
    if 0 <= number < 1 << 16:
        return b"M" + struct.pack("<H", number)
    if -(1 << 31) <= number < 1 << 31:
        return b"J" + struct.pack("<i", number)
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1  # with a bit for the sign
    head = b"\x8a" + struct.pack("<B", size) if size < 256 else b"\x8b" + struct.pack("<i", size)
    return head + number.to_bytes(size, "little", signed=True)


def _text(text: str, where: tuple) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as cause:
        raise _unsupported(where, "text that is not valid Unicode") from cause
    return b"X" + struct.pack("<I", len(data)) + data


def _unsupported(where: tuple, what: str) -> NitrogenError:
    place = "/".join(str(part) for part in where) or "the top"
    return NitrogenError(
        f"cannot write {place} into a PyTorch checkpoint: it is {what}; dict, OrderedDict, list, "
        "tuple, str, int, float, bool, None and arrays of "
        f"{', '.join(_STORAGES)} are supported"
    )
