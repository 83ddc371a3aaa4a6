"""A config file for tests of plans: a few equal blocks, small and quick to compile."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from nitrogen_jax.training.task import Loss
from nitrogen_jax.training.train_config import Optimizer, TrainConfig

WIDTH, DEPTH = 256, 4


@dataclass(frozen=True)
class SmallTask:
    """x (B, 256) -> itself, through DEPTH blocks that are looped over."""

    remat: bool = False
    dtype: str = "auto"

    def init(self, key):
        keys = jax.random.split(key, DEPTH)
        return {
            f"blocks_{at}": {"kernel": jax.random.normal(one, (WIDTH, WIDTH))}
            for at, one in enumerate(keys)
        }

    def cast(self, params):
        return jax.tree.map(lambda leaf: leaf.astype(self._dtype), params)

    @property
    def _dtype(self):
        return jnp.bfloat16 if self.dtype == "bfloat16" else jnp.float32

    def loss(self, params, batch, key):
        dtype = self._dtype
        kernels = jnp.stack([params[f"blocks_{at}"]["kernel"].astype(dtype) for at in range(DEPTH)])

        def block(x, kernel):
            return x + jnp.tanh(x @ kernel), None

        block = jax.checkpoint(block, prevent_cse=False) if self.remat else block
        out, _ = jax.lax.scan(block, batch["x"].astype(dtype), kernels)
        error = (out.astype(jnp.float32) - batch["x"]) ** 2
        return Loss(error.sum(), jnp.float32(error.size))

    def batch_spec(self, batch):
        return {"x": jax.ShapeDtypeStruct((batch, WIDTH), jnp.float32)}

    def flops(self, trains=lambda path: True):
        return 3 * DEPTH * 2 * WIDTH * WIDTH


def config() -> TrainConfig:
    return TrainConfig(
        task=SmallTask(), data=None, steps=10, batch=64, optimizer=Optimizer(warmup=0)
    )
