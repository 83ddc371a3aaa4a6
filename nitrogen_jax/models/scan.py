"""Blocks of a kind as one program that is looped over.

The parameters of every block stay leaves of their own (paths are an API: freezing, sharding and
weight tables name them); they are stacked where they are used, which a device does locally.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.models.configs import Compute

Call = Callable[[nn.Module, Array, Any], Array]


def over_blocks(
    compute: Compute,
    blocks: Sequence[nn.Module],
    params: Sequence[Mapping[str, Any]],
    x: Array,
    per_block: Sequence[Any],
    call: Call,
    key: Array | None = None,
) -> Array:
    """x through G groups of equal shape, each of which is len(blocks) different blocks.

    Args:
        blocks: one group, unbound.
        params: of all G * len(blocks) blocks, in order.
        x: what goes from block to block.
        per_block: what else each of them is given; equal shapes at equal places of the groups.
        call: (block, x, its own of `per_block`) -> x, on a bound block.
        key: of dropout; None: there is none.
    """
    size, count = len(blocks), len(params) // len(blocks)
    stacked = [_stack(params[at::size], compute.dtype) for at in range(size)]
    given = [_stack(per_block[at::size]) for at in range(size)]
    keys = None if key is None else jax.random.split(key, (count, size))

    def group(x: Array, inputs: Any) -> tuple[Array, None]:
        own, extras, own_keys = inputs
        for at, block in enumerate(blocks):
            rngs = None if own_keys is None else {"dropout": own_keys[at]}
            bound = block.bind({"params": own[at]}, rngs=rngs)
            x = call(bound, x, extras[at])
        return x, None

    # NOTE: in a loop the compiler has no chance to undo the recomputation.
    step = jax.checkpoint(group, prevent_cse=False) if compute.remat else group
    return jax.lax.scan(step, x, (stacked, given, keys))[0]


def _stack(trees: Sequence[Any], dtype: str | None = None) -> Any:
    """Trees of one shape -> one with a leading axis; matrices in `dtype`, if there is one.

    NOTE: devices that share parameters then gather matrices in the type that they multiply in.
    """

    def stack(*leaves: Array) -> Array:
        matrix = dtype is not None and leaves[0].ndim > 1
        return jnp.stack([leaf.astype(dtype) if matrix else leaf for leaf in leaves])

    return jax.tree.map(stack, *trees)
