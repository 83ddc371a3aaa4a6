"""What the trainer knows of a network: a *task*, and where its batches come from.

The loop, the step and the checkpoints see nothing else, so that the policy, the action parser and
whatever comes next are trained by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh

Params = Mapping[str, Any]
Batch = Mapping[str, Any]


class Loss(NamedTuple):
    """A loss as sums, so that micro-batches and devices can be added up before the division.

    Attributes:
        total: scalar, the sum of what is averaged; the loss is total / weight.
        weight: scalar, how much was averaged; its gradient is not taken.
        parts: name -> (total, weight) of what else is worth a line in the log.
    """

    total: Array
    weight: Array
    parts: Mapping[str, tuple[Array, Array]] = {}


class Task(Protocol):
    """One network and how it learns. Everything is a pure function of its arguments."""

    def init(self, key: Array) -> Params:
        """Random float32 parameters, a nested dict; may be jitted."""

    def start(self, start: Any, seed: int) -> Any:
        """Parameters out of files, see start.py; what is in no file is random."""

    def cast(self, params: Params) -> Params:
        """Parameters, all or some, in the types that `loss` multiplies in: less to gather."""

    def loss(self, params: Params, batch: Batch, key: Array) -> Loss:
        """The loss of one batch; whatever is random in it is decided by `key`."""

    def batch_spec(self, batch: int) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Name, shape and type of what `loss` reads of a batch; the leading axis is the batch."""

    def export(self, params: Params) -> Params:
        """The parameters to use the network with; themselves, unless training added some."""

    def metadata(self, step: int, provenance: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a checkpoint says of the exported parameters, as JSON."""

    def flops(self, trains: Callable[[str], bool] = lambda path: True) -> float:
        """FLOPs of training on one sample, forward and backward, by hand.

        Args:
            trains: whether the parameter at a path does.
        """

    def evaluate(self, params: Params, batches: Iterable[Batch], mesh: Mesh) -> Mapping[str, Any]:
        """Metrics on batches (global, on the devices) that were not trained on; nested numbers."""


class Source(Protocol):
    """An endless or finite stream of batches that knows where it is."""

    position: int

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray]]: ...

    def __next__(self) -> Mapping[str, np.ndarray]:
        """This process's part of the next batch, on the host."""

    def state(self) -> Mapping[str, Any]:
        """What `Data.open` needs to go on behind the batches delivered so far; JSON."""

    def provenance(self, batch: Mapping[str, np.ndarray], at: int) -> Mapping[str, Any]:
        """Where a sample of a batch is from."""

    def close(self) -> None: ...


class Data(Protocol):
    """Where batches come from."""

    def fit(self, task: Any) -> Any:
        """The task, told what only the data knows; raises where the two do not fit."""

    def open(
        self,
        task: Any,
        batch: int,
        *,
        seed: int,
        host: int = 0,
        hosts: int = 1,
        state: Mapping[str, Any] | None = None,
    ) -> Source:
        """A stream for training; `batch` samples of all hosts, from where `state` was taken."""

    def open_once(
        self, task: Any, batch: int, *, held_out: bool, host: int = 0, hosts: int = 1
    ) -> Source | None:
        """One pass over what is held out, or over what is trained on; None if nothing is."""
