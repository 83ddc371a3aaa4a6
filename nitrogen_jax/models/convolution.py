"""Convolutions over pictures (B, H, W, C), with padding as PyTorch counts it.

Kernels are (height, width, in / groups, out) in float32; outputs are in the compute type.
"""

from __future__ import annotations

from functools import partial

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
    x_BHWC, kernel = x_BHWC.astype(dtype), kernel.astype(dtype)
    if padding == 0 and kernel.shape[:2] == (stride, stride):
        return _apart(compute, x_BHWC, kernel)
    return jax.lax.conv_general_dilated(
        x_BHWC,
        kernel,
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=compute.precision,
    )


def _apart(compute: Compute, x_BHWC: Array, kernel: Array) -> Array:
    """A convolution over squares that share no pixel; what is left over at the far sides is cut."""
    # NOTE: one product of matrices, whose gradient on a CPU takes a third of a convolution's time.
    side, _, inputs, outputs = kernel.shape
    batch, rows, columns = x_BHWC.shape[0], x_BHWC.shape[1] // side, x_BHWC.shape[2] // side
    x = x_BHWC[:, : rows * side, : columns * side]
    x = x.reshape(batch, rows, side, columns, side, inputs).swapaxes(2, 3)
    x = x.reshape(batch, rows, columns, side * side * inputs)
    return jnp.dot(x, kernel.reshape(-1, outputs), precision=compute.precision)


def depthwise(compute: Compute, x_BHWC: Array, kernel: Array) -> Array:
    """Each channel with its own odd square kernel (k, k, 1, C); sides stay what they are."""
    # NOTE: shifted copies, weighted and added up, which XLA fuses into one pass: on a CPU its
    # grouped convolution takes seventy times as long.
    dtype = jnp.dtype(compute.dtype)
    return _depthwise(x_BHWC.astype(dtype), kernel.astype(dtype)[:, :, 0])


@jax.custom_vjp
def _depthwise(x_BHWC: Array, weights_kkC: Array) -> Array:
    return shifted_sum(x_BHWC, weights_kkC)


def _depthwise_forward(x_BHWC: Array, weights_kkC: Array) -> tuple[Array, tuple[Array, Array]]:
    return shifted_sum(x_BHWC, weights_kkC), (x_BHWC, weights_kkC)


def _depthwise_backward(kept: tuple[Array, Array], grad_BHWC: Array) -> tuple[Array, Array]:
    x, weights = kept
    # NOTE: without the barrier XLA computes whatever the gradient is made of (a GELU's derivative)
    # anew for each of the k * k sums below, which was most of a training step on a CPU.
    x, grad = jax.lax.optimization_barrier((x, grad_BHWC))
    wanted = jax.lax.platform_dependent(
        x, grad, cpu=partial(_taps_by_picture, weights.shape[0]),
        default=partial(_taps, weights.shape[0]),
    )  # fmt: skip
    return shifted_sum(grad, weights[::-1, ::-1]), wanted.astype(weights.dtype)


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


def _shifts(x: Array, side: int) -> list[Array]:
    """The k * k shifted copies of maps (..., H, W, C), zeros beyond the borders."""
    height, width = x.shape[-3:-1]
    reach = [(side // 2, side // 2)] * 2
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 3) + reach + [(0, 0)])
    return [
        x[..., row : row + height, column : column + width, :]
        for row in range(side)
        for column in range(side)
    ]


def _taps(side: int, x_BHWC: Array, grad_BHWC: Array) -> Array:
    """(k, k, C) float32: by how much each weight of each channel changes the loss."""
    sums = [
        jnp.sum(part * grad_BHWC, (0, 1, 2), dtype=jnp.float32) for part in _shifts(x_BHWC, side)
    ]
    return jnp.stack(sums).reshape(side, side, -1)


def _taps_by_picture(side: int, x_BHWC: Array, grad_BHWC: Array) -> Array:
    """`_taps` picture after picture, whose products stay in a CPU's cache: three times as fast."""
    height, width, channels = x_BHWC.shape[1:]

    def add(sums: tuple[Array, ...], one: tuple[Array, Array]):
        x, grad = one
        parts = _shifts(x, side)
        return tuple(s + part * grad for s, part in zip(sums, parts, strict=True)), None

    start = (jnp.zeros((height, width, channels), jnp.float32),) * side**2
    sums, _ = jax.lax.scan(add, start, (x_BHWC, grad_BHWC))
    return jnp.stack([one.sum((0, 1)) for one in sums]).reshape(side, side, channels)


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
