"""One engine that turns a table of rules into a two-way mapping between tensor names.

A table is an ordered list of rules (our path as a regex, the foreign name as a template, a
layout). The first rule that matches a path decides. Everything that does not fit is collected
and raised as one error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError

Flat = dict[str, Any]  # "a/b/c" -> array or shape


@dataclass(frozen=True)
class Layout:
    """How a foreign tensor lies: permutations of axes to ours and back."""

    to_ours: tuple[int, ...] | None
    to_foreign: tuple[int, ...] | None


COPY = Layout(None, None)
DENSE = Layout((1, 0), (1, 0))  # (out, in) <-> (in, out)
CONV = Layout((2, 3, 1, 0), (3, 2, 0, 1))  # (out, in, h, w) <-> (h, w, in, out)


@dataclass(frozen=True)
class Rule:
    """Paths matching `ours` (the whole path) are called `foreign` (a re.Match.expand template)."""

    ours: str
    foreign: str
    layout: Layout = COPY


def dense(ours: str, foreign: str) -> list[Rule]:
    """Both tensors of a dense layer."""
    return [
        Rule(f"{ours}/kernel", rf"{foreign}.weight", DENSE),
        Rule(f"{ours}/bias", rf"{foreign}.bias"),
    ]


def norm(ours: str, foreign: str) -> list[Rule]:
    """Both tensors of an affine layer norm."""
    return [
        Rule(f"{ours}/scale", rf"{foreign}.weight"),
        Rule(f"{ours}/bias", rf"{foreign}.bias"),
    ]


def nested(rules: Sequence[Rule], ours: str, foreign: str) -> list[Rule]:
    """The same table under a prefix on either side."""
    return [Rule(ours + rule.ours, foreign + rule.foreign, rule.layout) for rule in rules]


@dataclass(frozen=True)
class Placed:
    """One leaf: its foreign name and how it lies there."""

    path: str
    foreign: str
    layout: Layout


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Flat:
    """Nested dict -> {"a/b": leaf}, keys in natural order (blocks_2 before blocks_10)."""
    flat: Flat = {}
    for key in sorted(tree, key=_natural):
        value = tree[key]
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}/"))
        else:
            flat[prefix + key] = value
    return flat


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"a/b": leaf} -> nested dict."""
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        node = tree
        *parents, last = path.split("/")
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = leaf
    return tree


def place(paths: Sequence[str], rules: Sequence[Rule]) -> list[Placed]:
    """The foreign name of every path; a path without a rule is a mistake in the table."""
    compiled = [(re.compile(rule.ours), rule) for rule in rules]
    placed = []
    for path in paths:
        for pattern, rule in compiled:
            if match := pattern.fullmatch(path):
                placed.append(Placed(path, match.expand(rule.foreign), rule.layout))
                break
        else:
            raise LookupError(f"no rule of the table names the parameter {path}")
    return placed


def to_ours(
    tensors: Mapping[str, np.ndarray],
    shapes: Mapping[str, Any],
    rules: Sequence[Rule],
    source: str,
    hint: str = "",
    progress: Callable[[int], None] = lambda amount: None,
) -> dict[str, Any]:
    """Foreign tensors -> our nested float32 parameters, after checking all of them.

    Args:
        tensors: foreign name -> array (a view on a file will do).
        shapes: our parameters as a nested dict of things with a `.shape`.
        source: what the error calls the checkpoint.
        hint: a sentence added to the error.
        progress: called with the number of bytes of every converted tensor.
    """
    wanted = flatten(shapes)
    placed = place(list(wanted), rules)
    report(compare(tensors, wanted, placed), source, hint)
    flat = {}
    for leaf in placed:
        array = np.asarray(tensors[leaf.foreign])
        # NOTE: contiguous and owned, so that the source file can be closed or replaced.
        flat[leaf.path] = _permuted(array, leaf.layout.to_ours, np.float32)
        progress(array.nbytes)
    return unflatten(flat)


def to_foreign(params: Mapping[str, Any], rules: Sequence[Rule]) -> dict[str, np.ndarray]:
    """Our nested parameters -> {foreign name: float32 array}."""
    flat = flatten(params)
    return {
        leaf.foreign: _permuted(np.asarray(flat[leaf.path]), leaf.layout.to_foreign, np.float32)
        for leaf in place(list(flat), rules)
    }


def compare(
    tensors: Mapping[str, Any], wanted: Mapping[str, Any], placed: Sequence[Placed]
) -> list[str]:
    """Every tensor that does not fit, a line each: missing, extra, mis-shaped, mis-typed."""
    lines = []
    names = {leaf.foreign for leaf in placed}
    for leaf in placed:
        shape = foreign_shape(wanted[leaf.path].shape, leaf.layout)
        if leaf.foreign not in tensors:
            lines.append(f"missing: {leaf.foreign} {shape}")
            continue
        found = tensors[leaf.foreign]
        if tuple(found.shape) != shape:
            lines.append(f"mis-shaped: {leaf.foreign} is {tuple(found.shape)}, needed {shape}")
        if not is_float(found.dtype):
            lines.append(f"mis-typed: {leaf.foreign} is {found.dtype}, needed a float type")
    for name in tensors:
        if name not in names:
            # NOTE: this name is the file's own; what could steer a terminal is escaped.
            shown = name if name.isprintable() else ascii(name)
            lines.append(f"extra: {shown} {tuple(tensors[name].shape)}")
    return lines


def report(lines: Sequence[str], source: str, hint: str = "") -> None:
    """Raises one error that lists every line; does nothing where there is none."""
    if lines:
        listing = "\n  ".join(lines)
        more = f"\n{hint}" if hint else ""
        raise NitrogenError(
            f"{source}: {len(lines)} tensor(s) do not fit the configuration:\n  {listing}{more}"
        )


def foreign_shape(shape: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """The shape that a leaf of ours has on the other side."""
    axes = layout.to_foreign or range(len(shape))
    return tuple(shape[axis] for axis in axes)


def is_float(dtype: Any) -> bool:
    """Whether a dtype, or the name of one, is a float that a float32 can stand for."""
    return getattr(dtype, "name", dtype) in ("float64", "float32", "float16", "bfloat16")


def _permuted(array: np.ndarray, axes: tuple[int, ...] | None, dtype: Any) -> np.ndarray:
    return np.array(array if axes is None else array.transpose(axes), dtype=dtype, order="C")


def _natural(key: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", key)]
