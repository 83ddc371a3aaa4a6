"""Compiles programs whose collectives are known for 8 stand-in devices; their HLO as JSON."""

from __future__ import annotations

import json
import sys

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

ROWS, WIDTH, DEPTH = 16, 64, 6


def main() -> None:
    mesh = jax.make_mesh((2, 4), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)

    def struct(shape, spec):
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, spec))

    def mapped(function, spec_in, spec_out):
        return jax.shard_map(
            function, mesh=mesh, in_specs=spec_in, out_specs=spec_out, check_vma=False
        )

    def loop(x, kernels):
        def block(x, kernel):
            return jnp.tanh(x @ kernel), None

        return jax.lax.scan(block, x, kernels)[0].sum()

    ring = [(at, (at + 1) % 4) for at in range(4)]
    batch = struct((ROWS, WIDTH), P(("data", "fsdp")))
    both, one = P(("data", "fsdp")), P("fsdp")
    split = struct((8, WIDTH), one)
    programs = {
        "gather": (
            mapped(lambda x: jax.lax.all_gather(x, "fsdp", tiled=True), both, P("data")),
            batch,
        ),
        "reduce": (
            mapped(lambda x: jax.lax.psum(x, "data"), P("data"), P()),
            struct((8, WIDTH), P("data")),
        ),
        "scatter": (
            mapped(lambda x: jax.lax.psum_scatter(x, "fsdp", tiled=True), P(), one),
            struct((8, WIDTH), P()),
        ),
        "exchange": (
            mapped(lambda x: jax.lax.all_to_all(x, "fsdp", 1, 0, tiled=True), one, P(None, "fsdp")),
            split,
        ),
        "shift": (mapped(lambda x: jax.lax.ppermute(x, "fsdp", ring), one, one), split),
        "scan": (
            jax.grad(loop, argnums=1),
            batch,
            struct((DEPTH, WIDTH, WIDTH), P(None, None, "fsdp")),
        ),
    }
    made = {}
    for name, (function, *given) in programs.items():
        compiled = jax.jit(function).lower(*given).compile()
        cost = compiled.cost_analysis()
        made[name] = {"text": compiled.as_text(), "flops": cost.get("flops", 0.0)}
    flat = jax.jit(lambda x, k: jax.grad(unrolled, argnums=1)(x, k)).lower(
        jnp.zeros((ROWS, WIDTH)), jnp.zeros((DEPTH, WIDTH, WIDTH))
    )
    compiled = flat.compile()
    made["unrolled"] = {"text": compiled.as_text(), "flops": compiled.cost_analysis()["flops"]}
    sys.stdout.write(json.dumps(made))


def unrolled(x, kernels):
    for at in range(DEPTH):
        x = jnp.tanh(x @ kernels[at])
    return x.sum()


if __name__ == "__main__":
    main()
