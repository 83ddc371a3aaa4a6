"""Reads PyTorch zip checkpoints (`torch.save`, PyTorch 1.6 and later) without PyTorch.

A checkpoint is a zip archive (`torch_zip`): `<root>/data.pkl` is a pickle (`torch_pickle`) that
names the tensors, and `<root>/data/<key>` holds their bytes. This file joins the two. It says what
the names in the pickle mean: types of elements, and the five functions of `_CALLS`, none of which
imports, evaluates or looks up anything.
"""

from __future__ import annotations

import functools
import math
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.weights.torch_pickle import MAX_INSTRUCTIONS, Global, Machine, Words, is_key
from nitrogen_jax.weights.torch_zip import (
    FITS,
    MAX_PICKLE,
    Archive,
    Problem,
    damaged,
    refused,
    shown,
)

# What a writer must keep to can be had from here, wherever it is applied.
__all__ = ["MAX_DEPTH", "MAX_INSTRUCTIONS", "MAX_PICKLE", "MAX_VALUES", "is_key", "read_torch"]

# As in `torch_zip`: real checkpoints stay far below, hostile ones are stopped early.
MAX_VALUES = 4_000_000  # values in the answer, a value met twice counted twice
MAX_DEPTH = 200  # containers inside containers
_MAX_BROADCAST = 1 << 20  # elements of a tensor that repeats the elements of a smaller storage

# Storage class in the pickle -> element type (NumPy's name; bfloat16 comes from ml_dtypes).
_STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
    "torch.storage.UntypedStorage": "u1",
}
_DTYPE_NAMES = (
    "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128"
)
_DTYPES = {f"torch.{name}": name for name in _DTYPE_NAMES.split()}


def read_torch(path: str | os.PathLike[str]) -> object:
    """Returns what `torch.save` was given, with NumPy arrays for tensors and nothing executed.

    Dicts, OrderedDicts, lists, tuples, str, int, float, bool and None keep their type; parameters
    are plain arrays; dtypes become their name ("float32"). Arrays are read-only views of the
    mapped file (no copy, however large), which they keep open as long as they live; entries that
    were compressed are inflated into memory. Raises `NitrogenError` for everything else.
    """
    try:
        return _read(path)
    except Problem as problem:
        raise NitrogenError(f"{path} {problem}") from problem
    except OSError as cause:
        raise NitrogenError(f"{path} cannot be read: {cause.strerror or cause}; {FITS}") from cause
    except Exception as cause:  # every fault of an untrusted file must end as one sentence
        kind = type(cause).__name__
        raise NitrogenError(f"{path} {damaged(f'reading it met {kind}')}") from cause


def _read(path: str | os.PathLike[str]) -> object:
    archive = Archive(path)
    words = Words(_DTYPES, _STORAGES, _CALLS, functools.partial(_storage, archive))
    top = Machine(archive.bytes("data.pkl"), words).run()
    _check_tree(top)
    return top


def _storage(archive: Archive, identity: object) -> _Storage:
    """The storage that a pickle's persistent id ("storage", class, key, device, n) means."""
    match identity:
        case ("storage", Global(name), str(key), str(), int(count)) if name in _STORAGES:
            dtype = _dtype(_STORAGES[name])
        case _:
            raise refused("refers to something that is not the storage of a tensor")
    data = archive.buffer(f"data/{key}")
    if not 0 <= count * dtype.itemsize <= data.size:
        raise damaged(f"data/{shown(key)} is smaller than the pickle says")
    return _Storage(data[: count * dtype.itemsize], dtype)


@dataclass(frozen=True, slots=True)
class _Storage:
    data: np.ndarray  # uint8 (bytes,), read-only
    dtype: np.dtype


def _dtype(name: str) -> np.dtype:
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes  # comes with JAX; only bfloat16 checkpoints need it
    except ImportError as cause:
        raise Problem("holds bfloat16 tensors: reading them needs `pip install ml_dtypes`") from (
            cause
        )
    return np.dtype(ml_dtypes.bfloat16)


def _tensor(
    storage: object,
    offset: object,
    shape: object,
    strides: object,
    requires_grad: object = False,
    hooks: object = None,
    metadata: object = None,
) -> np.ndarray:
    """A view of `storage`; offset and strides count elements, as in PyTorch."""
    shape, strides = _sizes(shape), _sizes(strides)
    (offset,) = _sizes((offset,))
    if type(storage) is not _Storage or len(shape) != len(strides) or len(shape) > 32:
        raise damaged("the pickle describes a tensor that cannot be")
    if metadata:
        raise refused("holds a tensor with extra marks (conjugated, negated or alike)")
    item = storage.dtype.itemsize
    if 0 in shape:
        empty = np.zeros(shape, storage.dtype)
        empty.flags.writeable = False
        return empty
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    held = storage.data.size // item
    if last >= held:
        raise damaged("a tensor reaches beyond the end of its storage")
    if math.prod(shape) > max(held, _MAX_BROADCAST):
        raise refused("holds a tensor that repeats few stored elements very many times")
    return np.ndarray(
        shape,
        storage.dtype,
        buffer=storage.data,
        offset=offset * item,
        strides=[stride * item for stride in strides],
    )


def _sizes(numbers: object) -> tuple[int, ...]:
    if type(numbers) is not tuple or not all(type(n) is int and n >= 0 for n in numbers):
        raise damaged("the pickle has a size, stride or offset that is no whole number >= 0")
    return numbers


def _parameter(data: object, requires_grad: object = True, hooks: object = None) -> np.ndarray:
    if type(data) is not np.ndarray:
        raise damaged("the pickle has a parameter that is no tensor")
    return data


_CALLS: dict[str, Callable[..., object]] = {
    "collections.OrderedDict": lambda: OrderedDict(),
    "torch.Size": _sizes,
    "torch._utils._rebuild_tensor": lambda *args: _tensor(*args[:4]),
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}


def _check_tree(top: object) -> None:
    """Refuses an answer that would trap whoever walks it: loops, depth, shared parts that multiply,
    and stand-ins of the reader (a class or a storage as a value)."""
    todo, count = [(top, 0)], 1
    while todo:
        node, depth = todo.pop()
        if type(node) in (dict, OrderedDict):
            children = node.values()
        elif type(node) in (list, tuple):
            children = node
        elif type(node) in (str, int, float, bool, type(None), np.ndarray):
            continue
        else:
            raise refused("holds a class or the bare storage of a tensor as a value")
        count += len(children)
        if depth >= MAX_DEPTH or count > MAX_VALUES:
            raise refused("is nested too deeply, holds itself, or has too many values")
        todo.extend((child, depth + 1) for child in children)
