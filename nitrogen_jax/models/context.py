"""The context: kept frames right-aligned, a game token before them, zeros on the left."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nitrogen_jax.errors import NitrogenError


def assemble(
    tokens_BFNW: Array, dropped_BF: Array | None, game_BW: Array | None, length: int
) -> Array:
    """Tokens of F frames -> context (B, length, W).

    From the right: the kept frames in order, the newest last; then the game token if there is
    one; then zeros. The zeros are attended to: the original has no mask either.

    NOTE: positions depend on which frames are dropped, so frames are sorted (dropped first, as
    zeros) instead of gathered: shapes stay static. What does not fit in `length` must be dropped
    frames, see `check_fits`.
    """
    batch, frames, per_frame, width = tokens_BFNW.shape
    if dropped_BF is None:
        dropped_BF = jnp.zeros((batch, frames), bool)
    dropped_BF = dropped_BF.astype(bool)
    order_BF = jnp.argsort(~dropped_BF, axis=1, stable=True)
    tokens_BFNW = jnp.where(dropped_BF[:, :, None, None], 0, tokens_BFNW)
    tokens_BFNW = jnp.take_along_axis(tokens_BFNW, order_BF[:, :, None, None], axis=1)
    filled = tokens_BFNW.reshape(batch, frames * per_frame, width)
    missing = length - filled.shape[1]
    context = (
        jnp.pad(filled, ((0, 0), (missing, 0), (0, 0))) if missing > 0 else filled[:, -missing:]
    )
    if game_BW is None:
        return context
    place_B = length - 1 - per_frame * (~dropped_BF).sum(axis=1)
    at_BL = jnp.arange(length) == place_B[:, None]
    return jnp.where(at_BL[:, :, None], game_BW[:, None, :].astype(context.dtype), context)


def check_fits(kept: np.ndarray | int, per_frame: int, game: bool, length: int) -> None:
    """Raises unless the fullest example, `kept` (B,) frames and the game token, fits."""
    most = int(np.max(kept, initial=0)) if isinstance(kept, np.ndarray) else kept
    needed = most * per_frame + game
    if needed > length:
        token = " and a game token" if game else ""
        raise NitrogenError(
            f"the context has {length} positions (context_length) and {most} frame(s) of "
            f"{per_frame} tokens{token} need {needed}: give fewer frames or drop some"
        )


@jax.custom_vjp
def game_lookup(table_GW: Array, ids_B: Array) -> Array:
    """Rows of the game embedding, (B, W).

    Its gradient is the original's: a row's gradient is divided by how often the game occurs in
    the batch, and row 0 ("no game") never learns.
    """
    return table_GW[ids_B]


def _lookup_forward(table_GW: Array, ids_B: Array):
    return table_GW[ids_B], (ids_B, table_GW)


def _lookup_backward(residual, gradient_BW: Array):
    ids_B, table_GW = residual
    # NOTE: in float32 whatever the table is in: bfloat16 counts to 256 and no further.
    counts_G = jnp.zeros(table_GW.shape[0], jnp.float32).at[ids_B].add(1)
    gradient_BW = gradient_BW.astype(jnp.float32)
    gradient_GW = jnp.zeros(table_GW.shape, jnp.float32).at[ids_B].add(gradient_BW)
    gradient_GW = (gradient_GW / jnp.maximum(counts_G, 1)[:, None]).at[0].set(0)
    return gradient_GW.astype(table_GW.dtype), None


game_lookup.defvjp(_lookup_forward, _lookup_backward)
