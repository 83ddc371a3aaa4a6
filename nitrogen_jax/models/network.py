"""The policy's parameters and the pieces of its forward pass, as one Linen module.

Paths of the parameters are an API: sharding rules, freeze rules and weight tables name them.
Callers use the functions of `policy`, not this module.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.models.action_codec import ActionDecoder, ActionEncoder
from nitrogen_jax.models.blocks import KeysValues
from nitrogen_jax.models.configs import Compute, PolicyConfig
from nitrogen_jax.models.context import assemble, game_lookup
from nitrogen_jax.models.dit import DiT, Modulation
from nitrogen_jax.models.mixer import Mixer
from nitrogen_jax.models.siglip2 import VisionTower


class Conditioning(NamedTuple):
    """What N timesteps decide: it depends on parameters and timesteps alone."""

    modulation: Modulation
    action_time: Array  # (N, W)


class Network(nn.Module):
    """Letters: B batch, F frames, N tokens a frame, L context, W width, T horizon, A action_dim."""

    cfg: PolicyConfig
    compute: Compute = Compute()

    def setup(self):
        cfg, compute = self.cfg, self.compute
        self.vision = VisionTower(cfg.vision, compute)
        self.mixer = Mixer(cfg.mixer, compute)
        self.dit = DiT(cfg.dit, compute)
        self.action_encoder = ActionEncoder(cfg, compute)
        self.action_decoder = ActionDecoder(cfg, compute)
        if cfg.position_embedding:
            shape = (cfg.max_positions, cfg.width)
            near = nn.initializers.normal(cfg.width**-0.5)  # 0.03 at the released width
            self.position_embedding = self.param("position_embedding", near, shape)
        if cfg.games is not None:
            shape = (cfg.games, cfg.vision.width)
            self.game_embedding = self.param("game_embedding", _no_game_is_zero, shape)

    def encode(self, frames_BFHWC: Array) -> Array:
        """Frames -> tokens (B, F, N, W)."""
        batch, frames = frames_BFHWC.shape[:2]
        tokens = self.vision(frames_BFHWC.reshape(batch * frames, *frames_BFHWC.shape[2:]))
        return tokens.reshape(batch, frames, *tokens.shape[1:])

    def context_in(
        self, tokens_BFNW: Array, dropped_BF: Array | None, game_ids_B: Array | None
    ) -> Array:
        """Tokens -> context before the mixer (B, L, W). Without game ids the token is a zero."""
        game_BW = None
        if self.cfg.games is not None and game_ids_B is not None:
            game_BW = game_lookup(self.game_embedding, game_ids_B)
        return assemble(tokens_BFNW, dropped_BF, game_BW, self.cfg.context_length)

    def mix(self, context_BLW: Array, deterministic: bool = True) -> Array:
        return self.mixer(context_BLW, deterministic)

    def keys_values(self, context_BLW: Array) -> tuple[KeysValues | None, ...]:
        return self.dit.keys_values(context_BLW)

    def temb(self, bucket_N: Array) -> Array:
        return self.dit.temb(bucket_N)

    def conditioning(self, bucket_N: Array) -> Conditioning:
        return Conditioning(self.dit.modulation(bucket_N), self.action_encoder.time_part(bucket_N))

    def action_tokens(self, x_BTA: Array, conditioning: Conditioning) -> Array:
        """Noisy actions -> tokens (B, T, W), position embedding included."""
        tokens = self.action_encoder(x_BTA, conditioning.action_time)
        if self.cfg.position_embedding:
            tokens = tokens + self.position_embedding[: x_BTA.shape[1]].astype(tokens.dtype)
        return tokens

    def denoise(
        self,
        x_BTA: Array,
        conditioning: Conditioning,
        keys_values: tuple[KeysValues | None, ...],
        deterministic: bool = True,
    ) -> Array:
        """Velocity (B, T, A); `conditioning` holds one row per example, or one for all."""
        tokens = self.action_tokens(x_BTA, conditioning)
        tokens = self.dit(tokens, conditioning.modulation, keys_values, deterministic)
        return self.action_decoder(tokens)

    def denoise_with_blocks(
        self, x_BTA: Array, conditioning: Conditioning, keys_values: tuple[KeysValues | None, ...]
    ) -> dict[str, Array]:
        """Velocity and everything on the way to it, by the name of the recorded arrays."""
        tokens = self.action_tokens(x_BTA, conditioning)
        out, states = self.dit.with_blocks(tokens, conditioning.modulation, keys_values)
        return {
            "action_tokens": tokens,
            "blocks": jnp.stack(states, axis=1),
            "dit_out": out,
            "velocity": self.action_decoder(out),
        }

    def __call__(self, frames_BFHWC: Array, x_BTA: Array, bucket_B: Array) -> Array:
        """Touches every parameter, so that `init` makes them all."""
        self.vision.pooled(frames_BFHWC[:, -1])
        tokens = self.encode(frames_BFHWC)
        ids = jnp.zeros(tokens.shape[0], jnp.int32)
        context = self.mix(self.context_in(tokens, None, ids))
        return self.denoise(x_BTA, self.conditioning(bucket_B), self.keys_values(context))


def _no_game_is_zero(key: Array, shape: tuple[int, int]) -> Array:
    return nn.initializers.normal(0.02)(key, shape).at[0].set(0)
