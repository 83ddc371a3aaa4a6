"""Which accumulation and rematerialisation to try first: memory guessed before compiling.

What autodiff keeps between the passes can be had by tracing alone. A compiler needs minutes to
say what it makes of it, so plans are tried in the order of this guess, and the compiler decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import Mesh

from nitrogen_jax.training.sharding import bytes_per_device
from nitrogen_jax.training.train_config import TrainConfig

# Of what a step without recomputation keeps per sample, what one that recomputes block by block
# holds at its fullest: the insides of the block that it is at.
ONE_BLOCK = 0.06
ROOM = 0.92  # share of the memory that a guess may fill
FEW = 8  # samples a chip; with fewer, products are too small to keep a chip busy


@dataclass(frozen=True)
class Kept:
    """Bytes that autodiff keeps: `fixed` (cast parameters and the like) and per sample."""

    fixed: float
    sample: float


@dataclass(frozen=True)
class Choice:
    """How to split a batch, and whether blocks are computed twice."""

    accumulate: int
    remat: bool


def with_choice(config: TrainConfig, choice: Choice) -> TrainConfig:
    """The config so changed; a task without `remat` stays as it is."""
    task = config.task
    if can_remat(task):
        task = dataclasses.replace(task, remat=choice.remat)
    return dataclasses.replace(config, task=task, accumulate=choice.accumulate)


def can_remat(task: Any) -> bool:
    """Whether the task knows of rematerialisation."""
    return any(field.name == "remat" for field in dataclasses.fields(task))


def kept(task: Any) -> Kept:
    """What the backward pass of a task's loss is given by the forward pass; traced, not run."""
    params = jax.eval_shape(task.init, jax.random.key(0))
    key = jax.eval_shape(lambda: jax.random.key(0))

    def residuals(samples: int) -> float:
        def backward(params: Any, batch: Any, key: Any) -> Any:
            return jax.vjp(lambda p: task.loss(p, batch, key).total, params)[1]

        found = jax.eval_shape(backward, params, dict(task.batch_spec(samples)), key)
        return float(sum(_bytes(leaf) for leaf in jax.tree.leaves(found)))

    two, four = residuals(2), residuals(4)
    sample = (four - two) / 2
    return Kept(two - 2 * sample, sample)


def state_bytes(state: Any) -> dict[str, int]:
    """Bytes of one device by part of the state."""
    return {
        name: bytes_per_device(getattr(state, name)) for name in ("params", "ema", "opt", "frozen")
    }


def guess(state: int, gradients: int, plain: Kept, here: Kept, samples: int) -> float:
    """Bytes of one device at its fullest, roughly.

    Args:
        state: bytes of the state.
        gradients: bytes of the gradients as they lie.
        plain: what is kept without recomputation.
        here: what is kept in the plan at hand; `plain` itself where nothing is recomputed.
        samples: of a micro-batch, on one device.
    """
    inside = 0.0 if here is plain else ONE_BLOCK * plain.sample
    return state + 2 * gradients + here.fixed + samples * (here.sample + inside)


def order(
    config: TrainConfig,
    mesh: Mesh,
    state: Any,
    limit: float,
    accumulate: int | None = None,
    remat: bool | None = None,
) -> Iterator[Choice]:
    """Choices to compile, the one that should be fastest first; all that come later need less.

    Without recomputation first, as long as micro-batches stay large enough; then with it, in as
    few micro-batches as the guess allows and then in more and more.

    Args:
        accumulate, remat: fixed where given.
    """
    per_chip = config.batch // mesh.size
    counts = [n for n in range(1, per_chip + 1) if per_chip % n == 0]
    if accumulate is not None:
        counts = [accumulate]
    known = can_remat(config.task)
    ways = [False, True] if remat is None and known else [bool(remat)]
    if not known:
        ways = [False]
    if len(counts) == 1 and len(ways) == 1:
        yield Choice(counts[0], ways[0])
        return
    plain = kept(with_choice(config, Choice(1, False)).task)
    parts = state_bytes(state)
    for way in ways:
        here = kept(with_choice(config, Choice(1, True)).task) if way else plain
        fitting = [
            n
            for n in counts
            if guess(sum(parts.values()), parts["params"], plain, here, per_chip // n)
            <= ROOM * limit
        ]
        last = way == ways[-1]
        if not last:
            fitting = [n for n in fitting if per_chip // n >= min(FEW, per_chip)][:2]
        for n in fitting or (counts[-1:] if last else []):
            yield Choice(n, way)


def _bytes(leaf: Any) -> int:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return 8 * leaf.size
    return leaf.size * leaf.dtype.itemsize
