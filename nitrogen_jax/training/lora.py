"""Low-rank adapters: a frozen kernel W (in, out) acts as W + alpha / rank * A B.

A (in, rank) starts random and B (rank, out) at zero, so that the network starts unchanged.
Adapters are parameters like others, under paths of their own:

  vision/layers_0/attn/q/kernel  ->  lora/vision/layers_0/attn/q/a  and  .../b

The sum is made once per step, before the network runs, so that no layer knows of it, and what is
saved for inference is the sum. That spares optimiser state and gradients of what is frozen, but
not the products of the backward pass. There is no dropout of an adapter's input for the same
reason: a sum of matrices has no input.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training.freeze import check_patterns
from nitrogen_jax.weights.rules import flatten, unflatten

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from nitrogen_jax.training.task import Loss, Task

Params = Mapping[str, Any]

ATTENTION = r"(vision/layers|mixer/blocks|dit/blocks)_\d+/attn/(q|k|v|out)/kernel"
FEED_FORWARD = r"(vision/layers|mixer/blocks|dit/blocks)_\d+/mlp/(fc1|fc2)/kernel"


@dataclass(frozen=True)
class Lora:
    """Adapters of rank `rank` on the kernels that `targets` match.

    Attributes:
        rank: inner size of the two factors.
        alpha: the product is scaled by alpha / rank, so that the rate need not follow the rank.
        targets: regexes of whole paths; of what they match, the kernels get adapters.
        also: regexes of what trains in full beside them, such as "action_(en|de)coder/.*".
    """

    rank: int = 16
    alpha: float = 16.0
    targets: tuple[str, ...] = (ATTENTION, FEED_FORWARD)
    also: tuple[str, ...] = ()

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


def init(lora: Lora, key: Array, params: Params) -> dict[str, Any]:
    """{"lora": adapters} for `params`, arrays or shapes; every adapter has a key of its own."""
    flat: dict[str, Array] = {}
    for path, (*lead, inputs, outputs) in _targets(lora, params).items():
        # NOTE: by name, so that an adapter starts the same whatever else has one.
        own = jax.random.fold_in(key, zlib.crc32(path.encode()))
        a = jax.random.normal(own, (*lead, inputs, lora.rank)) * inputs**-0.5
        flat[f"{_adapter(path)}/a"] = a
        flat[f"{_adapter(path)}/b"] = jnp.zeros((*lead, lora.rank, outputs))
    return unflatten(flat)


def add(lora: Lora, key: Array, params: Params) -> dict[str, Any]:
    """`params` (which may lie anywhere, and stay there) and new adapters for them."""
    return {**params, **init(lora, key, params)}


def merge(lora: Lora, params: Params) -> dict[str, Any]:
    """Parameters with adapters -> those of the plain network; differentiable."""
    plain = flatten({name: part for name, part in params.items() if name != "lora"})
    factors = flatten(params["lora"])
    for path, a in factors.items():
        if path.endswith("/a"):
            name = path.removesuffix("/a")
            kernel = f"{name}/kernel"
            plain[kernel] = _sum(plain[kernel], a, factors[f"{name}/b"], lora.scale)
    return unflatten(plain)


def merge_flops(lora: Lora, params: Params) -> float:
    """FLOPs of one merge and its backward pass, whatever the batch."""
    sizes = _targets(lora, params).values()
    return float(sum(3 * 2 * lora.rank * math.prod(shape) for shape in sizes))


@dataclass(frozen=True)
class Adapted:
    """`task` with adapters: a task itself, so that nothing else in training knows of them.

    Attributes:
        task: what is trained without them.
        lora: the adapters.
        share: samples for which a device merges once (those of one forward pass); None leaves the
            merging, mostly under 1 % of a step, out of the count of FLOPs.
    """

    task: Task
    lora: Lora
    share: int | None = None

    def init(self, key: Array) -> dict[str, Any]:
        """The task's parameters and the adapters."""
        task_key, own_key = jax.random.split(key)
        return add(self.lora, own_key, self.task.init(task_key))

    def cast(self, params: Params) -> Params:
        """The task's, and adapters as they are: their product is added before it is rounded."""
        own = {"lora": params["lora"]} if "lora" in params else {}
        rest = {name: leaf for name, leaf in params.items() if name != "lora"}
        return {**self.task.cast(rest), **own}

    def loss(self, params: Params, batch: Mapping[str, Array], key: Array) -> Loss:
        return self.task.loss(merge(self.lora, params), batch, key)

    def batch_spec(self, batch: int) -> dict[str, jax.ShapeDtypeStruct]:
        return self.task.batch_spec(batch)

    def export(self, params: Params) -> Params:
        """What is saved for inference: adapters merged, nothing left of them."""
        return self.task.export(merge(self.lora, params))

    def metadata(self, step: int, provenance: Mapping[str, Any]) -> dict[str, Any]:
        return self.task.metadata(step, {**provenance, "lora": asdict(self.lora)})

    def flops(self, trains: Callable[[str], bool] = lambda path: True) -> float:
        """The task's, where a kernel trains if its adapter does, and a sample's share of a merge.

        NOTE: the gradient of an adapter is made of the whole gradient of its kernel.
        """
        shapes = jax.eval_shape(self.task.init, jax.random.key(0))
        targets = _targets(self.lora, shapes)
        own = merge_flops(self.lora, shapes) / self.share if self.share else 0.0
        return own + self.task.flops(
            lambda path: trains(path) or (path in targets and trains(f"{_adapter(path)}/a"))
        )

    def evaluate(self, params: Params, batches: Iterable[Any], mesh: Mesh) -> dict[str, Any]:
        return self.task.evaluate(merge(self.lora, params), batches, mesh)


def _targets(lora: Lora, params: Params) -> dict[str, tuple[int, ...]]:
    """Path -> shape of every kernel that gets adapters."""
    if lora.rank < 1 or lora.alpha <= 0:
        raise NitrogenError(
            f"lora: rank is {lora.rank} and alpha {lora.alpha}, where at least 1 and more "
            "than 0 are needed"
        )
    # NOTE: three axes where the first counts embodiments; a patch kernel has four and is no matrix
    kernels = {
        path: tuple(leaf.shape)
        for path, leaf in flatten(params).items()
        if path.endswith("/kernel") and leaf.ndim in (2, 3)
    }
    check_patterns(lora.targets, kernels, "lora.targets")
    found = {
        path: shape
        for path, shape in kernels.items()
        if any(re.fullmatch(pattern, path) for pattern in lora.targets)
    }
    if not found:
        raise NitrogenError("lora.targets is empty: give a regex of kernels to adapt")
    for path, shape in found.items():
        if lora.rank > min(shape[-2:]):
            raise NitrogenError(
                f"lora.rank is {lora.rank}, and {path} {shape} has no more than rank "
                f"{min(shape[-2:])}"
            )
    return found


def _adapter(path: str) -> str:
    return f"lora/{path.removesuffix('/kernel')}"


# NOTE: jitted, so that layers of one shape share one computation, in a step as well as outside.
# Precision: on a TPU the default would round both factors to bfloat16.
@jax.jit
def _sum(kernel: Array, a: Array, b: Array, scale: float) -> Array:
    return kernel + scale * jnp.matmul(a, b, precision="highest")
