"""Attention by every implementation, and keys and values made beforehand."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.blocks import Attention, attend
from nitrogen_jax.models.configs import FLOAT32, Compute


def qkv(dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = ((2, 5, 4, 16), (2, 9, 4, 16), (2, 9, 4, 16))
    return [jax.random.normal(k, s).astype(dtype) for k, s in zip(keys, shapes, strict=True)]


def by_definition(q, k, v):
    """Attention in double precision, one query at a time."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    out = np.zeros_like(q)
    for b, t, h in np.ndindex(q.shape[:3]):
        logits = k[b, :, h] @ q[b, t, h] / np.sqrt(q.shape[-1])
        weights = np.exp(logits - logits.max())
        out[b, t, h] = (weights / weights.sum()) @ v[b, :, h]
    return out


def test_attention_is_its_definition():
    inputs = qkv()
    np.testing.assert_allclose(attend(FLOAT32, *inputs), by_definition(*inputs), atol=1e-6)


def test_bfloat16_attention_keeps_its_softmax_in_float32():
    inputs = qkv(jnp.bfloat16)
    found = attend(Compute(dtype="bfloat16"), *inputs)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), by_definition(*inputs), atol=0.02)


def test_keys_and_values_made_beforehand_change_nothing():
    x, context = jax.random.normal(jax.random.key(1), (2, 2, 7, 24))
    attention = Attention(3, 8, FLOAT32)
    params = attention.init(jax.random.key(2), x)
    kv = attention.apply(params, context, method="keys_values")
    assert kv[0].shape == (2, 7, 3, 8)
    own = attention.apply(params, x, method="keys_values")
    np.testing.assert_array_equal(attention.apply(params, x), attention.apply(params, x, own))
    assert float(jnp.abs(attention.apply(params, x, kv) - attention.apply(params, x)).max()) > 1e-3


def test_cudnn_takes_bfloat16_only():
    with pytest.raises(NitrogenError, match="needs dtype 'bfloat16'"):
        attend(Compute(attention="cudnn"), *qkv())


CUDNN = """
import jax.numpy as jnp, numpy as np
from test_blocks import attend, qkv, by_definition
from nitrogen_jax.models.configs import Compute
inputs = qkv(jnp.bfloat16)
found = attend(Compute(dtype="bfloat16", attention="cudnn"), *inputs)
np.testing.assert_allclose(found.astype(jnp.float32), by_definition(*inputs), atol=0.02)
print("equal")
"""


@pytest.mark.skipif(not Path("/dev/nvidia0").exists(), reason="needs an NVIDIA GPU")
def test_cudnn_attention_is_the_same(run_python, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    done = run_python("-c", CUDNN, JAX_PLATFORMS="cuda", XLA_FLAGS="")
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]
