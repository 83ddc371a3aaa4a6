"""The operations of training, by hand, against the compiler's count and what is published."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from nitrogen_jax.bench import flops
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute, DiTConfig, MixerConfig, VisionConfig
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training import freeze, policy_flops
from nitrogen_jax.training.lora import Adapted, Lora
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.rules import decide
from nitrogen_jax.weights.rules import flatten, unflatten

FULL = policy_preset("nitrogen")
# Wide enough that products are nearly all, as at full size.
WIDE = dataclasses.replace(
    FULL,
    vision=VisionConfig("wide", image_size=128, width=512, depth=2, heads=4, mlp=2048),
    mixer=MixerConfig(depth=1, heads=4, head_dim=128, dropout=0.0),
    dit=DiTConfig(depth=2, heads=4, head_dim=128, output_dim=512, dropout=0.0),
    width=512,
    context_length=64,
).check()


def by_rules(cfg, spec, lora=None):
    rules = freeze.freeze_rules(spec, flatten(policy.shapes(cfg)), lora)
    return lambda path: bool(decide(path, rules))


def compilers(cfg, draws=1, trains=lambda path: True) -> float:
    """FLOPs of the loss's gradient as the compiler counts them, before it simplifies anything."""
    rest, trained = {}, {}
    for path, leaf in flatten(policy.shapes(cfg)).items():
        (trained if trains(path) else rest)[path] = leaf

    def loss(trained, rest, batch, t, noise):
        params = unflatten({**trained, **rest})
        return policy.loss_sums(cfg, params, batch, t, noise, compute=Compute())[0]

    size, chunk = cfg.vision.image_size, (1, cfg.horizon, cfg.action_dim)
    batch = {
        "frames": jax.ShapeDtypeStruct((1, cfg.frames, size, size, 3), jnp.uint8),
        "actions": jax.ShapeDtypeStruct(chunk, jnp.float32),
    }
    t = jax.ShapeDtypeStruct((draws, 1), jnp.float32)
    noise = jax.ShapeDtypeStruct((draws, *chunk), jnp.float32)
    run = jax.jit(jax.value_and_grad(loss)).lower(trained, rest, batch, t, noise)
    return run.cost_analysis()["flops"]


def test_full_size_costs_what_is_known_of_it():
    assert policy_flops.count(FULL) == pytest.approx(588.7e9, rel=1e-3)
    assert PolicyTask(FULL).flops() == policy_flops.count(FULL)


def test_eight_draws_cost_an_eighth_more_at_full_size():
    one, eight = (PolicyTask(FULL, draws_per_frame=count).flops() for count in (1, 8))
    assert eight / one == pytest.approx(1.13, abs=0.005)


@pytest.mark.parametrize("draws", [1, 8])
def test_the_compiler_counts_the_same(draws):
    assert compilers(WIDE, draws) == pytest.approx(policy_flops.count(WIDE, draws), rel=0.03)


@pytest.mark.parametrize("spec", ["vision", "all_but_last:1"])
def test_the_compiler_counts_the_same_where_a_part_is_frozen(spec):
    trains = by_rules(WIDE, spec)
    found = policy_flops.count(WIDE, 1, trains)
    assert found < 0.9 * policy_flops.count(WIDE)
    assert compilers(WIDE, 1, trains) == pytest.approx(found, rel=0.03)


def test_what_is_frozen_costs_its_forward_pass_alone_where_nothing_below_trains():
    one = flops.count(FULL)
    frozen = policy_flops.count(FULL, 1, by_rules(FULL, "vision"))
    assert policy_flops.count(FULL) - frozen == pytest.approx(2 * one.encoder, rel=1e-6)
    nothing = policy_flops.count(FULL, 3, lambda path: False)
    once = one.encoder + one.mixer + one.keys_values
    assert nothing == pytest.approx(once + 3 * (one.step + one.conditioning), rel=1e-6)


def test_gradients_pass_through_what_is_frozen_above():
    """The lowest bias alone: everything is differentiated by its input, and no weight learns."""
    found = policy_flops.count(FULL, 1, lambda path: path == "vision/layers_0/norm1/bias")
    assert found == pytest.approx(2 / 3 * policy_flops.count(FULL), rel=0.02)


def test_adapters_cost_what_the_kernels_cost_that_they_are_on():
    """All kernels of the transformers: norms and biases are no share of the products."""
    task = Adapted(PolicyTask(FULL), Lora())
    found = task.flops(lambda path: path.startswith("lora/"))
    assert 0.97 * PolicyTask(FULL).flops() < found <= PolicyTask(FULL).flops()
