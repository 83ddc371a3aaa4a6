"""The policy as pure functions of (config, parameters, arrays): init, velocity, loss, sample.

A batch is a dict of
  frames    (B, F, H, W, 3) uint8, H = W = the tower's image size, the newest frame last
  dropped   (B, F) bool, frames that are missing; optional
  game_ids  (B,) int, rows of the game embedding, 0 = no game; optional
  actions   (B, T, A) float32, for the loss
  mask      (B, T, A) bool, entries that count in the loss; optional
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax import flow
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.blocks import KeysValues
from nitrogen_jax.models.configs import Compute, PolicyConfig
from nitrogen_jax.models.context import check_fits
from nitrogen_jax.models.network import Conditioning, Network

Params = Mapping[str, Any]
Batch = Mapping[str, Array]


def init(cfg: PolicyConfig, key: Array) -> Params:
    """Random float32 parameters, a nested dict."""
    size = cfg.vision.image_size
    frames = jnp.zeros((1, 1, size, size, 3), jnp.uint8)
    actions = jnp.zeros((1, cfg.horizon, cfg.action_dim))
    return Network(cfg).init(key, frames, actions, jnp.zeros(1, jnp.int32))["params"]


def shapes(cfg: PolicyConfig) -> Params:
    """The parameters as `jax.ShapeDtypeStruct`s, at no cost."""
    return jax.eval_shape(lambda key: init(cfg, key), jax.random.key(0))


def encode(
    cfg: PolicyConfig,
    params: Params,
    frames: Array,
    dropped: Array | None = None,
    game_ids: Array | None = None,
    *,
    compute: Compute,
) -> Array:
    """Frames -> mixed context (B, L, W): once per observation."""
    tokens = _tokens(cfg, params, frames, dropped, compute, game=game_ids is not None)
    return mix(cfg, params, context_in(cfg, params, tokens, dropped, game_ids), compute=compute)


def context_in(
    cfg: PolicyConfig,
    params: Params,
    tokens: Array,
    dropped: Array | None,
    game_ids: Array | None,
) -> Array:
    """Tokens (B, F, N, W) -> context before the mixer (B, L, W)."""
    return _apply(cfg, params, Compute(), "context_in", tokens, dropped, game_ids)


def mix(cfg: PolicyConfig, params: Params, context: Array, *, compute: Compute) -> Array:
    """Context before the mixer -> mixed context, both (B, L, W)."""
    return _apply(cfg, params, compute, "mix", context)


def keys_values(
    cfg: PolicyConfig, params: Params, context: Array, *, compute: Compute
) -> tuple[KeysValues | None, ...]:
    """Mixed context -> the cross-attention's keys and values: once per observation."""
    return _apply(cfg, params, compute, "keys_values", context)


def conditioning(
    cfg: PolicyConfig, params: Params, steps: int | None = None, *, compute: Compute
) -> Conditioning:
    """What the timesteps of `steps` Euler steps decide: once per parameter set."""
    buckets = flow.euler_buckets(steps or cfg.euler_steps, cfg.timestep_buckets)
    return _apply(cfg, params, compute, "conditioning", jnp.asarray(buckets))


def velocity(
    cfg: PolicyConfig, params: Params, context: Array, x: Array, t: Array, *, compute: Compute
) -> Array:
    """Velocity (B, T, A) at x (B, T, A) and time t (B,) in [0, 1], given the mixed context."""
    given = _apply(cfg, params, compute, "conditioning", flow.to_bucket(t, cfg.timestep_buckets))
    kv = keys_values(cfg, params, context, compute=compute)
    return _apply(cfg, params, compute, "denoise", x, given, kv)


def loss(cfg: PolicyConfig, params: Params, batch: Batch, key: Array, *, compute: Compute) -> Array:
    """The training loss of one batch, a scalar: random t and noise, dropout on."""
    time_key, noise_key, dropout_key = jax.random.split(key, 3)
    actions = batch["actions"]
    t = flow.sample_time(time_key, actions.shape[:1], cfg.time_alpha, cfg.time_beta, cfg.time_scale)
    noise = jax.random.normal(noise_key, actions.shape)
    return loss_at(cfg, params, batch, t, noise, dropout_key, compute=compute)


def loss_at(
    cfg: PolicyConfig,
    params: Params,
    batch: Batch,
    t: Array,
    noise: Array,
    dropout_key: Array | None = None,
    *,
    compute: Compute,
) -> Array:
    """The loss at given times (B,) and noise (B, T, A); dropout only with a key."""
    total, weight = loss_sums(
        cfg, params, batch, t[None], noise[None], dropout_key, compute=compute
    )
    return total / jnp.maximum(weight, 1)


def loss_sums(
    cfg: PolicyConfig,
    params: Params,
    batch: Batch,
    t: Array,
    noise: Array,
    dropout_key: Array | None = None,
    *,
    compute: Compute,
) -> tuple[Array, Array]:
    """Summed squared error and the number of entries in it, two scalars, over K draws.

    The K draws of time (K, B) and noise (K, B, T, A) share one encoding of the frames, and so the
    dropout of the mixer; that of the denoiser differs.
    """
    dropped, game_ids = batch.get("dropped"), batch.get("game_ids")
    tokens = _tokens(cfg, params, batch["frames"], dropped, compute, game=game_ids is not None)
    given_key = dropout_key is not None
    mix_key, key = jax.random.split(dropout_key) if given_key else (None, None)
    context = context_in(cfg, params, tokens, dropped, game_ids)
    context = _apply(cfg, params, compute, "mix", context, not given_key, dropout_key=mix_key)
    kv = keys_values(cfg, params, context, compute=compute)
    actions, mask = batch["actions"], batch.get("mask")

    def draw(t: Array, noise: Array, key: Array | None) -> tuple[Array, Array]:
        buckets = flow.to_bucket(t, cfg.timestep_buckets)
        given = _apply(cfg, params, compute, "conditioning", buckets)
        x = flow.interpolate(noise, actions, t)
        predicted = _apply(
            cfg, params, compute, "denoise", x, given, kv, not given_key, dropout_key=key
        )
        return flow.masked_squares(predicted, flow.target(noise, actions), mask)

    if t.shape[0] == 1:
        return draw(t[0], noise[0], key)
    # NOTE: mapped and not repeated: the keys and values of a frame stay one copy for all draws.
    keys = jax.random.split(key, t.shape[0]) if given_key else None
    totals, weights = jax.vmap(draw, in_axes=(0, 0, 0 if given_key else None))(t, noise, keys)
    return totals.sum(), weights.sum()


def sample(
    cfg: PolicyConfig,
    params: Params,
    given: Conditioning,
    noise: Array,
    frames: Array,
    dropped: Array | None = None,
    game_ids: Array | None = None,
    guidance: Array | float | None = None,
    known: flow.Known | None = None,
    *,
    compute: Compute,
) -> Array:
    """An action chunk (B, T, A) in float32, by Euler integration from `noise` (B, T, A).

    Args:
        given: `conditioning(cfg, params, steps)`; its leading axis decides the number of steps.
        guidance: None for plain conditional sampling; a scale for guided sampling, in which the
            unconditional branch sees the newest frame only and neither branch knows the game.
        known: actions that the chunk is to agree with; None leaves it free.
    """
    if guidance is None:
        context = encode(cfg, params, frames, dropped, game_ids, compute=compute)
        return denoise(cfg, params, given, noise, context, None, known, compute=compute)
    tokens = _tokens(cfg, params, frames, dropped, compute, game=False)
    alone = jnp.arange(tokens.shape[1]) < tokens.shape[1] - 1
    alone = jnp.broadcast_to(alone, tokens.shape[:2])
    branches = [context_in(cfg, params, tokens, which, None) for which in (dropped, alone)]
    context = mix(cfg, params, jnp.concatenate(branches), compute=compute)
    return denoise(cfg, params, given, noise, context, guidance, known, compute=compute)


def denoise(
    cfg: PolicyConfig,
    params: Params,
    given: Conditioning,
    noise: Array,
    context: Array,
    guidance: Array | float | None = None,
    known: flow.Known | None = None,
    *,
    compute: Compute,
) -> Array:
    """Noise (B, T, A) -> actions, given the mixed context (B, L, W).

    With guidance the context is (2B, L, W): the conditional branch, then the unconditional.
    """
    kv = keys_values(cfg, params, context, compute=compute)

    def step(x: Array, at: Conditioning) -> Array:
        at = jax.tree.map(lambda row: row[None], at)
        if guidance is None:
            return _apply(cfg, params, compute, "denoise", x, at, kv)
        both = _apply(cfg, params, compute, "denoise", jnp.concatenate([x, x]), at, kv)
        return flow.guide(*jnp.split(both.astype(jnp.float32), 2), guidance)

    noise = noise.astype(jnp.float32)
    if known is None:
        return flow.euler(step, noise, given)
    return flow.inpaint(step, noise, given, known)


def network_apply(cfg: PolicyConfig, params: Params, method: str, *inputs, compute: Compute):
    """One named piece of the forward pass; for tests and for recorded intermediates."""
    return _apply(cfg, params, compute, method, *inputs)


def _tokens(cfg, params, frames, dropped, compute, *, game: bool) -> Array:
    _check_frames(cfg, frames)
    # NOTE: which frames are dropped is known to the host only; it checks what is left.
    kept = frames.shape[1] if dropped is None else 1
    check_fits(kept, cfg.vision.tokens, game and cfg.games is not None, cfg.context_length)
    return _apply(cfg, params, compute, "encode", frames)


def _check_frames(cfg: PolicyConfig, frames: Array) -> None:
    size = cfg.vision.image_size
    wanted = f"(batch, frames, {size}, {size}, 3)"
    if frames.ndim != 5 or frames.shape[2:] != (size, size, 3) or 0 in frames.shape:
        raise NitrogenError(f"frames have shape {frames.shape}, where {wanted} is needed")
    if frames.dtype != jnp.uint8 and not jnp.issubdtype(frames.dtype, jnp.floating):
        raise NitrogenError(
            f"frames have type {frames.dtype}, where uint8 pixels or normalised floats are needed"
        )


def _apply(cfg, params, compute, method, *inputs, dropout_key=None):
    rngs = None if dropout_key is None else {"dropout": dropout_key}
    return Network(cfg, compute).apply({"params": params}, *inputs, method=method, rngs=rngs)
