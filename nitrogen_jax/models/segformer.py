"""SegFormer as pure functions of (config, parameters, pictures): stage maps, fused map, logits.

Pictures are (B, H, W, C) floats of any size, normalised as the parameters were trained.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.blocks import layer_norm
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.models.convolution import Convolution
from nitrogen_jax.models.mix_transformer import Stage
from nitrogen_jax.models.segformer_config import SegformerConfig

BATCH_NORM_EPS = 1e-5


class Affine(nn.Module):
    """A dense layer's parameters, for a caller that multiplies them itself."""

    inputs: int
    outputs: int

    @nn.compact
    def __call__(self) -> tuple[Array, Array]:
        shape = (self.inputs, self.outputs)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        return kernel, self.param("bias", nn.initializers.zeros, (self.outputs,))


class StoredNorm(nn.Module):
    """Batch norm by its stored statistics: parameters that no gradient reaches."""

    compute: Compute

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean = jax.lax.stop_gradient(self.param("mean", nn.initializers.zeros, shape))
        var = jax.lax.stop_gradient(self.param("var", nn.initializers.ones, shape))
        gain = scale * jax.lax.rsqrt(var + BATCH_NORM_EPS)
        return x * gain.astype(x.dtype) + (bias - mean * gain).astype(x.dtype)


class Decoder(nn.Module):
    """Stage maps -> one map of the first one's size: project, enlarge, join, mix, norm, ReLU."""

    cfg: SegformerConfig
    compute: Compute

    def setup(self):
        cfg, compute = self.cfg, self.compute
        width = cfg.decoder_width
        self.project = [Affine(channels, width) for channels in cfg.widths]
        shape = (1, 1, cfg.stages * width, width)
        self.fuse = self.param("fuse", nn.initializers.lecun_normal(), shape)
        self.norm = (
            StoredNorm(compute) if cfg.norm == "batch" else layer_norm(compute, BATCH_NORM_EPS)
        )
        if cfg.outputs:
            self.head = Convolution(cfg.outputs, 1, compute)

    def __call__(self, maps: list[Array]) -> Array:
        """The fused features (B, H, W, decoder_width)."""
        dtype, precision = jnp.dtype(self.compute.dtype), self.compute.precision
        # The joined maps stand in reverse, the smallest first.
        parts = jnp.split(self.fuse[0, 0], len(maps))[::-1]
        total = jnp.zeros((), dtype)
        for x, affine, part in zip(maps, self.project, parts, strict=True):
            kernel, bias = affine()
            # NOTE: projecting, enlarging and mixing are linear and enlarging treats channels
            # alike, so that both matrices are one, used where the map is small. Apart they would
            # be 4.3 of the 8.1 GFLOP of a b0 at 256 x 512.
            kernel = jnp.dot(kernel, part, precision=precision).astype(dtype)
            bias = jnp.dot(bias, part, precision=precision).astype(dtype)
            y = jnp.dot(x, kernel, precision=precision) + bias
            total = total + enlarge(y, *maps[0].shape[1:3])
        return nn.relu(self.norm(total))

    def logits(self, maps: list[Array]) -> Array:
        return self.head(self(maps))


class Segformer(nn.Module):
    """Paths of the parameters are an API: weight tables name them."""

    cfg: SegformerConfig
    compute: Compute = Compute()

    def setup(self):
        cfg, compute = self.cfg, self.compute
        self.stages = [Stage(cfg, stage, compute) for stage in range(cfg.stages)]
        if cfg.decoder_width:
            self.decoder = Decoder(cfg, compute)

    def features(self, images_BHWC: Array, deterministic: bool = True) -> list[Array]:
        x, maps = images_BHWC, []
        for stage in self.stages:
            x = stage(x, deterministic)
            maps.append(x)
        return maps

    def fused(self, images_BHWC: Array, deterministic: bool = True) -> Array:
        return self.decoder(self.features(images_BHWC, deterministic))

    def logits(self, images_BHWC: Array, deterministic: bool = True) -> Array:
        return self.decoder.logits(self.features(images_BHWC, deterministic))


def enlarge(x_BHWC: Array, height: int, width: int) -> Array:
    """Bilinear, corners not aligned, as PyTorch's `interpolate`."""
    if x_BHWC.shape[1:3] == (height, width):
        return x_BHWC
    shape = (x_BHWC.shape[0], height, width, x_BHWC.shape[-1])
    return jax.image.resize(x_BHWC, shape, "bilinear", antialias=False)


def init(cfg: SegformerConfig, key: Array) -> dict:
    """Random float32 parameters, a nested dict."""
    side = smallest_side(cfg)
    images = jnp.zeros((1, side, side, cfg.in_channels))
    method = "logits" if cfg.outputs else "fused" if cfg.decoder_width else "features"
    return Segformer(cfg.check()).init(key, images, method=method)["params"]


def shapes(cfg: SegformerConfig) -> dict:
    """The parameters as `jax.ShapeDtypeStruct`s, at no cost."""
    return jax.eval_shape(lambda key: init(cfg, key), jax.random.key(0))


def features(
    cfg: SegformerConfig,
    params: dict,
    images: Array,
    key: Array | None = None,
    *,
    compute: Compute,
) -> list[Array]:
    """One map a stage, (B, H / 4, W / 4, widths[0]) first; blocks are dropped only with a key."""
    return _apply(cfg, params, images, key, compute, "features")


def fused(
    cfg: SegformerConfig,
    params: dict,
    images: Array,
    key: Array | None = None,
    *,
    compute: Compute,
) -> Array:
    """The decoder's features (B, H / 4, W / 4, decoder_width), which heads are put on."""
    if not cfg.decoder_width:
        raise NitrogenError(f"{cfg.name} is an encoder alone: its decoder_width is 0")
    return _apply(cfg, params, images, key, compute, "fused")


def logits(
    cfg: SegformerConfig,
    params: dict,
    images: Array,
    key: Array | None = None,
    *,
    compute: Compute,
) -> Array:
    """(B, H / 4, W / 4, outputs)."""
    if not cfg.outputs:
        raise NitrogenError(f"{cfg.name} has no logits: its config says 0 outputs")
    return _apply(cfg, params, images, key, compute, "logits")


def pooled(cfg: SegformerConfig, params: dict, images: Array, *, compute: Compute) -> Array:
    """(B, widths[-1]): the mean of the last map, one vector a picture."""
    return jnp.mean(features(cfg, params, images, compute=compute)[-1], axis=(1, 2))


def smallest_side(cfg: SegformerConfig) -> int:
    """Pixels that a picture's sides need, for every stage to have something to attend to."""
    least = 1
    for reduction, stride in zip(cfg.reductions[::-1], cfg.strides[::-1], strict=True):
        least = (max(least, reduction) - 1) * stride + 1
    return least


def _apply(cfg, params, images, key, compute, method):
    if images.ndim != 4 or images.shape[-1] != cfg.in_channels or 0 in images.shape:
        wanted = f"(batch, height, width, {cfg.in_channels})"
        raise NitrogenError(f"pictures have shape {images.shape}, where {wanted} is needed")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise NitrogenError(f"pictures are {images.dtype}, where normalised floats are needed")
    least = smallest_side(cfg)
    if min(images.shape[1:3]) < least:
        height, width = images.shape[1:3]
        raise NitrogenError(f"pictures are {width} x {height}, where {least} pixels are the least")
    rngs = None if key is None else {"drop_path": key}
    network = Segformer(cfg, compute)
    return network.apply({"params": params}, images, key is None, method=method, rngs=rngs)
