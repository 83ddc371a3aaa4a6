"""Ordered (path regex, value) lists: the first rule that matches a parameter's path decides.

One mechanism for freezing now, and for sharding, weight decay and learning-rate multipliers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Rules = Sequence[tuple[str, Any]]

# What the original trains: everything but the tower's twelfth layer and its pooling head.
ORIGINAL_TRAINABLE: Rules = (
    (r"vision/layers_11/.*", False),
    (r"vision/head/.*", False),
    (".*", True),
)
# The tower frozen whole.
VISION_FROZEN: Rules = ((r"vision/.*", False), (".*", True))


def decide(path: str, rules: Rules) -> Any:
    """The value of the first rule that matches the whole path; LookupError if none does."""
    for pattern, value in rules:
        if re.fullmatch(pattern, path):
            return value
    raise LookupError(f"no rule matches the parameter {path}: end the list with ('.*', ...)")


def is_trainable(path: str, rules: Rules = ORIGINAL_TRAINABLE) -> bool:
    """Whether the parameter at `path` ("vision/layers_0/attn/q/kernel") is trained."""
    return bool(decide(path, rules))


def count(shapes: Mapping[str, Any], rules: Rules) -> int:
    """How many parameters of a flat {path: thing with .size} the rules train."""
    return sum(leaf.size for path, leaf in shapes.items() if is_trainable(path, rules))
