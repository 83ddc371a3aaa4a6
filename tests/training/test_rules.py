"""Ordered rules: the first match decides, and everything must match."""

from __future__ import annotations

import pytest

from nitrogen_jax.training import rules


def test_the_first_match_decides():
    table = ((r"a/.*", 1), (r"a/b", 2), (r".*", 3))
    assert [rules.decide(path, table) for path in ("a/b", "a", "c/a/b")] == [1, 3, 3]


def test_a_path_without_a_rule_is_an_error():
    with pytest.raises(LookupError, match="no rule matches the parameter x/y"):
        rules.decide("x/y", ((r"a/.*", True),))


@pytest.mark.parametrize(
    ("path", "trained"),
    [
        ("vision/layers_11/mlp/fc1/kernel", False),
        ("vision/layers_1/mlp/fc1/kernel", True),
        ("vision/layers_12/mlp/fc1/kernel", True),
        ("vision/head/probe", False),
        ("dit/blocks_11/mlp/fc1/kernel", True),
    ],
)
def test_what_the_original_trains(path, trained):
    assert rules.is_trainable(path) is trained
    assert rules.is_trainable(path, rules.VISION_FROZEN) is not path.startswith("vision/")
