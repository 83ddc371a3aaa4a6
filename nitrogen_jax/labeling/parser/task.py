"""The reader as a task of the trainer: position maps of sticks, buttons, and their metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.sharding import Mesh

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.parser import heat, network
from nitrogen_jax.labeling.parser.metrics import Rows, summarize
from nitrogen_jax.labeling.parser.mosaic import CHANNELS, TEMPLATE
from nitrogen_jax.labeling.parser.slots import READ, SIDE
from nitrogen_jax.models import segformer
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.models.segformer_config import SegformerConfig
from nitrogen_jax.training import mesh as meshes
from nitrogen_jax.training.start import Start, Started
from nitrogen_jax.training.task import Batch, Loss, Params
from nitrogen_jax.training.trees import flatten
from nitrogen_jax.weights import meta


@dataclass(frozen=True)
class ParserTask:
    """How the reader learns.

    Attributes:
        network: a SegFormer, see `network.parser_config`.
        dtype: of activations and products; "auto": bfloat16 on accelerators, float32 on CPUs.
        stick_weight: of the loss of one stick, in buttons.
    """

    network: SegformerConfig = field(default_factory=network.parser_config)
    dtype: str = "auto"
    stick_weight: float = 1.0

    def check(self) -> ParserTask:
        """Returns itself; raises one sentence about what makes no sense."""
        network.check(self.network)
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise NitrogenError(
                f"task.dtype is {self.dtype!r}, where 'auto', 'float32' or 'bfloat16' is needed"
            )
        if self.stick_weight <= 0:
            raise NitrogenError(f"task.stick_weight is {self.stick_weight}: it must be positive")
        return self

    @property
    def compute(self) -> Compute:
        """How the network runs on this machine."""
        dtype = self.dtype
        if dtype == "auto":
            dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
        return Compute(dtype)

    def init(self, key: Array) -> Params:
        return segformer.init(self.network, key)

    def start(self, start: Start, seed: int) -> Started:
        """From a SegFormer of any kind, published ones included: its encoder, and what fits."""
        from nitrogen_jax.weights.segformer import load_segformer

        if start.checkpoint is None or start.vision or start.only:
            raise NitrogenError("a reader starts from start.checkpoint alone, a SegFormer")
        params = load_segformer(start.checkpoint, self.network, jax.random.key(seed))
        return Started(params, None, {"source": str(start.checkpoint)}, [])

    def cast(self, params: Params) -> Params:
        dtype = jnp.dtype(self.compute.dtype)
        return jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.ndim > 1 else leaf, params)

    def loss(self, params: Params, batch: Batch, key: Array) -> Loss:
        """Nats of both sticks' maps and of all buttons; what a skin does not have is left out."""
        read = network.run(
            self.network, params, batch["frames"], batch["template"], key, compute=self.compute
        )
        there = batch["valid"][:, None]
        wanted = heat.target(batch["sticks"] * batch["travel"])
        sticks = there & batch["has_sticks"]
        missed = jnp.where(sticks, heat.cross_entropy(read.sticks, wanted), 0).sum()
        buttons = there & batch["has_buttons"]
        pressed = batch["buttons"].astype(jnp.float32)
        wrong = optax.sigmoid_binary_cross_entropy(read.buttons, pressed)
        wrong = jnp.where(buttons, wrong, 0).sum()
        count = {"stick": sticks.sum(), "button": buttons.sum()}
        count = {name: number.astype(jnp.float32) for name, number in count.items()}
        return Loss(
            self.stick_weight * missed + wrong,
            batch["valid"].sum().astype(jnp.float32),
            {"stick": (missed, count["stick"]), "button": (wrong, count["button"])},
        )

    def batch_spec(self, batch: int) -> dict[str, jax.ShapeDtypeStruct]:
        shapes = {
            "frames": ((2, SIDE, SIDE, CHANNELS), jnp.uint8),
            "template": ((SIDE, SIDE, TEMPLATE), jnp.uint8),
            "sticks": ((2, 2), jnp.float32),
            "travel": ((2, 2), jnp.float32),
            "has_sticks": ((2,), jnp.bool),
            "buttons": ((len(READ),), jnp.bool),
            "has_buttons": ((len(READ),), jnp.bool),
            "valid": ((), jnp.bool),
            "clip": ((), jnp.int32),
        }
        return {
            name: jax.ShapeDtypeStruct((batch, *shape), dtype)
            for name, (shape, dtype) in shapes.items()
        }

    def export(self, params: Params) -> Params:
        return params

    def metadata(self, step: int, provenance: Mapping[str, Any]) -> dict[str, Any]:
        return meta.to_json(meta.Meta(self.network, step=step, provenance=dict(provenance)))

    def flops(self, trains: Callable[[str], bool] = lambda path: True) -> float:
        """Backward costs as much again for inputs and for weights, of which some may be frozen."""
        sizes = {
            path: np.prod(leaf.shape)
            for path, leaf in flatten(segformer.shapes(self.network)).items()
        }
        share = sum(size for path, size in sizes.items() if trains(path)) / sum(sizes.values())
        return network.flops(self.network) * (1 + (share > 0) + share)

    def evaluate(self, params: Params, batches: Iterable[Batch], mesh: Mesh) -> Mapping[str, Any]:
        """See metrics.py; the loss beside them."""
        run = _compiled(self, mesh)
        total = weight = 0.0
        rows = []
        for batch in batches:
            found = jax.device_get(run(params, batch))
            total, weight = total + float(found["total"]), weight + float(found["weight"])
            rows.append(Rows.of(found))
        return {"loss": total / weight if weight else None, **summarize(rows)}


@lru_cache(maxsize=4)
def _compiled(task: ParserTask, mesh: Mesh):
    def run(params: Params, batch: Batch) -> Mapping[str, Any]:
        loss = task.loss(params, batch, None)
        read = network.run(
            task.network, params, batch["frames"], batch["template"], compute=task.compute
        )
        at, _ = heat.position(read.sticks)
        names = ("sticks", "travel", "has_sticks", "buttons", "has_buttons", "valid", "clip")
        return {
            "total": loss.total,
            "weight": loss.weight,
            "said_at": at,
            "said_buttons": read.buttons,
            **{name: batch[name] for name in names},
        }

    return jax.jit(run, out_shardings=meshes.replicated(mesh))
