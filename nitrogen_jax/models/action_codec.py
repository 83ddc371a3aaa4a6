"""Between actions and tokens: the encoder of noisy actions and the decoder of velocities.

Weights have a leading axis of embodiments, as in the original; embodiment 0 is used.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.models.configs import Compute, PolicyConfig
from nitrogen_jax.models.timestep import action_sinusoid

# NOTE: the original draws all of them with a deviation of 0.02. That is this one's at its width,
# but for the first layer; a narrow network would hardly see the actions through it.
_random = nn.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=(0,))


class EmbodimentLinear(nn.Module):
    """One dense layer for each embodiment: kernel (E, in, out), bias (E, out)."""

    embodiments: int
    inputs: int
    outputs: int
    compute: Compute

    def setup(self):
        shape = (self.embodiments, self.inputs, self.outputs)
        self.kernel = self.param("kernel", _random, shape)
        self.bias = self.param("bias", nn.initializers.zeros, (self.embodiments, self.outputs))

    def product(self, x: Array, rows: slice = slice(None)) -> Array:
        """x (..., rows) times these rows of the kernel, without the bias."""
        dtype = jnp.dtype(self.compute.dtype)
        kernel = self.kernel[0, rows].astype(dtype)
        return jnp.dot(x.astype(dtype), kernel, precision=self.compute.precision)

    def __call__(self, x: Array) -> Array:
        y = self.product(x)
        return y + self.bias[0].astype(y.dtype)


class ActionEncoder(nn.Module):
    """Noisy actions (B, T, A) and their timestep -> tokens (B, T, W)."""

    cfg: PolicyConfig
    compute: Compute

    def setup(self):
        width, count = self.cfg.width, self.cfg.embodiments
        self.W1 = EmbodimentLinear(count, self.cfg.action_dim, width, self.compute)
        self.W2 = EmbodimentLinear(count, 2 * width, width, self.compute)
        self.W3 = EmbodimentLinear(count, width, width, self.compute)

    def time_part(self, bucket_N: Array) -> Array:
        """What the timestep adds before the swish (N, W): it does not depend on the actions.

        NOTE: W2 of a concatenation is the sum of two products, so this half is computed once for
        each timestep instead of once for each action token.
        """
        sinusoid = action_sinusoid(bucket_N, self.cfg.width)
        y = self.W2.product(sinusoid, slice(self.cfg.width, None))
        return y + self.W2.bias[0].astype(y.dtype)

    def __call__(self, actions_BTA: Array, time_part_BW: Array) -> Array:
        action_part = self.W2.product(self.W1(actions_BTA), slice(self.cfg.width))
        return self.W3(nn.swish(action_part + time_part_BW[:, None, :]))


class ActionDecoder(nn.Module):
    """Tokens (B, T, W) -> velocity (B, T, A)."""

    cfg: PolicyConfig
    compute: Compute

    def setup(self):
        cfg = self.cfg
        self.layer1 = EmbodimentLinear(cfg.embodiments, cfg.width, cfg.width, self.compute)
        self.layer2 = EmbodimentLinear(cfg.embodiments, cfg.width, cfg.action_dim, self.compute)

    def __call__(self, tokens_BTW: Array) -> Array:
        return self.layer2(nn.relu(self.layer1(tokens_BTW)))
