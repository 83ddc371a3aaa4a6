"""Convolutions over pictures (B, H, W, C), with padding as PyTorch counts it.

Kernels are (height, width, in / groups, out) in float32; outputs are in the compute type.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.models.configs import Compute


def convolve(
    compute: Compute, x_BHWC: Array, kernel: Array, *, stride: int = 1, padding: int = 0
) -> Array:
    """A convolution with `padding` zeros on every side: sides become (H + 2p - k) // stride + 1."""
    dtype = jnp.dtype(compute.dtype)
    return jax.lax.conv_general_dilated(
        x_BHWC.astype(dtype),
        kernel.astype(dtype),
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=compute.precision,
    )


def depthwise(compute: Compute, x_BHWC: Array, kernel: Array) -> Array:
    """Each channel with its own odd square kernel (k, k, 1, C); sides stay what they are."""
    # NOTE: shifted copies, weighted and added up, which XLA fuses into one pass: on a CPU its
    # grouped convolution takes seventy times as long.
    dtype = jnp.dtype(compute.dtype)
    return shifted_sum(x_BHWC.astype(dtype), kernel.astype(dtype)[:, :, 0])


def shifted_sum(x_BHWC: Array, weights_kkC: Array) -> Array:
    """The sum over a window of the neighbours times their weights, zeros beyond the borders.

    `x` has as many channels as the weights, or one, which then serves for all.
    """
    side = weights_kkC.shape[0]
    height, width = x_BHWC.shape[1:3]
    reach = side // 2
    x = jnp.pad(x_BHWC, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    return sum(
        x[:, row : row + height, column : column + width] * weights_kkC[row, column]
        for row in range(side)
        for column in range(side)
    )


class Convolution(nn.Module):
    """A convolution with a bias; `groups` of one channel each where `per_channel`."""

    features: int
    side: int
    compute: Compute
    stride: int = 1
    padding: int = 0
    per_channel: bool = False

    @nn.compact
    def __call__(self, x_BHWC: Array) -> Array:
        inputs = 1 if self.per_channel else x_BHWC.shape[-1]
        shape = (self.side, self.side, inputs, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        if self.per_channel:
            y = depthwise(self.compute, x_BHWC, kernel)
        else:
            y = convolve(self.compute, x_BHWC, kernel, stride=self.stride, padding=self.padding)
        return y + bias.astype(y.dtype)
