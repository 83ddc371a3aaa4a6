"""One update: accumulation, bad batches, what stays and what is counted, on a small task."""

from __future__ import annotations

import dataclasses
import functools
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nitrogen_jax.training import build
from nitrogen_jax.training.begin import begin
from nitrogen_jax.training.build import Built
from nitrogen_jax.training.lora import Lora
from nitrogen_jax.training.state import TrainState
from nitrogen_jax.training.train_config import Optimizer, TrainConfig
from nitrogen_jax.training.trees import flatten

sys.path.insert(0, str(Path(__file__).parent))
from toys import OUTPUTS, ToyData, ToyTask, toy_config

BATCH = 16
CLEAN = ToyData()
ALL = ((".*", True),)
PLAIN = Optimizer(rate=1e-2, warmup=2, clip=None, weight_decay=0.1)


@functools.cache
def built(**changes) -> Built:
    config = toy_config(**{"batch": BATCH, "optimizer": PLAIN, **changes}).check()
    return build.build(config, build.make_mesh(config, jax.devices()[:1]))


def start(made: Built) -> TrainState:
    """The state before the first step, on the host; the same for all that trains whole."""
    config = made.config
    return _start(**{"freeze": config.freeze, "lora": config.lora} if made.trainable != ALL else {})


@functools.cache
def _start(**changes) -> TrainState:
    return jax.device_get(begin(built(**changes))[0])


@functools.cache
def program(config: TrainConfig) -> jax.stages.Compiled:
    """The step, compiled once as the loop does."""
    made = build.build(config, build.make_mesh(config, jax.devices()[:1]))
    return made.lower().compile()


def run(made: Built, batches, state: TrainState | None = None, stop: int = 0):
    """The state behind these batches, and the metrics of each of them."""
    places = jax.tree.map(lambda leaf: leaf.sharding, (made.state, made.batch, made.stop))
    state = jax.device_put(start(made) if state is None else state, places[0])
    step, told = program(made.config), []
    for batch in batches:
        given = jax.device_put((batch, np.full(1, stop, np.int32)), places[1:])
        state, metrics = step(state, *given)
        told.append(jax.device_get(metrics))
    return jax.device_get(state), told


def batches(count: int, data: ToyData = CLEAN):
    return [data.at(number, BATCH, seed=5) for number in range(count)]


def equal(one, other) -> None:
    """Trees that are the same to the last bit."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    for left, right in pairs:
        np.testing.assert_array_equal(left, right)


def close(one, other, rtol: float = 2e-5) -> None:
    for (path, left), right in zip(flatten(one).items(), flatten(other).values(), strict=True):
        scale = np.abs(right).max() + 1e-6
        np.testing.assert_allclose(left, right, rtol=0, atol=rtol * scale, err_msg=path)


@pytest.fixture(scope="module")
def plain() -> Built:
    return built()


def test_a_step_is_the_gradient_of_the_mean_through_the_optimiser(plain):
    """Against the same put together by hand, without any of step.py."""
    (batch,) = batches(1, ToyData(half_at=(0,)))
    state = start(plain)
    found, (told,) = run(plain, [batch])
    task, kept = plain.config.task, batch["valid"]

    def mean(params):
        error = task.predict(params, batch["x"][kept]) - batch["y"][kept]
        return jnp.square(error).mean(), jnp.abs(error).mean()

    (value, absolute), grads = jax.value_and_grad(mean, has_aux=True)(state.params)
    assert told["loss"] == pytest.approx(float(value), rel=1e-5)
    assert told["absolute"] == pytest.approx(float(absolute), rel=1e-5)
    assert told["grad_norm"] == pytest.approx(float(optax.tree.norm(grads)), rel=1e-5)
    assert told["weight"] == OUTPUTS * kept.sum() == BATCH
    assert told["rate"] == pytest.approx(PLAIN.rate / 2)
    # The first update of Adam: the gradient over its own size.
    for path, before in flatten(state.params).items():
        g = np.asarray(flatten(grads)[path], np.float64)
        decay = PLAIN.weight_decay * before if path.endswith("/kernel") else 0.0
        wanted = before - PLAIN.rate / 2 * (g / (np.abs(g) + PLAIN.eps) + decay)
        large = np.abs(g) > 1e-5
        np.testing.assert_allclose(flatten(found.params)[path][large], wanted[large], atol=1e-6)


def test_losses_fall(plain):
    _, told = run(plain, batches(8) * 20)
    losses = [one["loss"] for one in told]
    assert np.mean(losses[-8:]) < 0.1 * np.mean(losses[:8])


def test_the_same_again_is_the_same_to_the_last_bit(plain):
    one, told = run(plain, batches(3))
    other, again = run(plain, batches(3))
    equal((one, told), (other, again))


def test_micro_batches_add_up_to_the_batch_however_uneven_their_masks_are(plain):
    """Every other row of the second batch is invalid: one of its micro-batches is empty."""
    given = batches(4, ToyData(half_at=(1,)))
    given[2]["valid"][3:10] = False  # 4 and 5 of 8 stay
    wanted, once = run(plain, given)
    found, told = run(built(accumulate=2), given)
    for one, other in zip(told, once, strict=True):
        for name in ("loss", "grad_norm", "absolute", "weight"):
            assert one[name] == pytest.approx(other[name], rel=1e-5), name
    close(found.params, wanted.params)
    close(found.ema, wanted.ema)


def test_randomness_follows_seed_step_and_micro_batch():
    task = ToyTask(noise=0.5)
    (batch,) = batches(1)
    still = dataclasses.replace(PLAIN, rate=0.0)
    made = built(task=task, accumulate=2, seed=3, optimizer=still)
    _, told = run(made, [batch] * 2)
    for step, one in enumerate(told):
        key = jax.random.fold_in(jax.random.key(3), step)
        micro = [{name: x[m::2] for name, x in batch.items()} for m in range(2)]
        keys = [jax.random.fold_in(key, m) for m in range(2)]
        found = [task.loss(start(made).params, *given) for given in zip(micro, keys, strict=True)]
        wanted = sum(float(part.total) for part in found) / (OUTPUTS * BATCH)
        assert one["loss"] == pytest.approx(wanted, rel=1e-5)
    assert told[0]["loss"] != pytest.approx(told[1]["loss"], rel=1e-3)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_batch_that_is_not_finite_changes_nothing_but_the_counters(plain, accumulate):
    made = plain if accumulate == 1 else built(accumulate=2)
    good, bad = batches(4), batches(1, ToyData(nan_at=(0,)))
    before, _ = run(made, good[:2])
    after, (told,) = run(made, bad, before)
    assert not told["finite"]
    assert not np.isfinite(told["loss"])
    assert (after.step, after.skipped, told["skipped"]) == (3, 1, 1)
    equal(after[2:], before[2:])
    # From there on everything is as if the batch had not been: rate, bias correction, average.
    found, later = run(made, good[2:], after)
    wanted, told = run(made, good)
    equal(found[2:], wanted[2:])
    assert [one["rate"] for one in later] == [one["rate"] for one in told[2:]]
    assert (found.step, found.skipped) == (5, 1)


def test_a_gradient_that_is_not_finite_is_noticed_where_the_loss_is():
    @dataclass(frozen=True)
    class Root(ToyTask):
        def loss(self, params, batch, key):
            found = ToyTask.loss(self, params, batch, key)
            zero = (params["unused"]["bias"] ** 2).sum()
            return found._replace(total=found.total + jnp.sqrt(zero))

    made = built(task=Root())
    before = start(made)
    after, (told,) = run(made, batches(1))
    assert np.isfinite(told["loss"])
    assert not np.isfinite(told["grad_norm"])
    assert not told["finite"]
    assert after.skipped == 1
    equal(after[2:], before[2:])


def test_a_batch_without_a_valid_sample_is_no_update(plain):
    """Weight decay and momentum would change parameters all the same."""
    before, _ = run(plain, batches(1))
    after, (told,) = run(plain, batches(1, ToyData(invalid_at=(0,))), before)
    assert told["finite"]
    assert (told["weight"], told["loss"], told["grad_norm"]) == (0, 0, 0)
    assert (after.step, after.skipped) == (2, 1)
    equal(after[2:], before[2:])


def test_invalid_samples_do_not_count(plain):
    """Whatever is in them: half a batch learns the same with other values in the other half."""
    (batch,) = batches(1, ToyData(half_at=(0,)))
    other = {name: x.copy() for name, x in batch.items()}
    other["x"][1::2] = -3.0
    other["y"][1::2] = 9.0
    one, told = run(plain, [batch])
    two, again = run(plain, [other])
    equal((one, told), (two, again))


def test_what_is_frozen_stays_to_the_last_bit_and_what_is_left_is_clipped_together(plain):
    rules = (("middle/.*", False), (".*/bias", False), (".*", True))
    limit = 0.01
    made = built(freeze=rules, optimizer=dataclasses.replace(PLAIN, beta1=0.0, clip=limit))
    before = start(made)
    after, told = run(made, batches(3))
    frozen = ["first/bias", "last/bias", "middle/bias", "middle/kernel", "unused/bias"]
    assert list(flatten(after.frozen)) == frozen
    equal(after.frozen, before.frozen)
    assert list(flatten(after.params)) == ["first/kernel", "last/kernel", "unused/kernel"]
    assert (after.params["first"]["kernel"] != before.params["first"]["kernel"]).all()
    mu = optax.tree.get(after.opt, "mu")
    assert flatten(mu).keys() == flatten(after.params).keys() == flatten(after.ema).keys()
    # Without momentum, what Adam keeps is the gradient that it was given.
    assert float(optax.tree.norm(mu)) == pytest.approx(limit, rel=1e-5)
    # The norm that is told is that of what trains, before it is clipped.
    assert limit < told[0]["grad_norm"] < run(plain, batches(1))[1][0]["grad_norm"]


def test_the_average_is_of_the_parameters_behind_each_update(plain):
    state = start(plain)
    average = state.ema
    for n, batch in enumerate(batches(4)):
        state, _ = run(plain, [batch], state)
        decay = min(PLAIN.ema, (1 + n) / (10 + n))
        average = jax.tree.map(lambda a, p, d=decay: d * a + (1 - d) * p, average, state.params)
    close(state.ema, average, 1e-6)


def test_bfloat16_is_in_the_products_alone():
    after, told = run(built(task=ToyTask(dtype="bfloat16")), batches(2))
    _, exact = run(built(), batches(2))
    types = {leaf.dtype.name for leaf in jax.tree.leaves(after[2:]) if leaf.ndim}
    assert types == {"float32"}
    assert told[0]["loss"].dtype == np.float32
    assert told[0]["loss"] != exact[0]["loss"]
    assert told[0]["loss"] == pytest.approx(exact[0]["loss"], rel=0.02)
    assert told[0]["grad_norm"] == pytest.approx(exact[0]["grad_norm"], rel=0.05)
    # Parameters keep what bfloat16 has no digits for.
    kernel = after.params["middle"]["kernel"]
    assert (kernel != np.asarray(kernel, jnp.bfloat16).astype(np.float32)).any()


def test_adapters_train_and_the_base_stays_to_the_last_bit():
    adapters = Lora(rank=2, alpha=4.0, targets=("(first|middle)/kernel",))
    made = built(lora=adapters, task=ToyTask(dtype="bfloat16"))
    before = start(made)
    after, told = run(made, batches(12) * 4)
    equal(after.frozen, before.frozen)
    assert {path.split("/")[0] for path in flatten(after.params)} == {"lora"}
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(after.params))
    assert np.mean([one["loss"] for one in told[-12:]]) < told[0]["loss"]
    cast = made.task.cast({**before.frozen, **before.params})
    types = {path: leaf.dtype.name for path, leaf in flatten(cast).items()}
    assert types["middle/kernel"] == "bfloat16"
    assert types["middle/bias"] == types["lora/middle/a"] == "float32"


def test_processes_hear_each_other(plain):
    assert run(plain, batches(1), stop=4)[1][0]["stop"] == 4


def test_one_program_serves_all_steps(plain):
    """It takes the state as it gave it, and nothing is compiled on the way."""
    state, _ = run(plain, batches(1))
    compiled = []

    def listen(name: str, *_: object, **__: object) -> None:
        compiled.extend([name] if "compile" in name else [])

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        run(plain, batches(4, ToyData(nan_at=(1,), invalid_at=(2,))), state)
        assert compiled == []
        jax.jit(lambda x: x * 17.5)(1.0)
        assert compiled  # the listener would have heard
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
