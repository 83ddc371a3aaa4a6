"""Everything that a step changes, as one tree of arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh

from nitrogen_jax.training import mesh as meshes
from nitrogen_jax.training import sharding
from nitrogen_jax.training.rules import Rules


class TrainState(NamedTuple):
    """The state after `step` batches.

    Attributes:
        step: () int32, batches seen. Updates applied are step - skipped.
        skipped: () int32, batches whose update was not finite and was left out.
        params: float32 parameters that train, a nested dict.
        ema: their moving average, the same tree.
        frozen: all other parameters.
        opt: the optimiser's state, of those that train.
    """

    step: Array
    skipped: Array
    params: Any
    ema: Any
    frozen: Any
    opt: Any


def new(params: Any, frozen: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    zero = jnp.zeros((), jnp.int32)
    copy = jax.tree.map(jnp.copy, params)
    return TrainState(zero, zero, params, copy, frozen, optimizer.init(params))


def shapes(
    mesh: Mesh, params: Any, frozen: Any, optimizer: optax.GradientTransformation, rules: Rules
) -> TrainState:
    """The state as `jax.ShapeDtypeStruct`s that say how each array lies on the mesh.

    What the optimiser keeps of a parameter lies as the parameter does.
    """
    whole = meshes.replicated(mesh)
    found = jax.eval_shape(lambda p, f: new(p, f, optimizer), params, frozen)
    trained = sharding.shardings(mesh, params, rules)

    def placed(tree: Any, where: Any) -> Any:
        return jax.tree.map(
            lambda leaf, to: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=to), tree, where
        )

    of_opt = optax.tree_utils.tree_map_params(
        optimizer, lambda _, to: to, found.opt, trained, transform_non_params=lambda _: whole
    )
    return TrainState(
        step=placed(found.step, whole),
        skipped=placed(found.skipped, whole),
        params=placed(found.params, trained),
        ema=placed(found.ema, trained),
        frozen=placed(found.frozen, sharding.shardings(mesh, frozen, rules)),
        opt=placed(found.opt, of_opt),
    )
