"""The sampler compiled ahead of time for a TPU, on a machine that has none (extra [tpu])."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nitrogen_jax.bench import flops, timing
from nitrogen_jax.bench.sample import Result, lower_step
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute, PolicyConfig
from nitrogen_jax.plan.aot import topology


def compile_sampler(
    cfg: PolicyConfig, batch: int, steps: int, name: str, dtype: str = "bfloat16"
) -> Result:
    """Compiles the sampler for ONE chip of the topology; memory and FLOPs, no time."""
    device = topology(name).devices[0]
    here = jax.sharding.SingleDeviceSharding(device)
    compute = Compute(dtype=dtype)

    def abstract(tree: Any, kind: Any = None) -> Any:
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, kind or a.dtype, sharding=here), tree
        )

    params = abstract(policy.shapes(cfg), jnp.dtype(dtype))
    given = abstract(
        jax.eval_shape(partial(policy.conditioning, cfg, steps=steps, compute=compute), params)
    )
    size = cfg.vision.image_size
    noise = jax.ShapeDtypeStruct((batch, cfg.horizon, cfg.action_dim), jnp.float32, sharding=here)
    frames = jax.ShapeDtypeStruct((batch, cfg.frames, size, size, 3), jnp.uint8, sharding=here)
    start = time.perf_counter()
    function = jax.jit(partial(policy.sample, cfg, compute=compute))
    program = function.lower(params, given, noise, frames).compile()
    compile_s = time.perf_counter() - start
    counted = timing.compiled_flops(lower_step(cfg, params, given, batch, compute), program, steps)
    return Result(
        f"tpu {name}",
        batch,
        steps,
        dtype,
        compile_s=compile_s,
        gflop_compiler=None if counted is None else counted / 1e9,
        gflop_by_hand=batch * flops.count(cfg).cached(cfg.frames, steps) / 1e9,
        peak_mib=timing.peak_mib(program),
    )
