"""Pieces that the tower, the mixer and the denoiser share: attention, feed-forward, linear layers.

Shape letters: B batch, T queries, S keys, H heads, D channels of a head, W width.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import Compute

KeysValues = tuple[Array, Array]  # k_BSHD, v_BSHD

ACTIVATIONS = {
    "gelu-approximate": lambda x: nn.gelu(x, approximate=True),
    "gelu": lambda x: nn.gelu(x, approximate=False),
}


def linear(compute: Compute, features: int, *, bias: bool = True, name: str | None = None):
    """A dense layer in the compute type; kernel (in, features) in float32."""
    return nn.Dense(
        features,
        use_bias=bias,
        dtype=jnp.dtype(compute.dtype),
        precision=compute.precision,
        name=name,
    )


def layer_norm(compute: Compute, eps: float, *, affine: bool = True, name: str | None = None):
    """Layer norm; statistics in float32 whatever the compute type."""
    return nn.LayerNorm(
        epsilon=eps,
        use_bias=affine,
        use_scale=affine,
        dtype=jnp.dtype(compute.dtype),
        # NOTE: E[x^2] - E[x]^2 loses digits that fp32 parity needs.
        use_fast_variance=compute.dtype != "float32",
        name=name,
    )


def attend(compute: Compute, q_BTHD: Array, k_BSHD: Array, v_BSHD: Array) -> Array:
    """Softmax attention scaled by 1/sqrt(D), no mask -> (B, T, H, D)."""
    if compute.attention == "cudnn":
        if compute.dtype != "bfloat16":
            raise NitrogenError(f"attention 'cudnn' needs dtype 'bfloat16', not {compute.dtype!r}")
        return jax.nn.dot_product_attention(q_BTHD, k_BSHD, v_BSHD, implementation="cudnn")
    # NOTE: heads before positions, so that each product is a batch of plain matrix products; in
    # the order that they arrive in, a CPU takes half as long again.
    q_BHTD, k_BHSD, v_BHSD = (jnp.swapaxes(x, 1, 2) for x in (q_BTHD, k_BSHD, v_BSHD))
    scale = jnp.asarray(q_BTHD.shape[-1] ** -0.5, q_BTHD.dtype)
    logits_BHTS = jnp.einsum(
        "bhtd,bhsd->bhts",
        q_BHTD * scale,
        k_BHSD,
        precision=compute.precision,
        preferred_element_type=jnp.float32,
    )
    weights_BHTS = jax.nn.softmax(logits_BHTS, axis=-1).astype(v_BHSD.dtype)
    y_BHTD = jnp.einsum("bhts,bhsd->bhtd", weights_BHTS, v_BHSD, precision=compute.precision)
    return jnp.swapaxes(y_BHTD, 1, 2)


class Attention(nn.Module):
    """Multi-head attention whose keys and values can be made once and used many times."""

    heads: int
    head_dim: int
    compute: Compute
    bias: bool = True

    def setup(self):
        width = self.heads * self.head_dim
        self.q = linear(self.compute, width, bias=self.bias)
        self.k = linear(self.compute, width, bias=self.bias)
        self.v = linear(self.compute, width, bias=self.bias)
        self.out = linear(self.compute, width)

    def _split(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], self.heads, self.head_dim)

    def keys_values(self, x_BSW: Array) -> KeysValues:
        """What queries attend to, from `x` (B, S, any width)."""
        return self._split(self.k(x_BSW)), self._split(self.v(x_BSW))

    def __call__(self, x_BTW: Array, keys_values: KeysValues | None = None) -> Array:
        """Attention of `x` to `keys_values`, or to itself where there are none."""
        k, v = self.keys_values(x_BTW) if keys_values is None else keys_values
        y_BTHD = attend(self.compute, self._split(self.q(x_BTW)), k, v)
        return self.out(y_BTHD.reshape(*x_BTW.shape[:-1], self.heads * self.head_dim))


class FeedForward(nn.Module):
    """Linear, activation, linear; with the original's dropout places."""

    hidden: int
    width: int
    compute: Compute
    activation: str = "gelu-approximate"
    dropout: float = 0.0
    final_dropout: bool = False

    @nn.compact
    def __call__(self, x: Array, deterministic: bool = True) -> Array:
        x = ACTIVATIONS[self.activation](linear(self.compute, self.hidden, name="fc1")(x))
        x = nn.Dropout(self.dropout)(x, deterministic=deterministic)
        x = linear(self.compute, self.width, name="fc2")(x)
        if self.final_dropout:
            x = nn.Dropout(self.dropout)(x, deterministic=deterministic)
        return x


class AttentionDropout(nn.Module):
    """Dropout after the attention's output projection and, if `final`, once more on the result."""

    rate: float
    final: bool

    @nn.compact
    def __call__(self, x: Array, deterministic: bool) -> Array:
        x = nn.Dropout(self.rate)(x, deterministic=deterministic)
        return nn.Dropout(self.rate)(x, deterministic=deterministic) if self.final else x


def with_remat(block: type[nn.Module], compute: Compute, static: tuple[int, ...]) -> type:
    """`block`, whose `__call__` is recomputed in the backward pass if `compute.remat`."""
    return nn.remat(block, static_argnums=static, methods=["__call__"]) if compute.remat else block
