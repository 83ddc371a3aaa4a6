"""Replica groups in every way of writing, and the mesh axes that they follow."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.plan import groups


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{0,1},{2,3}}", ((0, 1), (2, 3))),
        ("{{0,2,4,6},{1,3,5,7}}", ((0, 2, 4, 6), (1, 3, 5, 7))),
        ("{}", (tuple(range(8)),)),
        ("{{}}", (tuple(range(8)),)),
        ("[1,8]<=[8]", (tuple(range(8)),)),
        ("[2,4]<=[8]", ((0, 1, 2, 3), (4, 5, 6, 7))),
        ("[4,2]<=[2,4]T(1,0)", ((0, 4), (1, 5), (2, 6), (3, 7))),
        ("mesh['data'=2,'fsdp'=4] {'fsdp'}", ((0, 1, 2, 3), (4, 5, 6, 7))),
        ("mesh['data'=2,'fsdp'=4] {'data'}", ((0, 4), (1, 5), (2, 6), (3, 7))),
        ("mesh['a'=2,'b'=4] {'a','b'}", (tuple(range(8)),)),
        ("mesh['a'=1,'b'=8] {'a'}", tuple((at,) for at in range(8))),
        ("mesh['a'=2,'b'=4] {'b':(2)2}", ((0, 1), (2, 3), (4, 5), (6, 7))),
        ("mesh['a'=2,'b'=4] {'b':(1)2}", ((0, 2), (1, 3), (4, 6), (5, 7))),
        (
            "mesh['axis_0'=4,'axis_1'=1,'axis_2'=2], device_ids=([2,4]T(1,0)) {'axis_0'}",
            ((0, 1, 2, 3), (4, 5, 6, 7)),
        ),
        ("mesh['x'=2,'y'=2], device_ids=(0,2,1,3) {'x'}", ((0, 1), (2, 3))),
    ],
)
def test_groups_are_read(text, expected):
    assert {frozenset(row) for row in groups.read(text, 8)} == {frozenset(row) for row in expected}


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(shapes, st.data())
def test_all_ways_of_writing_agree(shape, data):
    """The same groups as a list, as an iota and as axes of a mesh."""
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True, min_size=1))
    axes = sorted(axes)
    others = [axis for axis in range(len(shape)) if axis not in axes]
    size = math.prod(shape[axis] for axis in axes)
    rows = np.arange(math.prod(shape)).reshape(shape).transpose(*others, *axes).reshape(-1, size)
    listed = "{" + ",".join("{" + ",".join(map(str, row)) + "}" for row in rows.tolist()) + "}"
    dims, order = ",".join(map(str, shape)), ",".join(map(str, (*others, *axes)))
    iota = f"[{rows.shape[0]},{size}]<=[{dims}]T({order})"
    names = ",".join(f"'n{axis}'={length}" for axis, length in enumerate(shape))
    chosen = ",".join(f"'n{axis}'" for axis in axes)
    expected = {frozenset(row) for row in rows.tolist()}
    for text in (listed, iota, f"mesh[{names}] {{{chosen}}}"):
        assert {frozenset(row) for row in groups.read(text, rows.size)} == expected


@given(st.permutations(range(8)))
def test_a_mesh_in_any_order_of_devices(order):
    text = f"mesh['a'=2,'b'=4], device_ids=({','.join(map(str, order))}) {{'b'}}"
    assert groups.read(text, 8) == (tuple(order[:4]), tuple(order[4:]))


@given(shapes, st.data())
def test_axes_are_found_again(shape, data):
    mesh = {f"n{axis}": size for axis, size in enumerate(shape)}
    real = [name for name, size in mesh.items() if size > 1]
    chosen = data.draw(st.lists(st.sampled_from(real), unique=True)) if real else []
    names = ",".join(f"'{name}'={size}" for name, size in mesh.items())
    picked = ",".join(f"'{name}'" for name in chosen) or "'n0':(1)1"
    found = groups.read(f"mesh[{names}] {{{picked}}}", math.prod(shape))
    assert groups.axes_of(found, mesh) == "+".join(name for name in mesh if name in chosen)


def test_groups_along_no_axis():
    assert groups.axes_of(((0, 3), (1, 2)), {"data": 2, "fsdp": 2}) is None


def test_pairs_along_an_axis():
    mesh = {"data": 2, "fsdp": 4}
    ring = [
        (row * 4 + at, row * 4 + (at + 1) % 4) for row, at in itertools.product(range(2), range(4))
    ]
    assert groups.axes_of_pairs(ring, mesh) == "fsdp"
    assert groups.axes_of_pairs([(0, 4), (4, 0)], mesh) == "data"
    assert groups.axes_of_pairs([(0, 5)], mesh) == "data+fsdp"
    assert groups.axes_of_pairs([(0, 9)], mesh) is None
    text = "{{0,1},{1,0}}"
    assert groups.pairs(text) == ((0, 1), (1, 0))
