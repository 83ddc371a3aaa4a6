"""The conventions of flow matching, tested as mathematics."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nitrogen_jax import flow

SHAPE = (4, 5, 3)


def pair(seed: int = 0) -> tuple[jax.Array, jax.Array]:
    keys = jax.random.split(jax.random.key(seed))
    return jax.random.normal(keys[0], SHAPE), jax.random.normal(keys[1], SHAPE)


def test_path_starts_at_the_noise_and_ends_at_the_action():
    noise, action = pair()
    np.testing.assert_array_equal(flow.interpolate(noise, action, jnp.zeros(4)), noise)
    np.testing.assert_array_equal(flow.interpolate(noise, action, jnp.ones(4)), action)


def test_target_is_the_derivative_of_the_path():
    noise, action = pair()
    t = jnp.asarray([0.0, 0.3, 0.7, 1.0])
    _, tangent = jax.jvp(lambda t: flow.interpolate(noise, action, t), (t,), (jnp.ones(4),))
    np.testing.assert_allclose(tangent, flow.target(noise, action), atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 16, 33])
def test_euler_is_exact_on_a_straight_path(steps):
    noise, action = pair()
    found = flow.euler(lambda x, t: flow.target(noise, action), noise, jnp.arange(steps))
    np.testing.assert_allclose(found, action, atol=2e-6)


def test_euler_visits_the_times_i_over_n():
    steps = 8
    times = jnp.arange(steps) / steps
    # dx/dt = t summed by the left rule from 0 to 1: sum(i / N) / N = (N - 1) / 2N
    found = flow.euler(lambda x, t: jnp.full_like(x, t), jnp.zeros((1, 1, 1)), times)
    assert float(found[0, 0, 0]) == pytest.approx((steps - 1) / (2 * steps))


def test_euler_converges_at_first_order_on_a_known_field():
    start = jnp.ones((1, 1, 1))

    def error(steps: int) -> float:
        found = flow.euler(lambda x, _: -x, start, jnp.arange(steps))
        return abs(float(found[0, 0, 0]) - np.exp(-1.0))

    assert error(64) / error(128) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("steps", [1, 3, 4, 16, 50])
def test_buckets_of_the_sampler_are_those_of_its_times(steps):
    found = flow.euler_buckets(steps, 1000)
    assert found.tolist() == [int(i / steps * 1000) for i in range(steps)]
    assert found[0] == 0
    assert (np.diff(found) > 0).all()


def test_to_bucket_floors():
    t = jnp.asarray([0.0, 0.0009, 0.001, 0.5, 0.999], jnp.float32)
    assert flow.to_bucket(t, 1000).tolist() == [0, 0, 1, 500, 999]


def test_training_times_follow_the_published_distribution():
    t = np.asarray(flow.sample_time(jax.random.key(3), (20_000,), 1.6, 0.8, 0.999))
    assert t.min() >= 0
    assert t.max() <= 0.999
    # 1 - t / 0.999 ~ Beta(1.6, 0.8)
    fit = stats.kstest(1 - t / 0.999, stats.beta(1.6, 0.8).cdf)
    assert fit.pvalue > 1e-3


def test_masked_loss_counts_kept_entries_only():
    noise, action = pair()
    mask = jnp.zeros(SHAPE, bool).at[0, :2].set(True)
    spoiled = action.at[1:].set(1e6)
    wanted = float(jnp.square(noise[0, :2] - action[0, :2]).mean())
    assert float(flow.masked_mse(noise, spoiled, mask)) == pytest.approx(wanted, rel=1e-6)
    assert float(flow.masked_mse(noise, action)) == pytest.approx(
        float(jnp.square(noise - action).mean()), rel=1e-6
    )


def test_sums_of_parts_add_up_to_those_of_the_whole():
    """What makes accumulation exact: the mean of parts of different sizes is not that of all."""
    noise, action = pair()
    mask = jax.random.bernoulli(jax.random.key(1), 0.3, SHAPE).at[2].set(False)
    total, count = flow.masked_squares(noise, action, mask)
    parts = [flow.masked_squares(*(x[i : i + 1] for x in (noise, action, mask))) for i in range(4)]
    assert float(count) == int(mask.sum()) == sum(int(part[1]) for part in parts)
    assert float(total) == pytest.approx(sum(float(part[0]) for part in parts), rel=1e-6)
    wanted = np.square(np.asarray(noise - action))[np.asarray(mask)].sum()
    assert float(total) == pytest.approx(float(wanted), rel=1e-5)
    assert float(flow.masked_mse(noise, action, mask)) == pytest.approx(float(total / count))
    assert float(parts[2][0]) == float(parts[2][1]) == 0


def test_sums_without_a_mask_count_everything_in_float32():
    noise, action = (x.astype(jnp.bfloat16) for x in pair())
    total, count = flow.masked_squares(noise, action)
    assert total.dtype == count.dtype == jnp.float32
    assert float(count) == np.prod(SHAPE)


def test_masked_loss_of_nothing_is_zero_with_zero_gradient():
    noise, action = pair()
    value, gradient = jax.value_and_grad(flow.masked_mse)(noise, action, jnp.zeros(SHAPE, bool))
    assert float(value) == 0
    assert float(jnp.abs(gradient).max()) == 0


def test_loss_is_float32_for_bfloat16_inputs():
    noise, action = (x.astype(jnp.bfloat16) for x in pair())
    assert flow.masked_mse(noise, action).dtype == jnp.float32


def test_guidance_of_scale_zero_is_the_conditional_velocity():
    conditional, unconditional = pair()
    np.testing.assert_array_equal(flow.guide(conditional, unconditional, 0.0), conditional)
    np.testing.assert_allclose(
        flow.guide(conditional, unconditional, 2.0), 3 * conditional - 2 * unconditional, rtol=1e-5
    )


def test_guidance_without_difference_does_nothing():
    same, _ = pair()
    np.testing.assert_array_equal(flow.guide(same, same, 5.0), same)


def known_part(weight: float = 1.0, first: int = 2) -> flow.Known:
    """The first steps of a chunk, known."""
    weights = jnp.zeros(SHAPE).at[:, :first].set(weight)
    return flow.Known(jnp.broadcast_to(jnp.linspace(-1, 1, SHAPE[2]), SHAPE), weights)


def test_inpainting_with_nothing_known_is_euler():
    noise, action = pair()
    field = lambda x, t: jnp.tanh(action - x) * (1 + t)  # noqa: E731
    times = jnp.arange(8) / 8
    nothing = known_part()._replace(weights=jnp.zeros(SHAPE))
    np.testing.assert_allclose(
        flow.inpaint(field, noise, times, nothing), flow.euler(field, noise, times), atol=1e-6
    )


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_frozen_values_are_those_that_are_known(steps):
    noise, action = pair()
    known = known_part()
    found = flow.inpaint(lambda x, t: action - noise, noise, jnp.arange(steps), known)
    np.testing.assert_array_equal(found[:, :2], known.actions[:, :2])
    np.testing.assert_allclose(found[:, 2:], action[:, 2:], atol=1e-5)


def test_the_pull_is_that_of_the_formula_and_bounded():
    t = np.arange(1, 16) / 16
    wanted = np.minimum(5, (t**2 + (1 - t) ** 2) / (t * (1 - t)))
    found = flow.pull(16, 5.0)
    np.testing.assert_allclose(found[1:], wanted, rtol=1e-6)
    assert found[0] == 5
    assert flow.pull(2, 5.0).max() <= 2
    assert flow.pull(1, 5.0).tolist() == [1]


def test_a_soft_weight_pulls_part_of_the_way():
    """Points spread normally around `action`: the field of their flow is known exactly."""
    noise, action = pair()
    times, spread = jnp.arange(32) / 32, 0.5

    def field(x, t):
        gain = (t * spread**2 - (1 - t)) / (t**2 * spread**2 + (1 - t) ** 2)
        return action + gain * (x - t * action)

    def distance(weight):
        known = known_part(weight)
        found = flow.inpaint(field, noise, times, known)
        return float(jnp.abs(found - known.actions)[:, :2].mean())

    far = [distance(weight) for weight in (0.0, 0.2, 0.6, 0.99)]
    assert far[0] > far[1] > far[2] > far[3]


def test_the_free_part_follows_the_known_one():
    """Two normal values of correlation 0.9: given that the first is 1.5, the second is 1.35 with a
    deviation of 0.436. The pull is an approximation that comes 80 % of the way, more without limit.
    """
    covariance = jnp.asarray([[1.0, 0.9], [0.9, 1.0]])

    def field(x, t):
        mixed = t**2 * covariance + (1 - t) ** 2 * jnp.eye(2)
        gain = (t * covariance - (1 - t) * jnp.eye(2)) @ jnp.linalg.inv(mixed)
        return jnp.einsum("ij,bjd->bid", gain, x)

    noise = jax.random.normal(jax.random.key(0), (4000, 2, 1))
    frozen = flow.Known(jnp.full_like(noise, 1.5), jnp.zeros_like(noise).at[:, 0].set(1))
    times = jnp.arange(64) / 64
    free = flow.euler(field, noise, times)[:, 1]
    means = []
    for limit in (0.0, 1.0, 5.0, 50.0):
        found = flow.inpaint(field, noise, times, frozen, limit)[:, 1]
        means.append(float(found.mean()))
        if limit == 0:
            np.testing.assert_allclose(found, free, atol=1e-5)
        if limit >= 5:
            assert 0.8 * 1.35 < means[-1] < 1.35
            assert 0.436 < float(found.std()) < 0.436 * 1.2
    assert means == sorted(means)
