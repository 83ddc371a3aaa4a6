"""init, velocity, loss, sample: that caching changes nothing, and what each input does."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nitrogen_jax import flow
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import FLOAT32, Compute
from nitrogen_jax.models.presets import policy_preset

F32 = {"compute": FLOAT32}


def jitted(function, cfg, compute=FLOAT32):
    """A function of the policy as one program: op by op takes many times longer."""
    return jax.jit(partial(function, cfg, compute=compute))


def noise_for(cfg, batch=3, seed=9):
    return jax.random.normal(jax.random.key(seed), (batch, cfg.horizon, cfg.action_dim))


@pytest.fixture(scope="module")
def sampler(small):
    cfg, params = small
    conditioning = jax.jit(partial(policy.conditioning, cfg, **F32))(params)
    sample = jax.jit(partial(policy.sample, cfg, **F32))
    return lambda *inputs: sample(params, conditioning, *inputs)


def test_cached_sampling_equals_velocity_called_at_every_step(small, batch, sampler):
    cfg, params = small
    noise = noise_for(cfg)
    inputs = batch["frames"], batch["dropped"], batch["game_ids"]
    context = jitted(policy.encode, cfg)(params, *inputs)
    velocity = jax.jit(partial(policy.velocity, cfg, **F32))
    x = noise
    for i in range(cfg.euler_steps):
        x = x + velocity(params, context, x, jnp.full(3, i / cfg.euler_steps)) / cfg.euler_steps
    np.testing.assert_allclose(sampler(noise, *inputs), x, atol=2e-6)


def test_guided_sampling_equals_its_definition(small, batch, sampler):
    cfg, params = small
    noise, scale = noise_for(cfg), 1.5
    frames, dropped = batch["frames"], batch["dropped"]
    newest = np.broadcast_to([True, False], (3, 2))
    encode = jitted(policy.encode, cfg)
    contexts = [encode(params, frames, which, None) for which in (dropped, newest)]
    velocity = jax.jit(partial(policy.velocity, cfg, **F32))
    x = noise
    for i in range(cfg.euler_steps):
        t = jnp.full(3, i / cfg.euler_steps)
        v = flow.guide(*(velocity(params, c, x, t) for c in contexts), scale)
        x = x + v / cfg.euler_steps
    found = sampler(noise, frames, dropped, batch["game_ids"], scale)
    np.testing.assert_allclose(found, x, atol=5e-6)


def test_guidance_without_history_is_conditional_sampling(small, batch, sampler):
    cfg, _ = small
    alone = np.broadcast_to([True, False], (3, 2))
    noise = noise_for(cfg)
    plain = sampler(noise, batch["frames"], alone, None)
    np.testing.assert_allclose(sampler(noise, batch["frames"], alone, None, 3.0), plain, atol=1e-5)


def test_dropped_frames_and_games_matter_and_hidden_pixels_do_not(small, batch, sampler):
    cfg, _ = small
    noise = noise_for(cfg)
    frames, dropped, games = batch["frames"], batch["dropped"], batch["game_ids"]
    base = sampler(noise, frames, dropped, games)
    hidden = frames.copy()
    hidden[1, 0] = 255 - hidden[1, 0]  # dropped in this example
    np.testing.assert_array_equal(sampler(noise, hidden, dropped, games), base)
    seen = frames.copy()
    seen[0, 0] = 255 - seen[0, 0]
    changed = np.abs(sampler(noise, seen, dropped, games) - base).max(axis=(1, 2))
    assert changed[0] > 1e-4
    assert changed[1:].max() == 0
    other = sampler(noise, frames, dropped, np.asarray([2, 2, 1], np.int32))
    assert np.abs(other - base)[0].max() > 1e-4


def test_fewer_steps_are_a_coarser_integral_of_the_same_field(small, batch):
    cfg, params = small
    noise = noise_for(cfg)
    found = {}
    for steps in (1, 64, 128):
        given = jitted(partial(policy.conditioning, steps=steps), cfg)(params)
        found[steps] = np.asarray(jitted(policy.sample, cfg)(params, given, noise, batch["frames"]))
    assert np.abs(found[64] - found[128]).max() < 0.25 * np.abs(found[1] - found[128]).max()


def test_examples_do_not_see_each_other(small, batch, sampler):
    cfg, _ = small
    noise = noise_for(cfg)
    inputs = batch["frames"], batch["dropped"], batch["game_ids"]
    together = sampler(noise, *inputs)
    alone = sampler(noise[1:2], *(x[1:2] for x in inputs))
    np.testing.assert_allclose(together[1:2], alone, atol=2e-6)


@pytest.mark.long  # in short: tests/models/test_scan.py, loops with remat
def test_loss_is_random_by_key_alone_and_remat_changes_nothing(small, batch):
    cfg, params = small

    def program(compute):
        return jax.jit(jax.value_and_grad(partial(policy.loss, cfg, compute=compute)))

    plain, key = program(Compute()), jax.random.key(0)
    value, gradient = plain(params, batch, key)
    again, same = program(Compute(remat=True))(params, batch, key)
    other, _ = plain(params, batch, jax.random.key(1))
    assert float(value) == pytest.approx(float(again), rel=1e-6)
    assert float(value) != float(other)
    scale = max(float(jnp.abs(g).max()) for g in jax.tree.leaves(gradient))
    for one, two in zip(jax.tree.leaves(gradient), jax.tree.leaves(same), strict=True):
        assert float(jnp.abs(one - two).max()) <= 1e-5 * scale


def test_dropout_is_on_in_the_training_loss_only(small, batch):
    cfg, params = small
    t, noise = jnp.full(3, 0.4), noise_for(cfg)
    loss_at = jax.jit(partial(policy.loss_at, cfg, **F32))
    still = [float(loss_at(params, batch, t, noise)) for _ in range(2)]
    noisy = [float(loss_at(params, batch, t, noise, jax.random.key(k))) for k in range(3)]
    assert still[0] == still[1]
    assert len({still[0], *noisy}) == 4
    without = dataclasses.replace(
        cfg,
        mixer=dataclasses.replace(cfg.mixer, dropout=0.0),
        dit=dataclasses.replace(cfg.dit, dropout=0.0),
    )
    found = jitted(policy.loss_at, without)(params, batch, t, noise, jax.random.key(0))
    assert float(found) == pytest.approx(still[0], rel=1e-5)


def test_masked_entries_do_not_reach_the_loss(small, batch):
    cfg, params = small
    t, noise = jnp.full(3, 1.0), noise_for(cfg)
    wild = {**batch, "actions": np.where(batch["mask"], batch["actions"], 77.0)}
    # at t = 1 the network sees the actions themselves, so show it the same ones
    found = []
    x = flow.interpolate(noise, batch["actions"], t)
    context = jitted(policy.encode, cfg)(params, batch["frames"])
    v = jitted(policy.velocity, cfg)(params, context, x, t)
    for actions in (batch["actions"], wild["actions"]):
        found.append(float(flow.masked_mse(v, flow.target(noise, actions), batch["mask"])))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_the_twelfth_layer_and_the_head_have_the_gradients_that_they_should(small, batch):
    cfg, params = small
    gradient = jax.jit(jax.grad(partial(policy.loss, cfg, compute=Compute())))(
        params, batch, jax.random.key(0)
    )
    head = max(float(jnp.abs(g).max()) for g in jax.tree.leaves(gradient["vision"]["head"]))
    assert head == 0  # the policy does not use it
    assert float(jnp.abs(gradient["game_embedding"][0]).max()) == 0
    assert float(jnp.abs(gradient["game_embedding"][1]).max()) > 0


def test_bfloat16_is_close_and_keeps_float32_parameters(small, batch):
    cfg, params = small
    noise = noise_for(cfg)
    found = {}
    for dtype in ("float32", "bfloat16"):
        compute = Compute(dtype=dtype)
        given = jitted(policy.conditioning, cfg, compute)(params)
        assert given.action_time.dtype == dtype
        found[dtype] = jitted(policy.sample, cfg, compute)(params, given, noise, batch["frames"])
    assert found["bfloat16"].dtype == jnp.float32
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    error = float(jnp.abs(found["float32"] - found["bfloat16"]).max())
    assert 0 < error < 0.1


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((2, 32, 32, 3), np.uint8), "have shape"),
        (np.zeros((2, 2, 31, 32, 3), np.uint8), "have shape"),
        (np.zeros((2, 2, 32, 32, 4), np.uint8), "have shape"),
        (np.zeros((0, 2, 32, 32, 3), np.uint8), "have shape"),
        (np.zeros((2, 2, 32, 32, 3), np.int32), "have type int32"),
        (np.zeros((2, 3, 32, 32, 3), np.uint8), "need 13"),
    ],
)
def test_wrong_frames_are_one_sentence(small, frames, words):
    cfg, params = small
    games = np.zeros(len(frames), np.int32)
    with pytest.raises(NitrogenError, match=words):
        policy.encode(cfg, params, frames, None, games, **F32)


@pytest.mark.parametrize("name", [pytest.param("tiny", marks=pytest.mark.long), "test"])
def test_presets_sample(name):
    cfg = policy_preset(name)
    params = jax.jit(partial(policy.init, cfg))(jax.random.key(0))
    size = cfg.vision.image_size
    frames = np.zeros((2, 1, size, size, 3), np.uint8)
    given = jitted(policy.conditioning, cfg)(params)
    found = jitted(policy.sample, cfg)(params, given, noise_for(cfg, 2), frames)
    assert found.shape == (2, 18, 25)
    assert bool(jnp.isfinite(found).all())
