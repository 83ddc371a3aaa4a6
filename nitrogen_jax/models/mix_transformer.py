"""The Mix Transformer: a pyramid of transformers that tells positions by its convolutions.

Maps are (B, H, W, C): batch, rows, columns, channels.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.models.blocks import ACTIVATIONS, Attention, layer_norm, linear, with_remat
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.models.convolution import Convolution
from nitrogen_jax.models.segformer_config import SegformerConfig


class OverlappingPatches(nn.Module):
    """Patches that share pixels, as a strided convolution, then a norm."""

    cfg: SegformerConfig
    stage: int
    compute: Compute

    @nn.compact
    def __call__(self, x_BHWC: Array) -> Array:
        cfg, compute = self.cfg, self.compute
        side, stride = cfg.patches[self.stage], cfg.strides[self.stage]
        proj = Convolution(cfg.widths[self.stage], side, compute, stride, side // 2, name="proj")
        return layer_norm(compute, cfg.eps, name="norm")(proj(x_BHWC))


class Reduction(nn.Module):
    """One position for every square of positions; what is left over at the far sides is cut."""

    side: int
    eps: float
    compute: Compute

    @nn.compact
    def __call__(self, x_BHWC: Array) -> Array:
        proj = Convolution(x_BHWC.shape[-1], self.side, self.compute, self.side, name="proj")
        return layer_norm(self.compute, self.eps, name="norm")(proj(x_BHWC))


class MixFeedForward(nn.Module):
    """Linear, a depthwise 3 x 3 convolution, exact GELU, linear."""

    hidden: int
    width: int
    compute: Compute

    @nn.compact
    def __call__(self, x_BHWC: Array) -> Array:
        x = linear(self.compute, self.hidden, name="fc1")(x_BHWC)
        x = Convolution(self.hidden, 3, self.compute, per_channel=True, name="depthwise")(x)
        return linear(self.compute, self.width, name="fc2")(ACTIVATIONS["gelu"](x))


class MixBlock(nn.Module):
    """Pre-norm block whose attention looks at a reduced map; `drop` is its chance to be skipped."""

    cfg: SegformerConfig
    stage: int
    drop: float
    compute: Compute

    @nn.compact
    def __call__(self, x_BHWC: Array, deterministic: bool = True) -> Array:
        cfg, compute, stage = self.cfg, self.compute, self.stage
        width, heads, reduction = cfg.widths[stage], cfg.heads[stage], cfg.reductions[stage]
        attention = Attention(heads, width // heads, compute, name="attn")
        # One draw for a whole example: the branch is there or it is not.
        skip = nn.Dropout(self.drop, broadcast_dims=(1, 2, 3), rng_collection="drop_path")

        x = layer_norm(compute, cfg.eps, name="norm1")(x_BHWC)
        seen = Reduction(reduction, cfg.eps, compute, name="reduce")(x) if reduction > 1 else x
        y = attention(_positions(x), attention.keys_values(_positions(seen)))
        x = x_BHWC + skip(y.reshape(x.shape), deterministic=deterministic)
        mlp = MixFeedForward(cfg.mlp_ratios[stage] * width, width, compute, name="mlp")
        y = mlp(layer_norm(compute, cfg.eps, name="norm2")(x))
        return x + skip(y, deterministic=deterministic)


class Stage(nn.Module):
    """Patches of the map before, blocks, norm."""

    cfg: SegformerConfig
    stage: int
    compute: Compute

    def setup(self):
        cfg, stage, compute = self.cfg, self.stage, self.compute
        block = with_remat(MixBlock, compute, (2,))
        rates = drop_rates(cfg)[sum(cfg.depths[:stage]) :][: cfg.depths[stage]]
        self.patches = OverlappingPatches(cfg, stage, compute)
        self.blocks = [block(cfg, stage, rate, compute) for rate in rates]
        self.norm = layer_norm(compute, cfg.eps)

    def __call__(self, x_BHWC: Array, deterministic: bool = True) -> Array:
        x = self.patches(x_BHWC)
        for block in self.blocks:
            x = block(x, deterministic)
        return self.norm(x)


def drop_rates(cfg: SegformerConfig) -> list[float]:
    """Of every block, first to last: from 0 to `cfg.drop_path` in equal steps."""
    last = max(sum(cfg.depths) - 1, 1)
    return [cfg.drop_path * index / last for index in range(sum(cfg.depths))]


def _positions(x_BHWC: Array) -> Array:
    """(B, H * W, C)."""
    return jnp.reshape(x_BHWC, (x_BHWC.shape[0], -1, x_BHWC.shape[-1]))
