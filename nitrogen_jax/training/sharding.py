"""How parameters lie on the mesh, by ordered (path regex, rule) lists.

A rule is
  "fsdp"        the longest axis that the mesh axis divides is split over it, the last one of equal
                ones; small arrays and those without such an axis stay whole on every device
  "replicated"  whole on every device
  (None, "fsdp", ...)  axis by axis, as in a PartitionSpec
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training.rules import Rules, decide
from nitrogen_jax.training.trees import map_with_path

DEFAULT: Rules = ((".*", "fsdp"),)
SMALL = 1 << 12  # elements; gathering less than this costs a device more than keeping it


def spec_of(mesh: Mesh, path: str, shape: tuple[int, ...], rules: Rules) -> PartitionSpec:
    """The partition of the parameter at `path`."""
    rule = decide(path, rules)
    if isinstance(rule, tuple):
        _check(mesh, path, shape, rule)
        return PartitionSpec(*rule)
    if rule not in ("fsdp", "replicated"):
        raise NitrogenError(
            f"sharding rule {rule!r} for {path} is not 'fsdp', 'replicated' or a tuple of axes"
        )
    ways = mesh.shape["fsdp"]
    sizes = [(size, axis) for axis, size in enumerate(shape) if size % ways == 0]
    if rule == "replicated" or not sizes or np.prod(shape) < SMALL:
        return PartitionSpec()
    _, longest = max(sizes)
    return PartitionSpec(*(("fsdp" if axis == longest else None) for axis in range(len(shape))))


def shardings(mesh: Mesh, shapes: Mapping[str, Any], rules: Rules = DEFAULT) -> dict[str, Any]:
    """Nested dict of shapes -> the same of NamedShardings; every parameter must match a rule."""
    return map_with_path(
        lambda path, leaf: NamedSharding(mesh, spec_of(mesh, path, leaf.shape, rules)), shapes
    )


def bytes_per_device(tree: Any) -> int:
    """Bytes that one device holds of a tree of arrays or of shapes that have a sharding."""
    return sum(
        int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def _check(mesh: Mesh, path: str, shape: tuple[int, ...], rule: tuple[Any, ...]) -> None:
    if len(rule) > len(shape):
        raise NitrogenError(f"sharding rule {rule} has more axes than {path}, which is {shape}")
    for axis, size in zip(rule, shape, strict=False):
        names = axis if isinstance(axis, tuple) else (axis,) if axis else ()
        ways = int(np.prod([mesh.shape.get(name, 0) for name in names], dtype=int))
        if not ways or size % ways:
            raise NitrogenError(
                f"sharding rule {rule} does not divide {path} of shape {shape} on the mesh "
                f"{dict(mesh.shape)}"
            )
