"""Parameters by path: apart, together again, and by name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.training.trees import combine, flatten, map_with_path, partition, unflatten

names = st.text("ab1", min_size=1, max_size=2)
trees = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))


@given(tree=trees, pattern=st.sampled_from([".*", "a.*", ".*1", "b/.*", "nothing"]))
def test_what_is_parted_is_whole_again(tree, pattern):
    trained, rest = partition(tree, ((pattern, True), (".*", False)))
    assert flatten(combine(trained, rest)) == flatten(tree)
    assert combine(trained, rest) == combine(rest, trained) == unflatten(flatten(tree))
    wanted = {path for path in flatten(tree) if re.fullmatch(pattern, path)}
    assert flatten(trained).keys() == wanted
    assert flatten(rest).keys() == flatten(tree).keys() - wanted


def test_empty_branches_are_left_out():
    tree = {"a": {"x": 1, "y": 2}, "b": {"x": 3}}
    assert partition(tree, ((".*/y", True), (".*", False))) == (
        {"a": {"y": 2}},
        {"a": {"x": 1}, "b": {"x": 3}},
    )
    assert partition(tree, ((".*", True),)) == (tree, {})


def test_a_parameter_that_no_rule_names_is_an_error():
    with pytest.raises(LookupError, match="b/x"):
        partition({"a": {"x": 1}, "b": {"x": 3}}, (("a/.*", True),))


@given(tree=trees)
def test_functions_are_told_the_path(tree):
    found = map_with_path(lambda path, leaf: (path, leaf), tree)
    assert flatten(found) == {path: (path, leaf) for path, leaf in flatten(tree).items()}


def test_blocks_are_counted_and_not_spelled():
    tree = {f"blocks_{i}": {"x": i} for i in (10, 2, 1)}
    assert list(flatten(tree)) == ["blocks_1/x", "blocks_2/x", "blocks_10/x"]
