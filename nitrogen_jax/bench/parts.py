"""Where the time of one chunk goes: each part of the sampler as a program of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nitrogen_jax.bench import flops, timing
from nitrogen_jax.bench.sample import Result, filled, inputs
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute, PolicyConfig


def bench_parts(
    cfg: PolicyConfig,
    params: Mapping[str, Any],
    batch: int,
    steps: int,
    compute: Compute,
    rate: float,
    runs: int,
) -> Iterator[Result]:
    """Tower, mixer, keys and values, and the Euler loop; `rate` in TFLOP/s.

    NOTE: the parts read and write what the whole keeps in caches, so their sum may exceed it.
    """
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, compute.dtype), params)
    frames, noise = (jnp.asarray(x) for x in inputs(cfg, batch))
    piece = partial(policy.network_apply, cfg, compute=compute)
    run = jax.jit(lambda method, params, *args: piece(params, method, *args), static_argnums=0)
    given = jax.jit(partial(policy.conditioning, cfg, steps=steps, compute=compute))(params)
    context_in = policy.context_in(cfg, params, run("encode", params, frames), None, None)
    context = run("mix", params, context_in)
    denoise = jax.jit(partial(policy.denoise, cfg, compute=compute))
    one = flops.count(cfg)
    loop = one.keys_values + steps * one.step
    calls = {
        "part: tower": (partial(run, "encode", params, frames), cfg.frames * one.encoder),
        "part: mixer": (partial(run, "mix", params, context_in), one.mixer),
        "part: keys, values": (partial(run, "keys_values", params, context), one.keys_values),
        "part: Euler loop": (partial(denoise, params, given, noise, context), loop),
    }
    for name, (call, cost) in calls.items():
        timed = timing.measure(lambda call=call: jax.block_until_ready(call()), runs)
        result = Result(name, batch, steps, compute.dtype)
        yield filled(result, timed, batch * cost, rate)
