"""Blocks in a loop are the same blocks one after the other."""

from __future__ import annotations

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.models.scan import over_blocks
from nitrogen_jax.weights.rules import flatten

WIDTH, COUNT = 3, 6


class Affine(nn.Module):
    """x W + b, times what it is given, and dropout."""

    rate: float = 0.0

    @nn.compact
    def __call__(self, x, given, deterministic):
        x = jnp.tanh(nn.Dense(WIDTH, name="in")(x) * given)
        return nn.Dropout(self.rate)(x, deterministic=deterministic)


class Keep(nn.Module):
    """Dropout alone."""

    @nn.compact
    def __call__(self, x):
        return nn.Dropout(0.5)(x, deterministic=False)


def affine_params():
    rng = np.random.default_rng(0)
    shapes = {"kernel": (WIDTH, WIDTH), "bias": (WIDTH,)}
    return [
        {"in": {name: 0.3 * jnp.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}}
        for _ in range(COUNT)
    ]


@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_groups_of_any_size_are_passed_in_order(size, remat):
    """Value and gradients by everything against a plain loop."""
    params, x = affine_params(), jnp.ones((2, WIDTH))
    given = [jnp.full(WIDTH, 0.5 + i) for i in range(COUNT)]
    blocks = [Affine() for _ in range(size)]

    def call(block, x, own):
        return block(x, own, True)

    def looped(params, x, given):
        return over_blocks(Compute(remat=remat), blocks, params, x, given, call).sum()

    def unrolled(params, x, given):
        for own, extra in zip(params, given, strict=True):
            x = Affine().apply({"params": own}, x, extra, True)
        return x.sum()

    found, wanted = (
        jax.value_and_grad(run, argnums=(0, 1, 2))(params, x, given) for run in (looped, unrolled)
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-5), found, wanted)


def test_blocks_may_differ_within_a_group_and_need_nothing_of_their_own():
    """None beside some of them, as for attention with and without a context."""
    params, x = affine_params(), jnp.ones((2, WIDTH))
    given = [jnp.full(WIDTH, 0.5 + i) if i % 2 else None for i in range(COUNT)]

    def call(block, x, own):
        return block(x, 1.0 if own is None else own, True)

    found = over_blocks(Compute(), [Affine(), Affine()], params, x, given, call)
    for own, extra in zip(params, given, strict=True):
        x = Affine().apply({"params": own}, x, 1.0 if extra is None else extra, True)
    np.testing.assert_allclose(found, x, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2])
def test_every_block_drops_by_a_key_of_its_own(size):
    """With one key for all, three blocks would drop what one drops."""
    ones, blocks = jnp.ones(4096), [Keep() for _ in range(size)]

    def run(count, key):
        params = [{}] * count
        return over_blocks(
            Compute(), blocks, params, ones, [None] * count, lambda block, x, _: block(x), key
        )

    for count in (2, 4):
        kept = np.asarray(run(count, jax.random.key(0)) > 0).mean()
        assert kept == pytest.approx(0.5**count, abs=0.03)
    same = [run(4, jax.random.key(key)) for key in (0, 0, 1)]
    np.testing.assert_array_equal(same[0], same[1])
    assert (same[0] != same[2]).any()


def test_matrices_are_stacked_in_the_type_that_they_multiply_in():
    seen = {}

    def call(block, x, _):
        seen.update(flatten(block.variables["params"]))
        return block(x, 1.0, True)

    over_blocks(
        Compute(dtype="bfloat16"), [Affine()], affine_params(), jnp.ones(WIDTH), [None] * 6, call
    )
    assert {path: leaf.dtype.name for path, leaf in seen.items()} == {
        "in/kernel": "bfloat16",
        "in/bias": "float32",
    }


def deep() -> policy.PolicyConfig:
    """Two groups of everything, two frames, a game."""
    cfg = policy_preset("test")
    return dataclasses.replace(
        cfg,
        mixer=dataclasses.replace(cfg.mixer, depth=2),
        dit=dataclasses.replace(cfg.dit, depth=4),
        frames=2,
        games=3,
        context_length=9,
    ).check()


def test_the_policy_in_loops_with_remat_has_the_loss_and_gradients_of_the_unrolled_one():
    cfg, rng = deep(), np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.normal(scale=0.2, size=leaf.shape).astype(np.float32), policy.shapes(cfg)
    )
    chunk = (2, cfg.horizon, cfg.action_dim)
    batch = {
        "frames": rng.integers(0, 256, (2, 2, 32, 32, 3), np.uint8),
        "dropped": np.asarray([[False, False], [True, False]]),
        "game_ids": np.asarray([1, 2], np.int32),
        "actions": rng.random(chunk, np.float32),
        "mask": rng.random(chunk) < 0.8,
    }
    noise, t = rng.standard_normal(chunk, np.float32), np.asarray([0.1, 0.9], np.float32)
    found = {}
    for compute in (Compute(), Compute(scan=True, remat=True)):
        run = jax.jit(jax.value_and_grad(partial(policy.loss_at, cfg, compute=compute)))
        lowered = run.lower(params, batch, t, noise)
        # The tower, the mixer and the denoiser: forward and backward.
        assert lowered.as_text().count("stablehlo.while") == (6 if compute.scan else 0)
        found[compute.scan] = lowered.compile()(params, batch, t, noise)
    assert float(found[True][0]) == pytest.approx(float(found[False][0]), rel=1e-6)
    wanted = flatten(found[False][1])
    scale = max(float(jnp.abs(leaf).max()) for leaf in wanted.values())
    for path, leaf in flatten(found[True][1]).items():
        np.testing.assert_allclose(leaf, wanted[path], rtol=1e-4, atol=1e-6 * scale, err_msg=path)


def test_compile_time_does_not_grow_with_depth():
    """The traced program is as long for twelve blocks as for two, up to the stacking."""

    def size(depth, scan):
        cfg = dataclasses.replace(deep(), dit=dataclasses.replace(deep().dit, depth=depth))
        run = partial(policy.loss_at, cfg, compute=Compute(scan=scan))
        chunk = (1, cfg.horizon, cfg.action_dim)
        inputs = {"frames": jnp.zeros((1, 2, 32, 32, 3), jnp.uint8), "actions": jnp.zeros(chunk)}
        jaxpr = jax.make_jaxpr(run)(policy.shapes(cfg), inputs, jnp.zeros(1), jnp.zeros(chunk))
        return sum(eqn.primitive.name == "dot_general" for eqn in jaxpr.eqns)

    outside = size(2, True)
    # Beyond the loop a block has its modulation, and every other one keys and values.
    assert size(12, True) - outside == 10 + 2 * 5
    assert size(12, False) - size(2, False) > 60
