"""The sampler compiled ahead of time for a TPU, on a machine that has none (extra [tpu])."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nitrogen_jax.bench import flops, timing
from nitrogen_jax.bench.sample import Result, lower_step
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute, PolicyConfig


def topology(name: str) -> Any:
    """The devices of a TPU topology such as "v5e:2x2", abstract."""
    # NOTE: without it libtpu asks a metadata server that is not there, for minutes.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    from jax.experimental import topologies

    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name)
    except Exception as error:  # the plug-in raises whatever it likes
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise NitrogenError(
            f"cannot compile for TPU topology {name!r}, such as v5e:2x2, with the [tpu] extra: "
            f"{reason}"
        ) from error


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
