"""`nitrogen bench sample`: time, FLOPs and memory of sampling, beside less clever ways."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nitrogen_jax import flow
from nitrogen_jax.bench import flops, timing
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute, PolicyConfig
from nitrogen_jax.serving.sampler import Sampler, draw_noise


@dataclass(frozen=True)
class Result:
    """One line of the table. Times are of one call, so of `batch` chunks."""

    variant: str  # cached | naive | pytorch | tpu <topology>
    batch: int
    steps: int
    dtype: str
    median_ms: float | None = None
    p95_ms: float | None = None
    compile_s: float | None = None
    gflop_compiler: float | None = None
    gflop_by_hand: float | None = None
    tflops: float | None = None  # by-hand FLOPs over the median
    matmul_share: float | None = None  # of the machine's measured matmul rate
    peak_mib: float | None = None
    times_ms: tuple[float, ...] = ()  # every counted call, in order


@dataclass(frozen=True)
class Way:
    """One way of sampling, ready to be called."""

    result: Result  # what is known before it is timed
    call: Callable[[], Any]  # returns when the work is done
    flops: float  # of one call, counted by hand


def inputs(cfg: PolicyConfig, batch: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random frames (B, F, size, size, 3) uint8 and noise (B, T, A)."""
    size = cfg.vision.image_size
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (batch, cfg.frames, size, size, 3), dtype=np.uint8)
    return frames, draw_noise(seed, range(batch), (cfg.horizon, cfg.action_dim))


def cached_way(cfg: PolicyConfig, sampler: Sampler, batch: int, steps: int) -> Way:
    """The sampler that this project uses; compiles its program."""
    compute = sampler.compute
    start = time.perf_counter()
    program = sampler.program(sampler.bucket(batch))
    compile_s = time.perf_counter() - start
    one = lower_step(cfg, sampler.params, sampler.conditioning, batch, compute)
    # NOTE: the compiler cannot look into our own kernels, so it counts the program without them.
    whole = sampler.lower(sampler.bucket(batch), kernels=False)
    counted = timing.compiled_flops(one, whole, steps)
    result = Result(
        "cached",
        batch,
        steps,
        compute.dtype,
        compile_s=compile_s,
        gflop_compiler=None if counted is None else counted / 1e9,
        peak_mib=timing.peak_mib(program),
    )
    by_hand = batch * flops.count(cfg).cached(cfg.frames, steps)
    return Way(result, partial(sampler, *inputs(cfg, batch)), by_hand)


def lower_step(cfg: PolicyConfig, params: Any, given: Any, batch: int, compute: Compute) -> Any:
    """One Euler step alone, traced, for the compiler's count of it.

    `params` and `given` (the conditioning) may be arrays or `jax.ShapeDtypeStruct`s.
    """
    near = jax.tree.leaves(given)[0].sharding  # arrays and structs alike say where they lie

    def abstract(tree: Any) -> Any:
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=near), tree)

    shape = (batch, cfg.context_length, cfg.vision.width)
    context = jax.ShapeDtypeStruct(shape, jnp.dtype(compute.dtype))
    make = partial(policy.keys_values, cfg, compute=compute)
    kv = abstract(jax.eval_shape(make, params, context))
    x = abstract(jax.ShapeDtypeStruct((batch, cfg.horizon, cfg.action_dim), jnp.float32))
    one = abstract(jax.eval_shape(lambda tree: jax.tree.map(lambda a: a[:1], tree), given))
    step = partial(policy.network_apply, cfg, compute=compute)
    return jax.jit(step, static_argnums=1).lower(abstract(params), "denoise", x, one, kv)


def naive_way(
    cfg: PolicyConfig, params: Mapping[str, Any], batch: int, steps: int, compute: Compute
) -> Way:
    """The same network, jitted too, without any caching: each step mixes and projects anew."""
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, compute.dtype), params)
    call, compile_s = naive_sampler(cfg, params, batch, steps, compute)
    result = Result("naive", batch, steps, compute.dtype, compile_s=compile_s)
    by_hand = batch * flops.count(cfg).naive(cfg.frames, steps)
    return Way(result, partial(call, *inputs(cfg, batch)), by_hand)


def naive_sampler(
    cfg: PolicyConfig, params: Mapping[str, Any], batch: int, steps: int, compute: Compute
) -> tuple[Callable[[Any, Any], np.ndarray], float]:
    """(frames, noise) -> actions with one compiled velocity called at every step; compile seconds.

    NOTE: a loop on the host, since a compiler lifts what does not change out of its own loops.
    """

    def encode(params, frames):
        tokens = policy.network_apply(cfg, params, "encode", frames, compute=compute)
        return policy.context_in(cfg, params, tokens, None, None)

    def step(params, context, x, bucket):
        context = policy.mix(cfg, params, context, compute=compute)
        kv = policy.keys_values(cfg, params, context, compute=compute)
        apply = partial(policy.network_apply, cfg, params, compute=compute)
        return x + apply("denoise", x, apply("conditioning", bucket), kv) / steps

    frames, noise = inputs(cfg, batch)
    start = time.perf_counter()
    encode_program = jax.jit(encode).lower(params, frames).compile()
    context = encode_program(params, frames)
    bucket = jnp.zeros(1, jnp.int32)
    step_program = jax.jit(step).lower(params, context, noise, bucket).compile()
    compile_s = time.perf_counter() - start
    buckets = [jnp.asarray([b]) for b in flow.euler_buckets(steps, cfg.timestep_buckets)]

    def call(frames, noise) -> np.ndarray:
        context, x = encode_program(params, frames), jnp.asarray(noise)
        for bucket in buckets:
            x = step_program(params, context, x, bucket)
        return np.asarray(x)

    return call, compile_s


def torch_way(
    cfg: PolicyConfig, params: Mapping[str, Any], batch: int, steps: int, compute: Compute
) -> Way:
    """A PyTorch module of the same sizes and weights, computing as the original does, eagerly."""
    call = torch_sampler(cfg, params, steps, compute)
    by_hand = batch * flops.count(cfg).naive(cfg.frames, steps)
    result = Result("pytorch", batch, steps, compute.dtype)
    return Way(result, partial(call, *inputs(cfg, batch)), by_hand)


def torch_sampler(
    cfg: PolicyConfig, params: Mapping[str, Any], steps: int, compute: Compute
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """(frames, noise) -> actions by PyTorch with our weights."""
    from nitrogen_jax.bench import torch_reference
    from nitrogen_jax.weights import ckpt_config, rules, tables, tower_sizes

    cfg = dataclasses.replace(cfg, euler_steps=steps)
    tensors = rules.to_foreign(jax.tree.map(np.asarray, dict(params)), tables.NITROGEN)
    config = ckpt_config.from_policy_config(cfg)
    model = torch_reference.build(config, tower_sizes.to_json(cfg.vision), cfg.games)
    return torch_reference.eager_sampler(model, tensors, compute.dtype)


def measured(
    ways: Sequence[Way], rate: float, runs: int, tick: Callable[[], None] = lambda: None
) -> list[Result]:
    """Times the ways in turn, a round each, so that what disturbs the machine disturbs all alike.

    Args:
        rate: the machine's own matmul rate, TFLOP/s.
        tick: called after every round.
    """
    results = []
    times = timing.in_turn([way.call for way in ways], runs, tick)
    for way, row in zip(ways, times, strict=True):
        median = float(np.median(row))
        achieved = way.flops / median / 1e9
        results.append(
            dataclasses.replace(
                way.result,
                median_ms=median,
                p95_ms=float(np.percentile(row, 95)),
                times_ms=tuple(row),
                gflop_by_hand=way.flops / 1e9,
                tflops=achieved,
                matmul_share=achieved / rate,
            )
        )
    return results
