"""The mixer: a bidirectional pre-norm transformer over the context, zeros included."""

from __future__ import annotations

import flax.linen as nn
from jax import Array

from nitrogen_jax.models.blocks import (
    Attention,
    AttentionDropout,
    FeedForward,
    layer_norm,
    with_remat,
)
from nitrogen_jax.models.configs import Compute, MixerConfig
from nitrogen_jax.models.scan import over_blocks


class MixerBlock(nn.Module):
    """Attention and feed-forward, each behind an affine layer norm."""

    cfg: MixerConfig
    compute: Compute

    @nn.compact
    def __call__(self, x: Array, deterministic: bool = True) -> Array:
        cfg, compute = self.cfg, self.compute
        attention = Attention(cfg.heads, cfg.head_dim, compute, cfg.attention_bias, name="attn")
        y = attention(layer_norm(compute, cfg.eps, affine=cfg.affine_norm, name="norm1")(x))
        x = x + AttentionDropout(cfg.dropout, cfg.final_dropout)(y, deterministic)
        mlp = FeedForward(
            4 * cfg.width,
            cfg.width,
            compute,
            cfg.activation,
            cfg.dropout,
            cfg.final_dropout,
            name="mlp",
        )
        y = layer_norm(compute, cfg.eps, affine=cfg.affine_norm, name="norm2")(x)
        return x + mlp(y, deterministic)


class Mixer(nn.Module):
    """Context (B, L, W) -> context (B, L, W)."""

    cfg: MixerConfig
    compute: Compute

    def setup(self):
        block = with_remat(MixerBlock, self.compute, (2,))
        self.blocks = [block(self.cfg, self.compute) for _ in range(self.cfg.depth)]

    def __call__(self, context_BLW: Array, deterministic: bool = True) -> Array:
        if self.compute.scan and self.blocks and not self.is_initializing():
            return over_blocks(
                self.compute,
                [MixerBlock(self.cfg, self.compute, parent=None)],
                [block.variables["params"] for block in self.blocks],
                context_BLW,
                [None] * len(self.blocks),
                lambda block, x, _: block(x, deterministic),
                None if deterministic else self.make_rng("dropout"),
            )
        for block in self.blocks:
            context_BLW = block(context_BLW, deterministic)
        return context_BLW
