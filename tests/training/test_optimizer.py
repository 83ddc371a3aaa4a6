"""The schedule at its corners, AdamW and its rules against NumPy, and the average."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.training import optimizer
from nitrogen_jax.training.train_config import Optimizer

RATE = 0.5
LONGEST = 30  # one shape for all schedules, so that nothing is compiled twice


def rates(steps: int, **changes) -> list[float]:
    schedule = optimizer.schedule(Optimizer(rate=RATE, **changes), steps)
    return np.asarray(schedule(jnp.arange(LONGEST))).tolist()[:steps]


def test_the_rate_goes_up_stays_and_goes_down():
    found = rates(10, warmup=4, decay=3, final=0.1)
    level = [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]  # of updates 0 to 7; the decay begins behind the 7th
    down = [0.1 + 0.9 * 2 / 3, 0.1 + 0.9 / 3]
    np.testing.assert_allclose(found, np.multiply(level + down, RATE), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"warmup": 0}, [1, 1, 1, 1]),
        ({"warmup": 1}, [1, 1, 1, 1]),
        ({"warmup": 2}, [1 / 2, 1, 1, 1]),
        ({"warmup": 4}, [1 / 4, 1 / 2, 3 / 4, 1]),  # all of the run
        ({"warmup": 0, "decay": 4}, [1, 3 / 4, 1 / 2, 1 / 4]),
        ({"warmup": 2, "decay": 2}, [1 / 2, 1, 1, 1 / 2]),
        ({"warmup": 0, "decay": 1}, [1, 1, 1, 1]),  # the one step of it is the first
        ({"warmup": 0, "decay": 2, "final": 1.0}, [1, 1, 1, 1]),
        ({"warmup": 0, "decay": 0, "final": 0.5}, [1, 1, 1, 1]),  # without a decay none is needed
    ],
)
def test_corners_of_the_schedule(changes, wanted):
    np.testing.assert_allclose(rates(4, **changes), np.multiply(wanted, RATE), rtol=1e-6)


def test_behind_the_end_the_rate_is_the_final_one():
    schedule = optimizer.schedule(Optimizer(rate=RATE, warmup=1, decay=2, final=0.1), 5)
    assert [float(schedule(n)) for n in (5, 6, 50)] == pytest.approx([0.05] * 3)


@given(
    data=st.data(),
    steps=st.integers(1, LONGEST),
    final=st.floats(0, 1),
)
def test_rates_are_positive_and_rise_to_the_level_and_fall(data, steps, final):
    warmup = data.draw(st.integers(0, steps))
    decay = data.draw(st.integers(0, steps - warmup))
    found = rates(steps, warmup=warmup, decay=decay, final=final)
    assert min(found) > 0
    assert max(found) <= RATE * (1 + 1e-6)
    peak = max(warmup - 1, 0)
    assert found[peak] == pytest.approx(RATE)
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    level = found[peak : max(steps - decay, peak + 1)]
    assert level == pytest.approx([RATE] * len(level))
    assert found[-1] >= min(RATE * final, found[peak]) * (1 - 1e-5)


PARAMS = {
    "vision": {"kernel": jnp.asarray([[1.0, -2.0]]), "bias": jnp.asarray([3.0])},
    "dit": {"kernel": jnp.asarray([[4.0]]), "scale": jnp.asarray([-1.0])},
}
GRADS = [
    {
        "vision": {"kernel": jnp.asarray([[0.3, 0.1]]) * n, "bias": jnp.asarray([-2.0]) + n},
        "dit": {"kernel": jnp.asarray([[0.5]]), "scale": jnp.asarray([0.25]) * n},
    }
    for n in (1.0, -2.0, 0.5)
]


def adamw(cfg: Optimizer, steps: int, factors: dict, decayed: dict) -> dict:
    """The textbook's, in float64, on flat trees."""
    params = {k: np.asarray(v, np.float64) for k, v in flat(PARAMS).items()}
    first = dict.fromkeys(params, 0.0)
    second = dict(first)
    for n, grads in enumerate(map(flat, GRADS)):
        norm = np.sqrt(sum(np.square(np.asarray(g, np.float64)).sum() for g in grads.values()))
        clip = min(1.0, cfg.clip / norm) if cfg.clip else 1.0
        rate = float(optimizer.schedule(cfg, steps)(n))
        for k, g in grads.items():
            g = np.asarray(g, np.float64) * clip
            first[k] = cfg.beta1 * first[k] + (1 - cfg.beta1) * g
            second[k] = cfg.beta2 * second[k] + (1 - cfg.beta2) * g * g
            mean = first[k] / (1 - cfg.beta1 ** (n + 1))
            power = second[k] / (1 - cfg.beta2 ** (n + 1))
            step = mean / (np.sqrt(power) + cfg.eps) + cfg.weight_decay * decayed[k] * params[k]
            params[k] = params[k] - rate * factors[k] * step
    return params


def flat(tree) -> dict:
    return {f"{a}/{b}": leaf for a, inner in tree.items() for b, leaf in inner.items()}


@pytest.mark.parametrize("clip", [None, 1.0, 100.0])
def test_updates_are_those_of_adamw_with_rules_by_path(clip):
    cfg = Optimizer(
        rate=0.1,
        warmup=2,
        weight_decay=0.3,
        clip=clip,
        decay_rules=((".*/scale", True), ("dit/kernel", True), (".*", False)),
        rate_rules=(("vision/bias", 0.0), ("vision/.*", 0.1), (".*", 1.0)),
    )
    transform = optimizer.make(cfg, 10, PARAMS)
    params, state = PARAMS, transform.init(PARAMS)
    for grads in GRADS:
        updates, state = transform.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    factors = {"vision/kernel": 0.1, "vision/bias": 0.0, "dit/kernel": 1.0, "dit/scale": 1.0}
    decayed = {"vision/kernel": 0, "vision/bias": 0, "dit/kernel": 1, "dit/scale": 1}
    wanted = adamw(cfg, 10, factors, decayed)
    for path, leaf in flat(params).items():
        np.testing.assert_allclose(leaf, wanted[path], rtol=2e-5, err_msg=path)
    np.testing.assert_array_equal(params["vision"]["bias"], PARAMS["vision"]["bias"])


def test_kernels_alone_are_decayed_by_default():
    cfg = Optimizer(rate=1.0, warmup=0, weight_decay=0.25, clip=None)
    transform = optimizer.make(cfg, 10, PARAMS)
    still = jax.tree.map(jnp.zeros_like, PARAMS)
    updates, _ = transform.update(still, transform.init(PARAMS), PARAMS)
    found = {path: np.asarray(leaf).ravel().tolist() for path, leaf in flat(updates).items()}
    assert found == {
        "vision/kernel": [-0.25, 0.5],
        "vision/bias": [0.0],
        "dit/kernel": [-1.0],
        "dit/scale": [0.0],
    }


@pytest.mark.parametrize("field", ["decay_rules", "rate_rules"])
def test_a_parameter_without_a_rule_is_an_error(field):
    with pytest.raises(LookupError, match="vision/bias"):
        optimizer.make(Optimizer(**{field: ((".*/(kernel|scale)", 1.0),)}), 10, PARAMS)


@pytest.mark.parametrize("warmup", [False, True])
def test_the_average_follows_its_formula(warmup):
    cfg = Optimizer(ema=0.8, ema_warmup=warmup)
    values = [1.0, 5.0, -3.0, *[2.0] * 60]
    found, wanted = {"x": jnp.zeros(1)}, 0.0
    for n, value in enumerate(values):
        found = optimizer.average(cfg, found, {"x": jnp.full(1, value)}, jnp.int32(n))
        decay = min(0.8, (1 + n) / (10 + n)) if warmup else 0.8
        wanted = decay * wanted + (1 - decay) * value
        assert float(found["x"][0]) == pytest.approx(wanted, rel=1e-5)
    assert wanted == pytest.approx(2, abs=0.01)


def test_without_decay_the_average_is_the_parameters():
    found = optimizer.average(Optimizer(ema=0.0), {"x": jnp.ones(2)}, {"x": jnp.full(2, 7.0)}, 0)
    np.testing.assert_array_equal(found["x"], [7.0, 7.0])
