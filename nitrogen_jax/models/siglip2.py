"""The SigLIP 2 vision tower of fixed resolution, with its attention-pooling head.

The policy uses the tokens after the last layer norm; the head is carried so that a checkpoint
goes out as it came in, and for users who want one vector a picture.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.models.blocks import (
    Attention,
    FeedForward,
    attend,
    layer_norm,
    linear,
    with_remat,
)
from nitrogen_jax.models.configs import Compute, VisionConfig
from nitrogen_jax.models.scan import over_blocks


def normalise(frames: Array) -> Array:
    """uint8 pixels (..., H, W, 3) -> float32 in [-1, 1]; float frames are taken as normalised."""
    if frames.dtype == jnp.uint8:
        return (frames.astype(jnp.float32) / 255.0 - 0.5) / 0.5
    return frames


class PatchEmbedding(nn.Module):
    """Non-overlapping patches times one matrix: a strided convolution written as a product."""

    cfg: VisionConfig
    compute: Compute

    @nn.compact
    def __call__(self, pixels_BHWC: Array) -> Array:
        p, width = self.cfg.patch_size, self.cfg.width
        side = self.cfg.image_size // p
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (p, p, 3, width))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        dtype = jnp.dtype(self.compute.dtype)
        x = pixels_BHWC[:, : side * p, : side * p].astype(dtype)
        x = x.reshape(-1, side, p, side, p, 3).transpose(0, 1, 3, 2, 4, 5)
        x = x.reshape(-1, side * side, p * p * 3)
        kernel = kernel.reshape(p * p * 3, width).astype(dtype)
        return jnp.dot(x, kernel, precision=self.compute.precision) + bias.astype(dtype)


class EncoderLayer(nn.Module):
    """Pre-norm transformer layer."""

    cfg: VisionConfig
    compute: Compute

    @nn.compact
    def __call__(self, x: Array) -> Array:
        cfg, compute = self.cfg, self.compute
        attention = Attention(cfg.heads, cfg.width // cfg.heads, compute, name="attn")
        x = x + attention(layer_norm(compute, cfg.eps, name="norm1")(x))
        mlp = FeedForward(cfg.mlp, cfg.width, compute, name="mlp")
        return x + mlp(layer_norm(compute, cfg.eps, name="norm2")(x))


class PoolingHead(nn.Module):
    """One learned query attends to all tokens: tokens (B, N, W) -> (B, W)."""

    cfg: VisionConfig
    compute: Compute

    @nn.compact
    def __call__(self, tokens_BNW: Array) -> Array:
        cfg, compute = self.cfg, self.compute
        batch, width = tokens_BNW.shape[0], cfg.width
        probe = self.param("probe", nn.initializers.lecun_normal(), (1, 1, width))
        # NOTE: one fused projection, as published files store it.
        kernel = self.param("in_kernel", nn.initializers.lecun_normal(), (width, 3 * width))
        bias = self.param("in_bias", nn.initializers.zeros, (3 * width,))
        dtype = jnp.dtype(compute.dtype)

        def project(x: Array, part: int) -> Array:
            columns = slice(part * width, (part + 1) * width)
            y = jnp.dot(x.astype(dtype), kernel[:, columns].astype(dtype))
            y = y + bias[columns].astype(dtype)
            return y.reshape(*x.shape[:-1], cfg.heads, width // cfg.heads)

        query = project(jnp.broadcast_to(probe, (batch, 1, width)), 0)
        x = attend(compute, query, project(tokens_BNW, 1), project(tokens_BNW, 2))
        x = linear(compute, width, name="out")(x.reshape(batch, 1, width))
        mlp = FeedForward(cfg.mlp, width, compute, name="mlp")
        return (x + mlp(layer_norm(compute, cfg.eps, name="norm")(x)))[:, 0]


class VisionTower(nn.Module):
    """Frames -> tokens. `__call__` for the policy, `pooled` for one vector a picture."""

    cfg: VisionConfig
    compute: Compute = Compute()

    def setup(self):
        layer = with_remat(EncoderLayer, self.compute, ())
        self.patch_embedding = PatchEmbedding(self.cfg, self.compute)
        shape = (self.cfg.tokens, self.cfg.width)
        # NOTE: as SigLIP's own code draws it; a fixed deviation is lost in a narrow tower.
        near = nn.initializers.normal(self.cfg.width**-0.5)
        self.position_embedding = self.param("position_embedding", near, shape)
        self.layers = [layer(self.cfg, self.compute) for _ in range(self.cfg.depth)]
        self.post_norm = layer_norm(self.compute, self.cfg.eps)
        self.head = PoolingHead(self.cfg, self.compute)

    def __call__(self, frames_BHWC: Array) -> Array:
        """Frames (B, size, size, 3), uint8 or normalised float -> tokens (B, N, W)."""
        x = self.patch_embedding(normalise(frames_BHWC))
        x = x + self.position_embedding.astype(x.dtype)
        if self.compute.scan and self.layers and not self.is_initializing():
            x = over_blocks(
                self.compute,
                [EncoderLayer(self.cfg, self.compute, parent=None)],
                [layer.variables["params"] for layer in self.layers],
                x,
                [None] * len(self.layers),
                lambda layer, x, _: layer(x),
            )
        else:
            for layer in self.layers:
                x = layer(x)
        return self.post_norm(x)

    def pooled(self, frames_BHWC: Array) -> Array:
        """Frames (B, size, size, 3) -> (B, W), the vector that SigLIP compares with texts."""
        return self.head(self(frames_BHWC))


def init(cfg: VisionConfig, key: Array) -> dict:
    """Random float32 parameters of a tower alone, head included."""
    frames = jnp.zeros((1, cfg.image_size, cfg.image_size, 3), jnp.uint8)
    return VisionTower(cfg).init(key, frames, method="pooled")["params"]


def shapes(cfg: VisionConfig) -> dict:
    """The parameters of a tower as `jax.ShapeDtypeStruct`s."""
    return jax.eval_shape(lambda key: init(cfg, key), jax.random.key(0))


def tokens(cfg: VisionConfig, params: dict, frames: Array, *, compute: Compute) -> Array:
    """Frames (B, size, size, 3) -> tokens (B, N, W)."""
    return VisionTower(cfg, compute).apply({"params": params}, frames)


def pooled(cfg: VisionConfig, params: dict, frames: Array, *, compute: Compute) -> Array:
    """Frames (B, size, size, 3) -> (B, W)."""
    return VisionTower(cfg, compute).apply({"params": params}, frames, method="pooled")
