"""A state as the items of a checkpoint, and back.

  params  what is used for inference: the averaged parameters with the frozen ones, exported
  state   what only training needs: the parameters themselves, the optimiser, the counters

Where the export leaves parameters as they are, the average is read from `params`; where it does
not (adapters are merged), `state` holds the average and the frozen parameters, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from nitrogen_jax.training import sharding
from nitrogen_jax.training.build import Built
from nitrogen_jax.training.state import TrainState
from nitrogen_jax.training.trees import combine, flatten, unflatten

Items = dict[str, Any]


def items(built: Built, state: TrainState) -> Items:
    """The arrays to save."""
    full = combine(state.ema, state.frozen)
    own = {"step": state.step, "skipped": state.skipped, "params": state.params, "opt": state.opt}
    if _keeps_all(built):
        return {"params": full, "state": own}
    return {
        "params": exported(built, state),
        "state": {**own, "ema": state.ema, "frozen": state.frozen},
    }


def exported(built: Built, state: TrainState) -> Any:
    """The parameters for inference."""
    full = combine(state.ema, state.frozen)
    return full if _keeps_all(built) else built.export(full)


def like(built: Built) -> Items:
    """What `items` would be, as shapes that say how each array is to lie on the mesh."""
    state = built.state
    full = combine(state.ema, state.frozen)
    if _keeps_all(built):
        return items(built, state)
    shapes = jax.eval_shape(built.task.export, full)
    placed = sharding.shardings(built.mesh, shapes, built.config.shard)
    out = jax.tree.map(
        lambda leaf, to: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=to), shapes, placed
    )
    own = {"step": state.step, "skipped": state.skipped, "params": state.params, "opt": state.opt}
    return {"params": out, "state": {**own, "ema": state.ema, "frozen": state.frozen}}


def state_of(built: Built, found: Mapping[str, Any]) -> TrainState:
    """The state that `items` were made of."""
    own = found["state"]
    if _keeps_all(built):
        flat = flatten(found["params"])
        ema = unflatten({path: flat[path] for path in flatten(built.state.ema)})
        frozen = unflatten({path: flat[path] for path in flatten(built.state.frozen)})
    else:
        ema, frozen = own["ema"], own["frozen"]
    return TrainState(own["step"], own["skipped"], own["params"], ema, frozen, own["opt"])


def _keeps_all(built: Built) -> bool:
    """Whether the task exports its parameters under the same names."""
    full = combine(built.state.ema, built.state.frozen)
    return flatten(jax.eval_shape(built.task.export, full)).keys() == flatten(full).keys()
