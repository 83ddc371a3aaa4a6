"""Where the time of one chunk goes: each part of the sampler as a program of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nitrogen_jax.bench import flops
from nitrogen_jax.bench.sample import Result, Way, inputs
from nitrogen_jax.kernels import packed
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute, PolicyConfig


def part_ways(
    cfg: PolicyConfig, params: Mapping[str, Any], batch: int, steps: int, compute: Compute
) -> Iterator[Way]:
    """Tower, mixer, keys and values, and the Euler loop.

    NOTE: the loop makes its own keys and values, so the parts' sum counts those twice.
    """
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, compute.dtype), params)
    frames, noise = (jnp.asarray(x) for x in inputs(cfg, batch))
    piece = partial(policy.network_apply, cfg, compute=compute)
    run = jax.jit(lambda method, params, *args: piece(params, method, *args), static_argnums=0)
    given = jax.jit(partial(policy.conditioning, cfg, steps=steps, compute=compute))(params)
    context_in = policy.context_in(cfg, params, run("encode", params, frames), None, None)
    context = run("mix", params, context_in)
    denoise = partial(policy.denoise, cfg, compute=compute)
    layers = {}
    if batch * cfg.horizon <= packed.MAX_ROWS:
        least = packed.WORTH_WHILE
        layers = packed.pack_for(
            denoise, params, given, noise, context, compute=compute, least=least
        )
    denoise = partial(jax.jit(packed.with_packed(denoise)), layers)
    one = flops.count(cfg)
    loop = one.keys_values + steps * one.step
    calls = {
        "part: tower": (partial(run, "encode", params, frames), cfg.frames * one.encoder),
        "part: mixer": (partial(run, "mix", params, context_in), one.mixer),
        "part: keys, values": (partial(run, "keys_values", params, context), one.keys_values),
        "part: Euler loop": (partial(denoise, params, given, noise, context), loop),
    }
    for name, (call, cost) in calls.items():
        result = Result(name, batch, steps, compute.dtype)
        yield Way(result, lambda call=call: jax.block_until_ready(call()), batch * cost)
