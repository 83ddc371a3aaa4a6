"""Sizes, presets and the check that sizes fit."""

from __future__ import annotations

import dataclasses

import jax
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import DiTConfig, MixerConfig, PolicyConfig, VisionConfig
from nitrogen_jax.models.presets import TOWER_EXAMPLES, policy_preset, vision_preset
from nitrogen_jax.training import rules
from nitrogen_jax.weights.rules import flatten


def test_full_size_has_the_released_counts():
    leaves = flatten(policy.shapes(policy_preset("nitrogen")))
    assert len(leaves) == 595
    assert sum(leaf.size for leaf in leaves.values()) == 493_631_513
    assert rules.count(leaves, rules.ORIGINAL_TRAINABLE) == 468_440_089
    assert rules.count(leaves, rules.VISION_FROZEN) == 177_675_289


def test_every_part_has_the_released_count():
    counts = {
        name: sum(leaf.size for leaf in jax.tree.leaves(part))
        for name, part in policy.shapes(policy_preset("nitrogen")).items()
    }
    assert counts == {
        "vision": 315_956_224,
        "mixer": 50_384_896,
        "dit": 121_992_192,
        "action_encoder": 3_174_400,
        "action_decoder": 1_075_225,
        "position_embedding": 1_048_576,
    }


@pytest.mark.parametrize(
    ("name", "tokens", "width"),
    [
        ("google/siglip2-base-patch16-224", 196, 768),
        ("google/siglip2-base-patch16-256", 256, 768),
        ("google/siglip2-large-patch16-256", 256, 1024),
        ("google/siglip2-so400m-patch14-224", 256, 1152),
        ("google/siglip2-so400m-patch14-384", 27 * 27, 1152),
    ],
)
def test_tower_presets(name, tokens, width):
    tower = vision_preset(name)
    assert (tower.tokens, tower.width) == (tokens, width)


@pytest.mark.parametrize("name", ["nitrogen", *TOWER_EXAMPLES])
def test_every_policy_preset_fits_itself(name):
    cfg = policy_preset(name)
    assert cfg.check() is cfg
    assert cfg.context_length == cfg.vision.tokens


def test_unknown_preset_names_what_there_is():
    with pytest.raises(NitrogenError, match=r"siglip2-huge.*siglip2-base-patch16-224"):
        policy_preset("google/siglip2-huge-patch16-256")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vision": VisionConfig(width=1000)}, "vision.width 1000 is not a multiple"),
        ({"mixer": MixerConfig(heads=8)}, "must equal vision.width"),
        ({"dit": DiTConfig(heads=8)}, "must equal width 1024"),
        ({"dit": DiTConfig(cross_width=512)}, "cross-attention takes 512"),
        ({"dit": DiTConfig(output_dim=7)}, "dit.output_dim 7"),
        ({"horizon": 2000}, "more than max_positions"),
        ({"horizon": 0}, "horizon is 0"),
        ({"context_length": 255}, "no room for one frame"),
        ({"layout": "diagonal"}, "layout 'diagonal'"),
        ({"games": 0}, "games is 0"),
        ({"euler_steps": True}, "euler_steps is True"),
        ({"vision": VisionConfig(patch_size=512)}, "larger than vision.image_size"),
        ({"mixer": MixerConfig(activation="relu")}, "mixer.activation 'relu'"),
    ],
)
def test_sizes_that_do_not_fit_are_named(change, words):
    with pytest.raises(NitrogenError, match=words) as caught:
        dataclasses.replace(PolicyConfig(), **change).check()
    assert "\n" not in str(caught.value)
