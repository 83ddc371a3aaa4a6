"""Names and rules of what trains, with the released sizes counted by shapes alone."""

from __future__ import annotations

import functools

import pytest

pytest.importorskip("jax")

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.freeze import NAMES, freeze_rules
from nitrogen_jax.training.lora import Lora
from nitrogen_jax.training.rules import count, is_trainable
from nitrogen_jax.weights.rules import flatten

ALL = 493_631_513


@functools.cache
def shapes(name="nitrogen"):
    return flatten(policy.shapes(policy_preset(name)))


@pytest.mark.parametrize(
    ("spec", "trained"),
    [
        ("none", ALL),
        ("original", 468_440_089),
        ("vision", 177_675_289),
        # four layers of 12,596,224 parameters and the norm after them beside the rest
        ("all_but_last:4", 177_675_289 + 4 * 12_596_224 + 2 * 1024),
        ("all_but_last:24", ALL - 16 * 16 * 3 * 1024 - 1024 - 256 * 1024 - 12_595_200),
        ("head_only", 3_174_400 + 1_075_225 + 1_048_576),
        (((r"dit/.*", True), (r".*", False)), 121_992_192),
    ],
)
def test_how_many_parameters_train(spec, trained):
    assert count(shapes(), freeze_rules(spec, shapes())) == trained


def test_the_last_layers_of_the_tower_and_all_behind_them_train():
    paths = list(shapes())
    rules = freeze_rules("all_but_last:2", paths)
    trains = {path for path in paths if is_trainable(path, rules)}
    assert {path.split("/")[1] for path in trains if path.startswith("vision/")} == {
        "layers_22",
        "layers_23",
        "post_norm",
    }
    assert {path for path in paths if not path.startswith("vision/")} < trains


def test_the_head_alone_has_the_game_embedding_where_there_is_one():
    paths = [*shapes("test"), "game_embedding"]
    rules = freeze_rules("head_only", paths)
    assert is_trainable("game_embedding", rules)
    assert not is_trainable("dit/out/kernel", rules)


def test_nested_and_flat_parameters_and_paths_mean_the_same():
    nested, flat = policy.shapes(policy_preset("test")), shapes("test")
    rules = [freeze_rules("all_but_last:1", given) for given in (nested, flat, list(flat))]
    assert rules[0] == rules[1] == rules[2]
    assert rules[0][0] == (r"vision/layers_(1)/.*", True)


def test_with_adapters_only_they_train_and_what_is_named():
    paths = [*shapes("test"), "lora/dit/blocks_0/attn/q/a"]
    rules = freeze_rules("none", paths, Lora())
    assert [path for path in paths if is_trainable(path, rules)] == [paths[-1]]
    rules = freeze_rules("none", paths, Lora(also=(r"action_(en|de)coder/.*",)))
    assert {p.split("/")[0] for p in paths if is_trainable(p, rules)} == {
        "lora",
        "action_encoder",
        "action_decoder",
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("orignal", "did you mean 'original'\\?"),
        ("all_but_first:2", "did you mean 'all_but_last:K'\\?"),
        ("all_but_last", "did you mean 'all_but_last:K'\\?"),
        ("xyz", f"'xyz' is not known: use {', '.join(NAMES)}"),
        ("all_but_last:3", "the tower has 2 layers, so K is a whole number from 1 to 2"),
        ("all_but_last:0", "'vision' freezes it whole"),
        ("all_but_last:-1", "from 1 to 2"),
        ("all_but_last:two", "from 1 to 2"),
        ("all_but_last:²", "from 1 to 2"),
        (((".*", False),), "nothing is left that trains"),
        ((("dit/blocks_0", False), (".*", True)), "'dit/blocks_0' matches no parameter"),
        ((("dit/.*", True),), "no rule matches the parameter"),
        ((("(", True), (".*", True)), "'\\(' is no regular expression"),
        ((), "no rule matches"),
    ],
)
def test_what_is_refused(spec, message):
    with pytest.raises(NitrogenError, match=f"freeze.*{message}"):
        freeze_rules(spec, shapes("test"))


def test_a_pattern_without_a_parameter_is_told_a_path_that_is_near():
    with pytest.raises(NitrogenError, match="such as 'dit/blocks_0/attn/q/kernel'"):
        freeze_rules((("dit/blocks_0/attn/q/kernels", False), (".*", True)), shapes("test"))


@pytest.mark.parametrize(
    ("spec", "lora", "message"),
    [
        ("vision", Lora(), "freeze is 'vision', and with lora all but the adapters is frozen"),
        ("none", Lora(also=("head/.*",)), "lora.also: the pattern 'head/\\.\\*' matches no"),
    ],
)
def test_what_is_refused_beside_adapters(spec, lora, message):
    with pytest.raises(NitrogenError, match=message):
        freeze_rules(spec, [*shapes("test"), "lora/dit/blocks_0/attn/q/a"], lora)


def test_adapters_that_are_not_there_are_missed():
    with pytest.raises(NitrogenError, match=r"lora: the pattern 'lora/\.\*' matches no parameter"):
        freeze_rules("none", shapes("test"), Lora())
