"""The denoiser: a transformer over the action tokens whose norms are steered by the timestep.

Its inputs split by how often they change, so that a sampler computes each once:

  modulation    once per parameter set    from the timesteps alone
  keys_values   once per observation      from the context alone
  __call__      once per Euler step       the rest
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.models.blocks import (
    Attention,
    AttentionDropout,
    FeedForward,
    KeysValues,
    layer_norm,
    linear,
    with_remat,
)
from nitrogen_jax.models.configs import Compute, DiTConfig
from nitrogen_jax.models.scan import over_blocks
from nitrogen_jax.models.timestep import denoiser_sinusoid

ADALN_EPS, OUT_EPS = 1e-5, 1e-6


class Modulation(NamedTuple):
    """What the timestep does to the denoiser; N timesteps or one per example."""

    blocks: tuple[Array, ...]  # (N, 2W) per block: scale, shift
    out: Array  # (N, 2W): shift, scale -- the opposite order


class TimestepMlp(nn.Module):
    """Integer timesteps (N,) -> embedding (N, W)."""

    width: int
    compute: Compute

    @nn.compact
    def __call__(self, bucket_N: Array) -> Array:
        x = denoiser_sinusoid(bucket_N).astype(self.compute.dtype)
        x = nn.silu(linear(self.compute, self.width, name="fc1")(x))
        return linear(self.compute, self.width, name="fc2")(x)


class DiTBlock(nn.Module):
    """One attention (cross or self) under an adaptive norm, a feed-forward under a plain one."""

    cfg: DiTConfig
    compute: Compute

    def setup(self):
        cfg, compute = self.cfg, self.compute
        self.adaln = linear(compute, 2 * cfg.width)
        self.norm1 = layer_norm(compute, ADALN_EPS, affine=False)
        self.attn = Attention(cfg.heads, cfg.head_dim, compute, cfg.attention_bias)
        self.attn_dropout = AttentionDropout(cfg.dropout, cfg.final_dropout)
        self.norm2 = layer_norm(compute, cfg.eps, affine=cfg.affine_norm)
        self.mlp = FeedForward(
            4 * cfg.width, cfg.width, compute, cfg.activation, cfg.dropout, cfg.final_dropout
        )

    def modulation(self, temb_NW: Array) -> Array:
        """(N, 2W): scale, shift."""
        return self.adaln(nn.silu(temb_NW))

    def keys_values(self, context_BLW: Array) -> KeysValues:
        return self.attn.keys_values(context_BLW)

    def __call__(
        self,
        x_BTW: Array,
        modulation_B2W: Array,
        keys_values: KeysValues | None,
        deterministic: bool = True,
    ) -> Array:
        scale, shift = jnp.split(modulation_B2W[:, None, :], 2, axis=-1)
        y = self.attn(self.norm1(x_BTW) * (1 + scale) + shift, keys_values)
        x = x_BTW + self.attn_dropout(y, deterministic)
        return x + self.mlp(self.norm2(x), deterministic)


class DiT(nn.Module):
    """Action tokens (B, T, W), modulation and keys and values -> (B, T, output_dim)."""

    cfg: DiTConfig
    compute: Compute

    def setup(self):
        cfg, compute = self.cfg, self.compute
        block = with_remat(DiTBlock, compute, (4,))
        self.timestep = TimestepMlp(cfg.width, compute)
        self.blocks = [block(cfg, compute) for _ in range(cfg.depth)]
        self.out_norm = layer_norm(compute, OUT_EPS, affine=False)
        self.out_modulation = linear(compute, 2 * cfg.width)
        self.out = linear(compute, cfg.output_dim)

    def temb(self, bucket_N: Array) -> Array:
        """Timestep embedding (N, W)."""
        return self.timestep(bucket_N)

    def modulation(self, bucket_N: Array) -> Modulation:
        """Everything that the integer timesteps (N,) decide."""
        temb_NW = self.timestep(bucket_N)
        return Modulation(
            tuple(block.modulation(temb_NW) for block in self.blocks),
            self.out_modulation(nn.silu(temb_NW)),
        )

    def keys_values(self, context_BLW: Array) -> tuple[KeysValues | None, ...]:
        """Keys and values per block, None for the blocks that attend to the actions."""
        return tuple(
            block.keys_values(context_BLW) if self.cfg.is_cross(i) else None
            for i, block in enumerate(self.blocks)
        )

    def __call__(
        self,
        x_BTW: Array,
        modulation: Modulation,
        keys_values: tuple[KeysValues | None, ...],
        deterministic: bool = True,
    ) -> Array:
        group = 2 if self.cfg.interleave else 1
        if not self.compute.scan or self.is_initializing() or self.cfg.depth % group:
            return self.with_blocks(x_BTW, modulation, keys_values, deterministic)[0]
        x_BTW = over_blocks(
            self.compute,
            [DiTBlock(self.cfg, self.compute, parent=None) for _ in range(group)],
            [block.variables["params"] for block in self.blocks],
            x_BTW,
            list(zip(modulation.blocks, keys_values, strict=True)),
            lambda block, x, given: block(x, *given, deterministic),
            None if deterministic else self.make_rng("dropout"),
        )
        return self._out(x_BTW, modulation)

    def _out(self, x_BTW: Array, modulation: Modulation) -> Array:
        shift, scale = jnp.split(modulation.out[:, None, :], 2, axis=-1)
        return self.out(self.out_norm(x_BTW) * (1 + scale) + shift)

    def with_blocks(
        self,
        x_BTW: Array,
        modulation: Modulation,
        keys_values: tuple[KeysValues | None, ...],
        deterministic: bool = True,
    ) -> tuple[Array, tuple[Array, ...]]:
        """As `__call__`, and the input of the first block and the output of every block."""
        states = [x_BTW]
        for block, steer, kv in zip(self.blocks, modulation.blocks, keys_values, strict=True):
            states.append(block(states[-1], steer, kv, deterministic))
        return self._out(states[-1], modulation), tuple(states)
