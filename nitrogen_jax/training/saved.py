"""A state as the items of a checkpoint, and back.

  params  what is used for inference: the averaged parameters with the frozen ones, exported
  state   what only training needs: the parameters themselves, the optimiser, the counters

Where the export leaves parameters as they are, the average is read from `params`; where it does
not (adapters are merged), `state` holds the average and the frozen parameters, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nitrogen_jax.training.build import Built
from nitrogen_jax.training.state import TrainState
from nitrogen_jax.training.trees import combine, flatten, unflatten

Items = dict[str, Any]


def items(built: Built, state: TrainState) -> Items:
    """The arrays to save."""
    full = combine(state.ema, state.frozen)
    return _items(built, state, full if built.exports_all else built.export(full))


def like(built: Built) -> Items:
    """What `items` would be, as shapes that say how each array is to lie on the mesh."""
    return _items(built, built.state, built.exported)


def state_of(built: Built, found: Mapping[str, Any]) -> TrainState:
    """The state that `items` were made of."""
    own = found["state"]
    if built.exports_all:
        flat = flatten(found["params"])
        ema = unflatten({path: flat[path] for path in flatten(built.state.ema)})
        frozen = unflatten({path: flat[path] for path in flatten(built.state.frozen)})
    else:
        ema, frozen = own["ema"], own["frozen"]
    return TrainState(own["step"], own["skipped"], own["params"], ema, frozen, own["opt"])


def _items(built: Built, state: TrainState, exported: Any) -> Items:
    own = {"step": state.step, "skipped": state.skipped, "params": state.params, "opt": state.opt}
    if not built.exports_all:
        own |= {"ema": state.ema, "frozen": state.frozen}
    return {"params": exported, "state": own}
