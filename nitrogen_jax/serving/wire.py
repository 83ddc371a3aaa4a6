"""Messages between client and server: a msgpack map, then the bytes of the arrays it announces.

Every message has `v` (the version of this protocol), `type` and `id` (a client's number, which the
reply repeats). Requests are hello, reset, predict, info, stats and bye; a reply has the type of its
request, or is an `error` with a `code` and one sentence. Nothing here is ever executed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from nitrogen_jax.errors import NitrogenError

VERSION = 1
MOST_BYTES = 64 * 1024**2  # of one part of a message
MOST_PARTS = 130
MOST_PIXELS = 16 * 1024**2  # of one picture
_MOST_HEADER = 256 * 1024
_TYPES = {"uint8": np.uint8, "float32": np.float32}
JPEG = "jpeg"

Parts = Sequence[bytes]
Arrays = list[tuple[str, "np.ndarray | bytes"]]  # name, and an array or the bytes of a JPEG


def encode(header: Mapping[str, Any], arrays: Arrays = ()) -> list[Any]:
    """A message as parts; arrays are not copied where they are contiguous."""
    announced, buffers = [], []
    for name, array in arrays:
        if isinstance(array, bytes):
            announced.append([name, JPEG, []])
            buffers.append(array)
        else:
            announced.append([name, str(array.dtype), list(array.shape)])
            buffers.append(np.ascontiguousarray(array).data)
    return [msgpack.packb({"v": VERSION, **header, "arrays": announced}), *buffers]


def decode(parts: Parts) -> tuple[dict[str, Any], Arrays]:
    """The inverse of `encode`; anything else is refused in one sentence.

    A message of another version is returned without its arrays: only its `v` can be relied on.
    """
    header = _header(parts[0] if parts else b"")
    if header.get("v") != VERSION:
        return header, []
    announced = header.pop("arrays", [])
    if not isinstance(announced, list) or len(announced) != len(parts) - 1:
        raise NitrogenError(
            f"the message has {len(parts) - 1} parts after the first, where it does not announce "
            "as many arrays"
        )
    return header, [_array(one, data) for one, data in zip(announced, parts[1:], strict=True)]


def versions_differ(theirs: Any, who: str, mine: str) -> str:
    """The sentence for a peer of another version."""
    return (
        f"the {who} speaks version {_short(theirs)} of the protocol and this {mine} version "
        f"{VERSION}: install the same nitrogen_jax on both"
    )


def field(header: Mapping[str, Any], name: str, kind: Any, default: Any = None) -> Any:
    """A value of the header, of the right kind; `default` where it is absent or None."""
    value = header.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        named = getattr(kind, "__name__", "number")
        raise NitrogenError(f"{name} is {_short(value)}, where a value of type {named} is needed")
    return value


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(height, width) that a JPEG announces, read without decoding it."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        at += 2 + length
    raise NitrogenError("a frame is announced as JPEG and is none")


def _short(value: Any) -> str:
    # NOTE: what is nested may be nested too deeply to be written out.
    flat = isinstance(value, str | bytes | int | float | None)
    return f"{value!r:.60}" if flat else f"a {type(value).__name__}"


def _header(data: bytes) -> dict[str, Any]:
    if len(data) > _MOST_HEADER:
        raise NitrogenError(
            f"the message's first part has {len(data)} bytes, where {_MOST_HEADER} are allowed"
        )
    try:
        header = msgpack.unpackb(data, strict_map_key=True)
    except Exception:  # msgpack raises a dozen kinds
        raise NitrogenError("the message's first part is not msgpack") from None
    if not isinstance(header, dict):
        raise NitrogenError("the message's first part is not a map")
    return header


def _array(announced: Any, data: bytes) -> tuple[str, np.ndarray | bytes]:
    try:
        name, kind, shape = announced
        sizes = [int(size) for size in shape if isinstance(size, int) and size >= 0]
        right = isinstance(name, str) and kind in (JPEG, *_TYPES) and len(sizes) == len(shape) < 8
    except (TypeError, ValueError):
        right = False
    if not right:
        raise NitrogenError("an array is announced by other than name, type and shape")
    if kind == JPEG:
        return name, bytes(data)
    count = math.prod(sizes)
    if count == 0:
        raise NitrogenError(f"array {name!r:.40} is empty")
    if count * np.dtype(_TYPES[kind]).itemsize != len(data):
        raise NitrogenError(
            f"array {name!r:.40} has {len(data)} bytes, where {kind} {sizes} is announced"
        )
    return name, np.frombuffer(data, _TYPES[kind]).reshape(sizes)
