"""Parameters by path: those that train and the rest, apart and together again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nitrogen_jax.training.rules import Rules, decide
from nitrogen_jax.weights.rules import flatten, unflatten

__all__ = ["combine", "flatten", "map_with_path", "partition", "unflatten"]


def partition(params: Mapping[str, Any], rules: Rules) -> tuple[dict[str, Any], dict[str, Any]]:
    """Nested dict -> those that the rules train, and the others; empty branches are left out."""
    trained, rest = {}, {}
    for path, leaf in flatten(params).items():
        (trained if decide(path, rules) else rest)[path] = leaf
    return unflatten(trained), unflatten(rest)


def combine(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dict that was parted; a leaf may be in one of them only."""
    both = dict(one)
    for key, value in other.items():
        both[key] = combine(both[key], value) if key in both else value
    return both


def map_with_path(function, tree: Mapping[str, Any]) -> dict[str, Any]:
    """`function(path, leaf)` of every leaf of a nested dict."""
    return unflatten({path: function(path, leaf) for path, leaf in flatten(tree).items()})
