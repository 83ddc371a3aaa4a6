"""Any pytree as nested dicts by name: how it lies in a checkpoint, and how two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from nitrogen_jax.weights.rules import flatten

Items = Mapping[str, Any]  # name -> pytree


def nested(tree: Any) -> dict[str, Any]:
    """A pytree -> nested dicts with the same leaves.

    Fields of named tuples and dataclasses go by their names, places in tuples by their numbers.
    """
    root: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not path:
            raise TypeError("an item of a checkpoint is a tree, and not an array alone")
        node = root
        *parents, last = [jax.tree_util.keystr((key,), simple=True) for key in path]
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = leaf
    return root


def like(tree: Any, found: Mapping[str, Any]) -> Any:
    """The inverse of `nested`: the leaves of `found` in the structure of `tree`."""
    leaves = []
    for path, _ in jax.tree_util.tree_leaves_with_path(tree):
        node: Any = found
        for key in path:
            node = node[jax.tree_util.keystr((key,), simple=True)]
        leaves.append(node)
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


def differences(item: str, found: Mapping[str, Any] | None, wanted: Any) -> list[str]:
    """Every leaf that is missing, extra, mis-shaped or mis-typed, a line each, by path.

    Args:
        item: what the paths begin with.
        found: nested dicts of things with a shape and a dtype; None: there is no such item.
        wanted: a pytree of such things.
    """
    have = flatten(found or {})
    want = flatten(nested(wanted))
    lines = []
    for path, leaf in want.items():
        name = f"{item}/{path}"
        if path not in have:
            lines.append(f"missing: {name} {_described(leaf)}")
            continue
        shape, dtype = _shape(have[path]), _dtype(have[path])
        if shape != _shape(leaf):
            lines.append(f"mis-shaped: {name} is {shape}, needed {_shape(leaf)}")
        if dtype != _dtype(leaf):
            lines.append(f"mis-typed: {name} is {dtype}, needed {_dtype(leaf)}")
    # NOTE: these names are the file's own; what could steer a terminal is escaped.
    for path in have:
        if path not in want:
            shown = path if path.isprintable() else ascii(path)
            lines.append(f"extra: {item}/{shown} {_described(have[path])}")
    return lines


def size(items: Items) -> int:
    """Bytes of all arrays, each counted once however many devices hold it."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(dict(items)))


def _shape(leaf: Any) -> tuple[int, ...] | None:
    shape = getattr(leaf, "shape", None)
    return None if shape is None else tuple(shape)


def _dtype(leaf: Any) -> str:
    dtype = getattr(leaf, "dtype", None)
    return "no array" if dtype is None else np.dtype(dtype).name


def _described(leaf: Any) -> str:
    return f"{_shape(leaf)} {_dtype(leaf)}"
