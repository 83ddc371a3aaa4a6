"""How parameters lie on a mesh: nothing here needs its devices."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import sharding
from nitrogen_jax.training.trees import flatten

MESH = AbstractMesh((2, 4), ("data", "fsdp"))
FSDP = sharding.DEFAULT


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1024, 4096), (None, "fsdp")),  # the longest axis
        ((4096, 1024), ("fsdp", None)),
        ((1024, 1024), (None, "fsdp")),  # of equal ones the last
        ((64, 64), (None, "fsdp")),  # 4096 elements are enough
        ((64, 63), ()),  # and 4032 are not
        ((8, 12, 3, 4098), (None, "fsdp", None, None)),
        ((4097, 3), ()),  # nothing to divide
        ((4096,), ("fsdp",)),
        ((), ()),
    ],
)
def test_large_arrays_are_divided_along_their_longest_axis_that_can_be(shape, wanted):
    assert sharding.spec_of(MESH, "a/kernel", shape, FSDP) == PartitionSpec(*wanted)


@given(shape=st.lists(st.integers(1, 300), max_size=4).map(tuple))
def test_a_device_holds_a_quarter_or_all(shape):
    spec = sharding.spec_of(MESH, "x", shape, FSDP)
    held = math.prod(NamedSharding(MESH, spec).shard_shape(shape))
    divisible = any(size % 4 == 0 for size in shape)
    large = math.prod(shape) >= sharding.SMALL
    assert held == math.prod(shape) // (4 if divisible and large else 1)


def test_the_first_rule_that_matches_decides():
    rules = (
        ("embedding", "replicated"),
        (".*/table", ("fsdp",)),
        (".*/pair", (("data", "fsdp"), None)),
        (".*", "fsdp"),
    )
    shapes = {
        "embedding": jax.ShapeDtypeStruct((4096, 4), jnp.float32),
        "a": {
            "table": jax.ShapeDtypeStruct((8, 3), jnp.float32),
            "pair": jax.ShapeDtypeStruct((16, 3), jnp.float32),
            "kernel": jax.ShapeDtypeStruct((64, 128), jnp.float32),
        },
    }
    found = flatten(sharding.shardings(MESH, shapes, rules))
    assert {path: one.spec for path, one in found.items()} == {
        "embedding": PartitionSpec(),
        "a/table": PartitionSpec("fsdp"),
        "a/pair": PartitionSpec(("data", "fsdp"), None),
        "a/kernel": PartitionSpec(None, "fsdp"),
    }


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ((None, None, "fsdp"), "more axes than a/kernel"),
        (("fsdp",), "does not divide a/kernel of shape .6, 64."),
        ((("data", "fsdp"),), "does not divide a/kernel"),
        (("tensor",), "does not divide a/kernel"),  # an axis that the mesh has not
        ("Fsdp", "'Fsdp' for a/kernel is not"),
    ],
)
def test_rules_that_do_not_fit_are_refused_by_path(rule, said):
    with pytest.raises(NitrogenError, match=said):
        sharding.spec_of(MESH, "a/kernel", (6, 64), ((".*", rule),))


def test_every_parameter_needs_a_rule():
    shapes = {"a": jax.ShapeDtypeStruct((2,), jnp.float32)}
    with pytest.raises(LookupError, match="parameter a"):
        sharding.shardings(MESH, shapes, (("b", "fsdp"),))


def test_bytes_of_one_device():
    def leaf(shape, dtype, *spec):
        where = NamedSharding(MESH, PartitionSpec(*spec))
        return jax.ShapeDtypeStruct(shape, dtype, sharding=where)

    tree = {
        "a": leaf((8, 16), jnp.float32, None, "fsdp"),
        "b": leaf((8,), jnp.bfloat16, ("data", "fsdp")),
        "c": leaf((), jnp.int32),
    }
    assert sharding.bytes_per_device(tree) == 8 * 4 * 4 + 2 + 4
