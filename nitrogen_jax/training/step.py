"""One update as a pure function of (state, batch): randomness is `fold_in(key, state.step)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nitrogen_jax.training import mesh as meshes
from nitrogen_jax.training import optimizer as optimizers
from nitrogen_jax.training.state import TrainState
from nitrogen_jax.training.task import Batch, Loss, Task
from nitrogen_jax.training.train_config import TrainConfig
from nitrogen_jax.training.trees import combine

Metrics = dict[str, Array]
Step = Callable[[TrainState, Batch, Array], tuple[TrainState, Metrics]]


def make_step(
    task: Task, config: TrainConfig, transform: optax.GradientTransformation, placed: Any = None
) -> Step:
    """The step: (state, batch, stop) -> (the next state, scalars).

    `stop` (any shape, int32) is what the processes want to tell each other; its sum comes back
    with the metrics, so that all of them see the same at the same step.

    Args:
        transform: what `optimizer.make` made.
        placed: shardings of the trained parameters, which the gradients get; None: wherever.
    """
    rate = optimizers.schedule(config.optimizer, config.steps)

    def gathered(params: Any) -> Any:
        """Parameters as the network multiplies with them, whole on every device.

        NOTE: without this the compiler gathers whatever is smaller, and for some layers that is
        the activations of the whole batch.
        """
        params = task.cast(params)
        if placed is None:
            return params
        whole = meshes.replicated(jax.tree.leaves(placed)[0].mesh)
        return jax.lax.with_sharding_constraint(params, whole)

    def gradient(params: Any, frozen: Any, batch: Batch, key: Array) -> tuple[Loss, Any]:
        def total(params: Any) -> tuple[Array, Loss]:
            loss = task.loss(combine(params, frozen), batch, key)
            return loss.total, loss

        grads, loss = jax.grad(total, has_aux=True)(params)
        # NOTE: summed over the devices and divided again, as the parameters are.
        grads = grads if placed is None else jax.lax.with_sharding_constraint(grads, placed)
        return loss, jax.tree.map(lambda g: g.astype(jnp.float32), grads)

    def accumulated(state: TrainState, batch: Batch, key: Array) -> tuple[Loss, Any]:
        count = config.accumulate
        params, frozen = gathered(state.params), gathered(state.frozen)
        if count == 1:
            return gradient(params, frozen, batch, key)
        # NOTE: micro-batch m takes rows m, m + count, ...: each device finds its part of every
        # micro-batch in its own part of the batch, and no sample moves.
        micro = jax.tree.map(
            lambda x: jnp.swapaxes(x.reshape(-1, count, *x.shape[1:]), 0, 1), dict(batch)
        )

        def add(sums: Any, given: Any) -> tuple[Any, None]:
            index, one = given
            found = gradient(params, frozen, one, jax.random.fold_in(key, index))
            return jax.tree.map(jnp.add, sums, found), None

        first = jax.tree.map(lambda x: x[0], micro)
        like = jax.eval_shape(gradient, params, frozen, first, key)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
        if placed is not None:
            zeros = (zeros[0], jax.lax.with_sharding_constraint(zeros[1], placed))
        return jax.lax.scan(add, zeros, (jnp.arange(count), micro))[0]

    def step(state: TrainState, batch: Batch, stop: Array) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        loss, grads = accumulated(state, batch, key)
        grads = jax.tree.map(lambda g: g / jnp.maximum(loss.weight, 1), grads)
        norm, value = optax.tree.norm(grads), loss.total / jnp.maximum(loss.weight, 1)
        finite = jnp.isfinite(norm) & jnp.isfinite(value)
        applied = state.step - state.skipped
        updates, opt = transform.update(grads, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = optimizers.average(config.optimizer, state.ema, params, applied)
        # Also where nothing of the batch is valid: weight decay alone is no update.
        good = finite & (loss.weight > 0)
        params, ema, opt = jax.tree.map(
            lambda new, old: jnp.where(good, new, old),
            (params, ema, opt),
            (state.params, state.ema, state.opt),
        )
        skipped = state.skipped + (~good).astype(jnp.int32)
        metrics = {
            "loss": value,
            "grad_norm": norm,
            "rate": rate(applied),
            "weight": loss.weight,
            "finite": finite,
            "skipped": skipped,
            "stop": stop.sum(),
            **{name: part / jnp.maximum(n, 1) for name, (part, n) in loss.parts.items()},
        }
        return TrainState(state.step + 1, skipped, params, ema, state.frozen, opt), metrics

    return step
