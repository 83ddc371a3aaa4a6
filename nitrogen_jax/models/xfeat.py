"""XFeat (accelerated features): a small network that finds points in a picture and describes them.

Pictures are (B, H, W) or (B, H, W, C) floats in [0, 1] whose sides are multiples of 32; maps are
an eighth as large. Batch norms, which never change, are in the kernels and biases.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import FLOAT32, Compute
from nitrogen_jax.models.convolution import Convolution, shifted_sum

CELL = 8  # pixels a side of a position of the maps
MULTIPLE = 32  # of which a picture's sides must be
WIDTH = 64  # of a descriptor
NORM_EPS = 1e-5

# (features, kernel, stride) of each layer of a block; all are followed by ReLU
BLOCKS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "block1": ((4, 3, 1), (8, 3, 2), (8, 3, 1), (24, 3, 2)),
    "block2": ((24, 3, 1), (24, 3, 1)),
    "block3": ((64, 3, 2), (64, 3, 1), (64, 1, 1)),
    "block4": ((64, 3, 2), (64, 3, 1), (64, 3, 1)),
    "block5": ((128, 3, 2), (128, 3, 1), (128, 3, 1), (64, 1, 1)),
    "fusion": ((64, 3, 1), (64, 3, 1)),
    "reliability": ((64, 1, 1), (64, 1, 1)),
    "points": ((64, 1, 1), (64, 1, 1), (64, 1, 1)),
}
# the layers without ReLU
LAST = {"skip": 24, "fusion_out": WIDTH, "reliability_out": 1, "points_out": CELL * CELL + 1}


class Maps(NamedTuple):
    """What the network says of a picture, h = H / 8 and w = W / 8."""

    descriptors: Array  # (B, h, w, 64), not of unit length
    points: Array  # (B, h, w, 65): logits of a cell's pixels, row by row, and of "no point here"
    reliability: Array  # (B, h, w) in [0, 1]


class FirstConvolution(nn.Module):
    """3 x 3, from one channel to few."""

    features: int
    compute: Compute

    @nn.compact
    def __call__(self, x_BHW1: Array) -> Array:
        shape = (3, 3, 1, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        # NOTE: 0.7 ms at 640 x 480 where XLA's convolution takes 20 ms on a core.
        dtype = jnp.dtype(self.compute.dtype)
        return shifted_sum(x_BHW1.astype(dtype), kernel[:, :, 0].astype(dtype)) + bias.astype(dtype)


class Block(nn.Module):
    """Layers of `BLOCKS`, each a convolution and ReLU."""

    name_: str
    compute: Compute

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for index, (features, side, stride) in enumerate(BLOCKS[self.name_]):
            name = f"layers_{index}"
            if x.shape[-1] == 1:
                layer = FirstConvolution(features, self.compute, name=name)
            else:
                layer = Convolution(features, side, self.compute, stride, side // 2, name=name)
            x = nn.relu(layer(x))
        return x


class XFeat(nn.Module):
    """Paths of the parameters are an API: the weight table names them."""

    compute: Compute = FLOAT32

    @nn.compact
    def __call__(self, x_BHW1: Array) -> Maps:
        """Normalised grey pictures -> maps."""

        def block(name: str, x: Array) -> Array:
            return Block(name, self.compute, name=name)(x)

        def last(name: str, x: Array) -> Array:
            return Convolution(LAST[name], 1, self.compute, name=name)(x)

        quarter = nn.avg_pool(x_BHW1, (4, 4), (4, 4))
        x2 = block("block2", block("block1", x_BHW1) + last("skip", quarter))
        x3 = block("block3", x2)
        x4 = block("block4", x3)
        x5 = block("block5", x4)
        joined = x3 + _enlarge(x4, x3.shape) + _enlarge(x5, x3.shape)
        descriptors = last("fusion_out", block("fusion", joined))
        reliability = last("reliability_out", block("reliability", descriptors))
        points = last("points_out", block("points", cells(x_BHW1)))
        return Maps(descriptors, points, nn.sigmoid(reliability)[..., 0])


def init(key: Array) -> dict:
    """Random float32 parameters, a nested dict."""
    return XFeat().init(key, jnp.zeros((1, MULTIPLE, MULTIPLE, 1)))["params"]


def shapes() -> dict:
    """The parameters as `jax.ShapeDtypeStruct`s, at no cost."""
    return jax.eval_shape(init, jax.random.key(0))


def maps(params: dict, pictures: Array, *, compute: Compute = FLOAT32) -> Maps:
    """Pictures -> maps of descriptors, points and reliability."""
    grey = as_grey(pictures)
    return network(params, normalise(grey, jnp.ones(grey.shape[1:], bool)), compute=compute)


def network(params: dict, grey_BHW: Array, *, compute: Compute = FLOAT32) -> Maps:
    """Pictures as `normalise` gives them -> maps."""
    if grey_BHW.ndim != 3 or any(side % MULTIPLE or not side for side in grey_BHW.shape[1:]):
        raise NitrogenError(
            f"pictures have shape {grey_BHW.shape}, where (batch, height, width) with sides that "
            f"are multiples of {MULTIPLE} is needed"
        )
    return XFeat(compute).apply({"params": params}, grey_BHW[..., None])


def as_grey(pictures: Array) -> Array:
    """(B, H, W) or (B, H, W, C) floats -> (B, H, W), the mean of the channels."""
    if not jnp.issubdtype(pictures.dtype, jnp.floating):
        raise NitrogenError(f"pictures are {pictures.dtype}, where floats in [0, 1] are needed")
    return pictures if pictures.ndim == 3 else jnp.mean(pictures, axis=-1)


def normalise(grey_BHW: Array, inside_HW: Array) -> Array:
    """Mean 0 and variance 1 over the pixels of each picture that are `inside`; 0 outside."""
    count = jnp.sum(inside_HW)
    mean = jnp.sum(grey_BHW * inside_HW, (1, 2), keepdims=True) / count
    centred = (grey_BHW - mean) * inside_HW
    variance = jnp.sum(centred**2, (1, 2), keepdims=True) / count
    return centred * jax.lax.rsqrt(variance + NORM_EPS)


def cells(x_BHW1: Array) -> Array:
    """(B, h, w, 64): the pixels of each cell, row by row."""
    batch, height, width = x_BHW1.shape[:3]
    x = x_BHW1.reshape(batch, height // CELL, CELL, width // CELL, CELL)
    return x.transpose(0, 1, 3, 2, 4).reshape(batch, height // CELL, width // CELL, -1)


def _enlarge(x: Array, like: tuple[int, ...]) -> Array:
    return jax.image.resize(x, (*like[:3], x.shape[-1]), "bilinear", antialias=False)
