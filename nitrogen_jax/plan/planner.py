"""One plan: a step or a sampler compiled for a machine, and what follows for its speed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from nitrogen_jax.files import atomic_path
from nitrogen_jax.plan import aot, choose, collectives, counts, hlo
from nitrogen_jax.plan.chips import Chip, Target
from nitrogen_jax.plan.collectives import Row
from nitrogen_jax.plan.estimate import Estimate, estimate, mfu
from nitrogen_jax.training import build as builds
from nitrogen_jax.training.train_config import TrainConfig
from nitrogen_jax.training.trees import flatten


@dataclass(frozen=True)
class Plan:
    """Everything that is known of a program before it runs. Bytes and FLOPs are one chip's.

    Attributes:
        program: "train" or "sample".
        memory: argument, output, alias, temporary, code, peak and limit; None where not known.
        state: bytes by part of the state: params, ema, opt, frozen.
        flops: compiler (loops counted once), looped (as often as they run), products (counted in
            the compiled text), by_hand (what the network needs, recomputation left out).
        traffic: bytes: compiler and looped, as above, of all memories of a chip; hbm, counted in
            the compiled text, which the estimate is made of.
        gathered: all-gathers of what is no parameter, as text.
        unknown_loops: loops whose length is decided while the program runs; counted once.
        notes: what a reader must know to trust the figures.
    """

    program: str
    target: str
    chip: str
    devices: int
    mesh: Mapping[str, int]
    batch: int
    accumulate: int = 1
    remat: bool | None = None
    steps: int | None = None  # of a sampler
    compile_s: float = 0.0
    fits: bool = True
    memory: Mapping[str, float | None] = field(default_factory=dict)
    state: Mapping[str, int] = field(default_factory=dict)
    flops: Mapping[str, float | None] = field(default_factory=dict)
    traffic: Mapping[str, float | None] = field(default_factory=dict)
    collectives: tuple[Row, ...] = ()
    gathered: tuple[str, ...] = ()
    unknown_loops: int = 0
    estimate: Estimate | None = None
    mfu: float | None = None
    samples_per_s: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def peak(self) -> float | None:
        return self.memory.get("peak")


CPU_NOTE = (
    "compiled by XLA's CPU compiler on stand-ins: memory, traffic and collectives are its choices, "
    "and a GPU's compiler makes others; only FLOPs, parameters and state are the same"
)
QUICK_NOTE = (
    "--quick: compiled with little effort; memory is about right, traffic and what collectives "
    "move may be up to twice as much as in the program that will run"
)


def plan_step(
    config: TrainConfig,
    target: Target,
    *,
    accumulate: int | None = None,
    remat: bool | None = None,
    quick: bool = False,
    keep: str | None = None,
) -> Plan:
    """The train step on a machine; accumulation and remat that are None are chosen.

    Args:
        keep: a file for the compiled text.
    """
    chip, found = target.chip or aot.this_machine(), aot.devices(target)
    config, notes = for_chip(config, target)
    if quick:
        notes += (QUICK_NOTE,)
    first = dataclasses.replace(config, accumulate=accumulate or 1)
    mesh = builds.make_mesh(first, found)
    state = builds.build(first, mesh).state
    plan = None
    for choice in choose.order(first, mesh, state, chip.memory, accumulate, remat):
        chosen = choose.with_choice(config, choice)
        builds.check_batch(chosen.batch, chosen.accumulate, mesh, "batch")
        plan = _compiled_step(builds.build(chosen, mesh), target, chip, quick, notes, keep)
        if plan.fits:
            break
    return plan


def _compiled_step(
    built: builds.Built,
    target: Target,
    chip: Chip,
    quick: bool,
    notes: tuple[str, ...],
    keep: str | None,
) -> Plan:
    config, mesh = built.config, built.mesh
    program = _kept(aot.compile_lowered(built.lower(), quick), keep)
    shapes = {**flatten(built.state.params), **flatten(built.state.frozen)}
    plan = _analysed(
        Plan(
            "train",
            target.name,
            chip.name,
            mesh.size,
            dict(mesh.shape),
            config.batch,
            config.accumulate,
            getattr(config.task, "remat", None),
            state=choose.state_bytes(built.state),
            notes=notes,
        ),
        program,
        chip,
        mesh,
        {path: leaf.shape for path, leaf in shapes.items()},
    )
    return _timed(plan, chip, built.flops, config.batch)


def plan_sampler(
    policy_config: Any,
    target: Target,
    batch: int,
    steps: int,
    dtype: str,
    *,
    quick: bool = False,
    keep: str | None = None,
) -> Plan:
    """The sampler on ONE chip of a machine."""
    from nitrogen_jax.bench import flops as by_hand
    from nitrogen_jax.models import policy
    from nitrogen_jax.models.configs import Compute
    from nitrogen_jax.training.mesh import make_mesh

    cfg, chip = policy_config, target.chip or aot.this_machine()
    mesh = make_mesh(1, aot.devices(target)[:1])
    here = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    compute = Compute(dtype=dtype)

    def abstract(tree: Any, kind: Any = None) -> Any:
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, kind or a.dtype, sharding=here), tree
        )

    params = abstract(policy.shapes(cfg), jnp.dtype(dtype))
    make = partial(policy.conditioning, cfg, steps=steps, compute=compute)
    given = abstract(jax.eval_shape(make, params))
    size = cfg.vision.image_size
    noise = jax.ShapeDtypeStruct((batch, cfg.horizon, cfg.action_dim), jnp.float32, sharding=here)
    frames = jax.ShapeDtypeStruct((batch, cfg.frames, size, size, 3), jnp.uint8, sharding=here)
    function = jax.jit(partial(policy.sample, cfg, compute=compute))
    lowered = function.lower(params, given, noise, frames)
    program = _kept(aot.compile_lowered(lowered, quick), keep)
    notes = (CPU_NOTE,) if target.platform == "gpu" else ()
    plan = Plan(
        "sample",
        target.name,
        chip.name,
        1,
        dict(mesh.shape),
        batch,
        steps=steps,
        notes=notes + ((QUICK_NOTE,) if quick else ()),
    )
    useful = batch * by_hand.count(cfg).cached(cfg.frames, steps)
    return _timed(_analysed(plan, program, chip, mesh, {}), chip, useful, batch)


def for_chip(config: TrainConfig, target: Target) -> tuple[TrainConfig, tuple[str, ...]]:
    """The config as it would be on the target and not here; and notes on what was changed."""
    task, notes = config.task, []
    names = {each.name for each in dataclasses.fields(task)}
    if target.platform != "cpu" and "dtype" in names and task.dtype == "auto":
        task = dataclasses.replace(task, dtype="bfloat16")
    if target.platform == "gpu":
        notes.append(CPU_NOTE)
        if "attention" in names and task.attention != "xla":
            task = dataclasses.replace(task, attention="xla")
            notes.append("attention is 'xla' here: cuDNN's kernels cannot be compiled for")
    return dataclasses.replace(config, task=task), tuple(notes)


def _kept(program: aot.Program, path: str | None) -> aot.Program:
    if path is not None and program.text:
        with atomic_path(path) as temporary:
            temporary.write_text(program.text, encoding="utf-8")
    return program


def _analysed(
    plan: Plan, program: aot.Program, chip: Chip, mesh: Mesh, parameters: Mapping[str, Any]
) -> Plan:
    """The plan with what the compiler says, and what its text says."""
    peak = aot.peak_bytes(program)
    fits = peak is None or peak <= chip.memory
    figures = program.figures
    memory: dict[str, float | None] = {
        name: None if figures.get(f"{name}_mib") is None else figures[f"{name}_mib"] * aot.MIB
        for name in ("argument", "output", "alias", "temporary", "code")
    }
    memory |= {"peak": peak, "limit": chip.memory}
    plan = dataclasses.replace(
        plan, fits=fits and program.overflow is None, memory=memory, compile_s=program.seconds
    )
    if program.overflow is not None:
        return plan
    module = hlo.parse(program.text)
    found = collectives.find(module)
    cost = {"flops": figures.get("flops"), "bytes accessed": figures.get("bytes_accessed")}
    looped, counted = counts.scaled(module, cost), counts.count(module)
    unexpected = collectives.unexpected_gathers(found, parameters) if parameters else []
    flops = {"compiler": cost["flops"], "looped": looped["flops"], "products": counted.flops}
    traffic = {"compiler": cost["bytes accessed"], "looped": looped["bytes accessed"]}
    traffic["hbm"] = counted.bytes
    return dataclasses.replace(
        plan,
        flops=flops,
        traffic=traffic,
        collectives=tuple(collectives.summary(found, dict(mesh.shape))),
        gathered=tuple(
            f"{' '.join(map(str, one.arrays))} x{one.times} of {one.source}" for one in unexpected
        ),
        unknown_loops=len(module.unknown_loops()),
        estimate=estimate(
            chip,
            looped["flops"] or counted.flops,
            counted.bytes,
            found,
        ),
    )


def _timed(plan: Plan, chip: Chip, useful: float, samples: int) -> Plan:
    """The plan with what its estimate means; `useful` FLOPs are those of all chips."""
    flops = {**plan.flops, "by_hand": useful / plan.devices}
    if plan.estimate is None:
        return dataclasses.replace(plan, flops=flops)
    seconds = plan.estimate.seconds
    return dataclasses.replace(
        plan,
        flops=flops,
        mfu=mfu(useful, seconds, chip, plan.devices),
        samples_per_s=samples / seconds,
    )
