"""Messages: what goes in comes out, and nothing else gets through."""

from __future__ import annotations

import cv2
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import wire

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, max_side=5)
ARRAYS = arrays.arrays(np.uint8, SHAPES) | arrays.arrays(
    np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False)
)


@given(
    st.dictionaries(st.text(), PLAIN, max_size=5),
    st.lists(st.tuples(st.text(), ARRAYS | st.binary()), max_size=4),
)
def test_a_message_survives_the_wire(header, given_arrays):
    header = {key: value for key, value in header.items() if key not in ("v", "arrays")}
    parts = [bytes(part) for part in wire.encode(header, given_arrays)]
    found, back = wire.decode(parts)
    assert found == {"v": wire.VERSION, **header}
    assert [name for name, _ in back] == [name for name, _ in given_arrays]
    for (_, one), (_, other) in zip(back, given_arrays, strict=True):
        np.testing.assert_array_equal(one, other)
        assert type(one) is type(other)


def decoded(parts):
    """The message, or the sentence that refuses it."""
    try:
        return wire.decode(parts)
    except NitrogenError as error:
        return str(error)


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_are_a_message_or_one_sentence(parts):
    found = decoded(parts)
    assert "\n" not in found if isinstance(found, str) else isinstance(found[0], dict)


@given(PLAIN, st.lists(st.binary(max_size=12), max_size=2))
def test_any_announcement_is_an_array_or_one_sentence(announced, buffers):
    parts = [msgpack.packb({"v": wire.VERSION, "arrays": announced}), *buffers]
    found = decoded(parts)
    assert "\n" not in found if isinstance(found, str) else len(found[1]) == len(buffers)


@pytest.mark.parametrize(
    ("announced", "words"),
    [
        (["x", "uint8", [2, 3]], "has 4 bytes"),
        (["x", "object", [4]], "announced by other than"),
        (["x", "uint8", [-4]], "announced by other than"),
        (["x", "uint8", [0, 2**63]], "is empty"),
        (["x", "uint8", [2**40, 2**40]], "has 4 bytes"),
        (None, "announced by other than"),
    ],
)
def test_arrays_are_as_large_as_announced(announced, words):
    with pytest.raises(NitrogenError, match=words):
        wire.decode([msgpack.packb({"v": wire.VERSION, "arrays": [announced]}), b"abcd"])


def test_what_is_nested_or_long_without_end_is_refused():
    deep = b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(NitrogenError, match="not msgpack"):
        wire.decode([deep])
    with pytest.raises(NitrogenError, match="are allowed"):
        wire.decode([bytes(10**6)])
    nested = [[]]
    for _ in range(400):
        nested = [nested]
    with pytest.raises(NitrogenError, match="is a list, where"):
        wire.field({"seed": nested}, "seed", int)


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_size_of_a_jpeg_is_read_without_decoding(height, width):
    data = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes()
    assert wire.jpeg_size(data) == (height, width)


@given(st.binary(max_size=40))
def test_what_is_no_jpeg_is_one_sentence(data):
    with pytest.raises(NitrogenError, match="is none"):
        wire.jpeg_size(b"\xff\xd8" + data.replace(b"\xff", b""))
