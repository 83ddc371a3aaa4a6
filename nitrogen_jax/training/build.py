"""The step of a run with everything that its compilation needs, and nothing that needs devices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import mesh as meshes
from nitrogen_jax.training import optimizer as optimizers
from nitrogen_jax.training import sharding, state
from nitrogen_jax.training.freeze import freeze_rules
from nitrogen_jax.training.lora import Adapted
from nitrogen_jax.training.rules import Rules, decide
from nitrogen_jax.training.state import TrainState
from nitrogen_jax.training.step import Step, make_step
from nitrogen_jax.training.task import Task
from nitrogen_jax.training.train_config import TrainConfig
from nitrogen_jax.training.trees import combine, flatten, partition


@dataclass(frozen=True)
class Built:
    """A step on a mesh, real or described.

    Attributes:
        task: the task that the step trains: the config's, or that with adapters.
        step: the jitted step, (state, batch, stop) -> (state, metrics); it takes its state over.
        make_state: jitted (trained, frozen) -> the state before the first step.
        init: jitted key -> (trained, frozen), random.
        state, batch, stop: `jax.ShapeDtypeStruct`s that say how each array lies on the mesh.
        trainable: (path regex, bool), which parameters train.
    """

    config: TrainConfig
    task: Task
    mesh: Mesh
    step: Step
    make_state: Callable[[Any, Any], TrainState]
    init: Callable[[jax.Array], tuple[Any, Any]]
    state: TrainState
    batch: Mapping[str, jax.ShapeDtypeStruct]
    stop: jax.ShapeDtypeStruct
    trainable: Rules

    def lower(self) -> jax.stages.Lowered:
        """The step, ready to be compiled for the mesh."""
        return self.step.lower(self.state, self.batch, self.stop)

    @functools.cached_property
    def exported(self) -> Any:
        """The parameters for inference, as shapes that say how each array lies on the mesh."""
        full = combine(self.state.ema, self.state.frozen)
        shapes = jax.eval_shape(self.task.export, full)
        placed = sharding.shardings(self.mesh, shapes, self.config.shard)
        return jax.tree.map(
            lambda leaf, to: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=to),
            shapes,
            placed,
        )

    @functools.cached_property
    def exports_all(self) -> bool:
        """Whether the parameters for inference have the names of those that are trained."""
        full = combine(self.state.ema, self.state.frozen)
        return flatten(self.exported).keys() == flatten(full).keys()

    @functools.cached_property
    def export(self) -> Callable[[Any], Any]:
        """Parameters -> those for inference, by one program for all saves of a run."""
        placed = jax.tree.map(lambda leaf: leaf.sharding, self.exported)
        return jax.jit(self.task.export, out_shardings=placed)

    @property
    def flops(self) -> float:
        """Of an update, by hand."""
        return self.config.batch * self.task.flops(lambda path: bool(decide(path, self.trainable)))

    @property
    def counts(self) -> tuple[int, int]:
        """Parameters that train, and all."""
        trained, frozen = (
            sum(leaf.size for leaf in jax.tree.leaves(tree))
            for tree in (self.state.params, self.state.frozen)
        )
        return trained, trained + frozen


def make_mesh(config: TrainConfig, devices: Any = None) -> Mesh:
    """The config's mesh over these devices, by default all that JAX has."""
    devices = jax.devices() if devices is None else devices
    wanted, fsdp = config.mesh.data, config.mesh.fsdp
    if wanted is not None and wanted * fsdp != len(devices):
        raise NitrogenError(
            f"mesh.data {wanted} x mesh.fsdp {fsdp} is {wanted * fsdp}, and there are "
            f"{len(devices)} devices"
        )
    mesh = meshes.make_mesh(fsdp, devices)
    check_batch(config.batch, config.accumulate, mesh, "batch")
    return mesh


def check_batch(batch: int, accumulate: int, mesh: Mesh, name: str) -> None:
    """Raises where the devices cannot divide a batch evenly."""
    if batch % (accumulate * mesh.size):
        times = f" x {accumulate} micro-batches (accumulate)" if accumulate > 1 else ""
        raise NitrogenError(
            f"config: {name} {batch} is not a multiple of the {mesh.size} devices{times}"
        )


def build(config: TrainConfig, mesh: Mesh) -> Built:
    """Everything but arrays; the devices of the mesh need not be there."""
    task = config.task if config.lora is None else Adapted(config.task, config.lora)
    shapes = jax.eval_shape(task.init, jax.random.key(0))
    trainable = freeze_rules(config.freeze, flatten(shapes), config.lora)
    trained, frozen = partition(shapes, trainable)
    transform = optimizers.make(config.optimizer, config.steps, trained)
    abstract = state.shapes(mesh, trained, frozen, transform, config.shard)
    placed = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    over, whole = meshes.over_batch(mesh), meshes.replicated(mesh)
    batch = {
        name: jax.ShapeDtypeStruct(one.shape, one.dtype, sharding=over)
        for name, one in task.batch_spec(config.batch).items()
    }
    stop = jax.ShapeDtypeStruct((mesh.size,), jnp.int32, sharding=over)
    step = jax.jit(
        make_step(task, config, transform, placed.params),
        in_shardings=(placed, dict.fromkeys(batch, over), over),
        out_shardings=(placed, whole),
        donate_argnums=0,
    )
    return Built(
        config=config,
        task=task,
        mesh=mesh,
        step=step,
        make_state=jax.jit(
            lambda params, rest: state.new(params, rest, transform), out_shardings=placed
        ),
        init=jax.jit(
            lambda key: partition(task.init(key), trainable),
            out_shardings=(placed.params, placed.frozen),
        ),
        state=abstract,
        batch=batch,
        stop=stop,
        trainable=trainable,
    )
