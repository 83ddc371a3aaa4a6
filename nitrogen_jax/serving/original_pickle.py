"""Pickles of the original's client, read without running anything in them.

Only the few instructions that plain data, pictures and arrays need are let through, and the names
that they may call lead to stand-ins of this file, not to PIL or NumPy: a picture is a size, a mode
and bytes here until it has been checked.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError

MOST_BYTES = 64 * 1024**2
_MOST_STEPS = 2000  # instructions of a pickle, and the most objects that it remembers
_PROTOCOLS = range(2, 6)

_ALLOWED = frozenset(
    [
        *("PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT"),
        *("BINGET", "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT"),
        *("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE"),
        *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND"),
        *("APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"),
    ]
)
_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


class Malicious(NitrogenError):
    """A pickle that asks for more than a picture can need."""


class _Sealed:
    """A stand-in that a pickle can neither look into nor change."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise Malicious("the pickle gives a state to what has none")


class _Call(_Sealed):
    """A function that pickles may call."""

    __slots__ = ("_function",)

    def __init__(self, function: Any):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


class _Image(_Sealed):
    """PIL.Image.Image."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Type(_Sealed):
    """numpy.dtype."""

    __slots__ = ("name",)

    def __init__(self, name: Any = None, *more: Any):
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like: bytes have none."""


class _Array(_Sealed):
    """numpy.ndarray."""

    __slots__ = ("data", "fortran", "kind", "shape")

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.kind, self.fortran, self.data = state


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", data))
    return array


def _latin1(text: Any, encoding: Any) -> bytes:
    """How protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Malicious("the pickle encodes what is not bytes")
    return text.encode("latin-1")


_NAMES: dict[tuple[str, str], Any] = {
    ("PIL.Image", "Image"): _Image,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Call(_latin1),
}
for _core in ("numpy.core", "numpy._core"):
    _NAMES[f"{_core}.multiarray", "_reconstruct"] = _Call(lambda *ignored: _Array())
    _NAMES[f"{_core}.numeric", "_frombuffer"] = _Call(_from_buffer)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise Malicious(f"the pickle names {f'{module}.{name}'!r:.80}, which is not allowed")
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise Malicious("the pickle refers to objects outside of it")


def loads(data: bytes) -> Any:
    """The plain data in a pickle, with every picture and array in it as a stand-in.

    Raises a `NitrogenError` of one sentence for anything else; nothing of the pickle is run.
    """
    if len(data) > MOST_BYTES:
        raise NitrogenError(f"the message has {len(data)} bytes, where {MOST_BYTES} are allowed")
    try:
        # NOTE: looked through first, so that no instruction can make the reader itself allocate
        # what it likes, as a memo with an enormous index would.
        _look_through(data)
        return _Reader(io.BytesIO(data)).load()
    except NitrogenError:
        raise
    except Exception:  # a damaged pickle raises nearly anything
        raise NitrogenError("the message is not a pickle of the original's client") from None


def to_picture(value: Any) -> np.ndarray:
    """The picture (H, W) or (H, W, C) uint8 that a stand-in stands for."""
    try:
        if isinstance(value, _Image):
            _, mode, (width, height), _, data = value.state[:5]
            if mode not in _CHANNELS:
                raise NitrogenError(f"the image has mode {mode!r:.20}, where RGB is needed")
            shape = (height, width, _CHANNELS[mode])
            return _shaped(data, shape)
        if isinstance(value, _Array):
            name = value.kind.name
            if name not in ("u1", "|u1", "uint8"):
                raise NitrogenError(f"the image is of type {name!r:.20}, where uint8 is needed")
            if not value.fortran:
                return _shaped(value.data, value.shape)
            return _shaped(value.data, value.shape[::-1]).T
    except NitrogenError:
        raise
    except (AttributeError, TypeError, ValueError):
        raise NitrogenError("the image in the message is damaged") from None
    raise NitrogenError(
        f"the image is of type {type(value).__name__!r}, where a PIL image or an array is needed"
    )


def dumps(reply: Any) -> bytes:
    """A reply that clients with any NumPy can read."""
    # NOTE: NumPy 1 has no numpy._core, and NumPy 2 still finds this one under its old name. In
    # protocol 3 names are lines of text, which cannot occur in our numbers of -1 to 1.
    return pickle.dumps(reply, protocol=3).replace(
        b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    )


def _shaped(data: Any, shape: Any) -> np.ndarray:
    if not isinstance(data, bytes | bytearray) or not 2 <= len(shape) <= 3:
        raise TypeError
    if not all(isinstance(size, int) and 0 < size < 2**15 for size in shape):
        raise ValueError
    return np.frombuffer(data, np.uint8).reshape(shape)


def _look_through(data: bytes) -> None:
    for number, (code, argument, _) in enumerate(pickletools.genops(data)):
        if number == 0 and (code.name != "PROTO" or argument not in _PROTOCOLS):
            raise NitrogenError("the message is not a pickle of protocol 2 to 5")
        if code.name not in _ALLOWED:
            raise Malicious(f"the pickle uses {code.name}, which pictures do not need")
        if number > _MOST_STEPS or (code.name.endswith("PUT") and argument > _MOST_STEPS):
            raise Malicious("the pickle is longer than that of a picture")
