"""The state before the first step, and what is known of it without any array."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, PartitionSpec

from nitrogen_jax.training import optimizer, state
from nitrogen_jax.training.train_config import Optimizer
from nitrogen_jax.training.trees import flatten

PARAMS = {"a": {"kernel": jnp.ones((64, 128)), "bias": jnp.zeros(128)}, "b": jnp.ones((4, 2))}
FROZEN = {"c": {"kernel": jnp.full((128, 64), 2.0)}}
MESH = AbstractMesh((2, 4), ("data", "fsdp"))
RULES = (("b", ("fsdp",)), (".*", "fsdp"))


def transform():
    return optimizer.make(Optimizer(), 10, PARAMS)


def test_it_begins_with_the_parameters_as_their_own_average():
    found = state.new(PARAMS, FROZEN, transform())
    assert (int(found.step), int(found.skipped)) == (0, 0)
    assert found.step.dtype == found.skipped.dtype == jnp.int32
    jax.tree.map(np.testing.assert_array_equal, found.ema, PARAMS)
    # A step takes its state over: two names for one array would be given away twice.
    for one, other in zip(jax.tree.leaves(found.ema), jax.tree.leaves(PARAMS), strict=True):
        assert one.unsafe_buffer_pointer() != other.unsafe_buffer_pointer()
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(found.opt))


def test_shapes_are_those_of_the_state_itself():
    made = jax.eval_shape(lambda p, f: state.new(p, f, transform()), PARAMS, FROZEN)
    found = state.shapes(MESH, PARAMS, FROZEN, transform(), RULES)
    assert jax.tree.structure(found) == jax.tree.structure(made)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(made), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


def test_what_belongs_to_a_parameter_lies_as_it_does():
    found = state.shapes(MESH, PARAMS, FROZEN, transform(), RULES)
    wanted = {
        "a/bias": PartitionSpec(),
        "a/kernel": PartitionSpec(None, "fsdp"),
        "b": PartitionSpec("fsdp"),
    }

    def specs(tree):
        return {path: leaf.sharding.spec for path, leaf in flatten(tree).items()}

    assert specs(found.params) == specs(found.ema) == wanted
    assert specs(found.frozen) == {"c/kernel": PartitionSpec("fsdp", None)}
    (adam,) = (part for part in found.opt if hasattr(part, "mu"))
    assert specs(adam.mu) == specs(adam.nu) == wanted
    divided = [leaf for leaf in jax.tree.leaves(found.opt) if leaf.sharding.spec]
    assert len(divided) == 4  # the counters are whole on every device
    assert found.step.sharding.spec == found.skipped.sharding.spec == PartitionSpec()
