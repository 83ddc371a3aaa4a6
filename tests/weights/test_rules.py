"""The rules engine: both ways are inverse, every leaf has one name, every fault is listed."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.weights import rules, tables
from nitrogen_jax.weights.rules import CONV, COPY, DENSE, Rule

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


# --- trees and tables of any kind ----------------------------------------------------------------

names = st.from_regex(r"[a-z]{1,4}(_[0-9]{1,2})?", fullmatch=True)
LAYOUTS = {2: (COPY, DENSE), 4: (COPY, CONV)}


@st.composite
def trees(draw):
    """A nested dict of float32 arrays, none of whose paths is the start of another, and a table."""
    arrays = st.integers(0, 4).flatmap(
        lambda rank: st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    )
    leaves = st.dictionaries(names, arrays, min_size=1, max_size=4)
    shapes = draw(st.dictionaries(names, leaves | arrays, min_size=1, max_size=4))
    tree, table = {}, []
    for number, (path, shape) in enumerate(_flat(shapes).items()):
        values = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape) + number
        node = tree
        *parents, last = path.split("/")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = values
        layout = draw(st.sampled_from(LAYOUTS.get(len(shape), (COPY,))))
        table.append(Rule(path, f"theirs.{number}", layout))
    # What comes first decides; this one takes what nothing else did, here nothing.
    return tree, [*draw(st.permutations(table)), Rule("(.*)", "nobody")]


def _flat(shapes, prefix=""):
    flat = {}
    for name, value in shapes.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat


def same(one, other):
    one, other = rules.flatten(one), rules.flatten(other)
    assert list(one) == list(other)
    for path, array in one.items():
        np.testing.assert_array_equal(array, other[path])
        assert other[path].dtype == np.float32


@given(trees())
def test_there_and_back_is_nothing(made):
    tree, table = made
    foreign = rules.to_foreign(tree, table)
    assert set(foreign) == {rule.foreign for rule in table[:-1]}
    same(tree, rules.to_ours(foreign, tree, table, "x"))


@given(trees())
def test_flatten_and_unflatten_are_inverse(made):
    tree, _ = made
    same(tree, rules.unflatten(rules.flatten(tree)))


def test_a_layout_moves_the_axes():
    dense = np.arange(6, dtype=np.float32).reshape(2, 3)
    conv = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    table = [Rule("d", "D", DENSE), Rule("c", "C", CONV), Rule("k", "K")]
    foreign = rules.to_foreign({"d": dense, "c": conv, "k": dense}, table)
    np.testing.assert_array_equal(foreign["D"], dense.T)
    np.testing.assert_array_equal(foreign["K"], dense)
    assert foreign["C"].shape == (5, 4, 2, 3)  # (h, w, in, out) -> (out, in, h, w)
    assert foreign["C"][4, 3, 1, 2] == conv[1, 2, 3, 4]
    assert all(array.flags.c_contiguous for array in foreign.values())


def test_what_is_read_is_a_copy():
    theirs = {"K": np.ones(3, np.float32)}
    ours = rules.to_ours(theirs, {"k": theirs["K"]}, [Rule("k", "K")], "x")
    theirs["K"][:] = 7
    np.testing.assert_array_equal(ours["k"], 1)


def test_keys_are_in_natural_order():
    tree = {f"blocks_{i}": {"b": 0, "a": 0} for i in (10, 2, 1, 0)}
    assert list(rules.flatten(tree)) == [f"blocks_{i}/{k}" for i in (0, 1, 2, 10) for k in "ab"]


def test_the_first_rule_decides_and_a_path_without_one_is_a_mistake():
    table = [Rule("a/(.*)", r"one.\1"), Rule("a/b", "two"), Rule("b", "three")]
    assert [leaf.foreign for leaf in rules.place(["a/b", "b"], table)] == ["one.b", "three"]
    with pytest.raises(LookupError, match=r"no rule of the table names the parameter a$"):
        rules.place(["a"], table)
    with pytest.raises(LookupError, match="bb"):  # a rule matches the whole path
        rules.place(["bb"], table)


# --- types and faults ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", ml_dtypes.bfloat16])
def test_floats_become_float32(dtype):
    theirs = {"K": np.asarray([0.5, -2, 3], dtype)}
    ours = rules.to_ours(theirs, {"k": np.empty(3)}, [Rule("k", "K")], "x")
    assert ours["k"].dtype == np.float32
    np.testing.assert_array_equal(ours["k"], [0.5, -2, 3])


@pytest.mark.parametrize(
    "dtype", ["int64", "uint8", "bool", "complex64", ml_dtypes.float8_e4m3fn, ml_dtypes.int4]
)
def test_what_is_no_float_is_refused(dtype):
    with pytest.raises(NitrogenError, match=r"mis-typed: K is .* needed a float type"):
        rules.to_ours({"K": np.zeros(3, dtype)}, {"k": np.empty(3)}, [Rule("k", "K")], "x")


def test_progress_adds_up_to_what_was_read():
    theirs = {"A": np.zeros((2, 3), np.float16), "B": np.zeros(5)}
    done = []
    like = {"a": theirs["A"], "b": theirs["B"]}
    rules.to_ours(theirs, like, [Rule("a", "A"), Rule("b", "B")], "x", progress=done.append)
    assert done == [12, 40]


def test_every_fault_is_in_one_error():
    wanted = {"a": np.empty((2, 3)), "b": np.empty(4), "c": np.empty(4), "d": np.empty(1)}
    table = [Rule("a", "A", DENSE), *(Rule(k, k.upper()) for k in "bcd")]
    theirs = {
        "A": np.zeros((2, 3), np.float32),  # (3, 2) is its layout there
        "C": np.zeros(4, np.int32),
        "D": np.zeros(1, np.float32),
        "more": np.zeros((5, 6), np.float32),
        "\x1b[31m\n": np.zeros(0, np.float32),
    }
    with pytest.raises(NitrogenError) as caught:
        rules.to_ours(theirs, wanted, table, "file.pt", "A hint.")
    assert str(caught.value).splitlines() == [
        "file.pt: 5 tensor(s) do not fit the configuration:",
        "  mis-shaped: A is (2, 3), needed (3, 2)",
        "  missing: B (4,)",
        "  mis-typed: C is int32, needed a float type",
        "  extra: more (5, 6)",
        r"  extra: '\x1b[31m\n' (0,)",
        "A hint.",
    ]


# --- the tables of the policy and of the tower ---------------------------------------------------


@functools.cache
def configs():
    """Policies that differ in which parameters they have."""
    from nitrogen_jax.models.presets import policy_preset

    small = policy_preset("test")
    change = dataclasses.replace
    return {
        "test": small,
        "games": change(small, games=4, context_length=5),
        "deep": change(
            small,
            vision=change(small.vision, depth=12),
            mixer=change(small.mixer, depth=11),
            dit=change(small.dit, depth=13, interleave=False),
        ),
        "no_mixer": change(small, mixer=change(small.mixer, depth=0)),
        "affine": change(small, dit=change(small.dit, affine_norm=True)),
        "plain": change(small, mixer=change(small.mixer, affine_norm=False)),
        "no_attention_bias": change(
            small,
            mixer=change(small.mixer, attention_bias=False),
            dit=change(small.dit, attention_bias=False),
        ),
        "no_positions": change(small, position_embedding=False),
        "embodiments": change(small, embodiments=3),
        "released": policy_preset("nitrogen"),
    }


@functools.cache
def leaves(name):
    """The parameters of one of them: path -> shape and type."""
    from nitrogen_jax.models import policy

    return rules.flatten(policy.shapes(configs()[name].check()))


NAMES = ("test", "games", "deep", "no_mixer", "affine", "plain", "no_attention_bias")
NAMES += ("no_positions", "embodiments", "released")


@pytest.mark.needs("jax")
@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_exactly_one_rule_and_a_name_of_its_own(name):
    paths = list(leaves(name))
    for path in paths:
        assert sum(re.fullmatch(rule.ours, path) is not None for rule in tables.NITROGEN) == 1, path
    placed = rules.place(paths, tables.NITROGEN)
    assert len({leaf.foreign for leaf in placed}) == len(paths)


@pytest.mark.needs("jax")
@pytest.mark.parametrize("name", ["test", "google/siglip2-so400m-patch14-224"])
def test_a_tower_alone(name):
    from nitrogen_jax.models import siglip2
    from nitrogen_jax.models.presets import vision_preset

    paths = list(rules.flatten(siglip2.shapes(vision_preset(name))))
    placed = rules.place(paths, tables.SIGLIP)
    assert len({leaf.foreign for leaf in placed}) == len(paths)
    inside = rules.place([f"vision/{path}" for path in paths], tables.NITROGEN)
    assert [leaf.foreign for leaf in inside] == [f"vision_encoder.{p.foreign}" for p in placed]


@pytest.mark.needs("jax", "torch")
@pytest.mark.parametrize("name", NAMES)
def test_names_and_shapes_are_those_of_pytorch(name):
    """The state dict of a network built in PyTorch, at full size too (on the meta device)."""
    import torch

    from nitrogen_jax.bench import torch_reference
    from nitrogen_jax.weights import ckpt_config, tower_sizes

    cfg = configs()[name]
    config = ckpt_config.from_policy_config(cfg)
    with torch.device("meta"):
        model = torch_reference.build(config, tower_sizes.to_json(cfg.vision), cfg.games)
    theirs = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    flat = leaves(name)
    ours = {
        leaf.foreign: rules.foreign_shape(flat[leaf.path].shape, leaf.layout)
        for leaf in rules.place(list(flat), tables.NITROGEN)
    }
    assert ours == theirs
    if name == "released":
        assert len(ours) == 595


@pytest.mark.needs("jax")
@pytest.mark.parametrize("name", ["tiny", "frames_games"])
def test_names_are_those_of_the_original(name):
    from nitrogen_jax.weights import checkpoint

    loaded = checkpoint.load(GOLDEN / name / "ng.pt")
    recorded = json.loads((GOLDEN / name / "grad_norms.json").read_text())
    paths = list(rules.flatten(checkpoint.shapes(loaded.meta)))
    assert {leaf.foreign for leaf in rules.place(paths, tables.NITROGEN)} == set(recorded)
