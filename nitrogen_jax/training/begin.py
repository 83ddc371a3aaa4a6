"""The state before the first step: random parameters, or those that the task finds in files."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from nitrogen_jax.training import lora
from nitrogen_jax.training.build import Built
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.state import TrainState
from nitrogen_jax.training.trees import partition


def begin(built: Built) -> tuple[TrainState, dict[str, Any], list[str]]:
    """The state on the mesh, where its parameters come from, and what is to be said of them.

    The same on every mesh and for any number of processes; all of them call it.
    """
    config = built.config
    key = jax.random.key(config.seed)
    if config.start == Start():
        trained, frozen = built.init(key)
        provenance = {"source": f"random parameters, seed {config.seed}"}
        return built.make_state(trained, frozen), provenance, []
    started = config.task.start(config.start, config.seed)
    params = started.params
    if config.lora is not None:
        made = lora.add(config.lora, jax.random.fold_in(key, 1), params)
        params = {**params, "lora": jax.tree.map(np.asarray, made["lora"])}
    trained, frozen = (
        jax.tree.map(_placed, part, like)
        for part, like in zip(
            partition(params, built.trainable),
            (built.state.params, built.state.frozen),
            strict=True,
        )
    )
    return built.make_state(trained, frozen), started.provenance, started.notices


def _placed(leaf: np.ndarray, like: jax.ShapeDtypeStruct) -> jax.Array:
    """A host array, the same on all hosts, divided as `like` says."""
    return jax.make_array_from_callback(like.shape, like.sharding, lambda part: leaf[part])
