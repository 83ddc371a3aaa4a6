"""AdamW with rules by path, its warm-up-stable-decay schedule, the average of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nitrogen_jax.training.rules import decide
from nitrogen_jax.training.train_config import Optimizer
from nitrogen_jax.training.trees import map_with_path


def schedule(cfg: Optimizer, steps: int) -> Callable[[Array], Array]:
    """Learning rate of update n = 0, 1, ... of `steps`: up, level, down.

    The first update already has a rate above 0, and so has the last one of a decay to 0.
    """

    def rate(n: Array) -> Array:
        up = jnp.minimum((n + 1) / max(cfg.warmup, 1), 1.0)
        left = jnp.clip((steps - n) / max(cfg.decay, 1), 0.0, 1.0) if cfg.decay else 1.0
        return cfg.rate * up * (cfg.final + (1 - cfg.final) * left)

    return rate


def make(cfg: Optimizer, steps: int, params: Mapping[str, Any]) -> optax.GradientTransformation:
    """The transformation of gradients to updates.

    Args:
        params: those that train, or their shapes: each must match a rule of every list.
    """
    decayed = map_with_path(lambda path, _: bool(decide(path, cfg.decay_rules)), params)
    factors = map_with_path(lambda path, _: float(decide(path, cfg.rate_rules)), params)
    return optax.chain(
        optax.identity() if cfg.clip is None else optax.clip_by_global_norm(cfg.clip),
        optax.scale_by_adam(cfg.beta1, cfg.beta2, cfg.eps),
        optax.add_decayed_weights(cfg.weight_decay, decayed),
        optax.stateless(lambda updates, _: jax.tree.map(lambda u, f: f * u, updates, factors)),
        optax.scale_by_learning_rate(schedule(cfg, steps)),
    )


def average(cfg: Optimizer, ema: Any, params: Any, n: Array) -> Any:
    """The moving average after update n = 0, 1, ..., which made `params`."""
    decay = jnp.float32(cfg.ema)
    if cfg.ema_warmup:
        decay = jnp.minimum(decay, (1.0 + n) / (10.0 + n))
    return optax.incremental_update(params, ema, 1 - decay)
