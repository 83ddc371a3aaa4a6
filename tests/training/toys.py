"""A task and its data that compile in no time: a two-layer network on a known function.

Everything that the trainer promises of a task can be tried on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nitrogen_jax.training.start import Start, Started
from nitrogen_jax.training.task import Loss
from nitrogen_jax.training.train_config import TrainConfig
from nitrogen_jax.training.trees import flatten, unflatten

INPUTS, OUTPUTS = 8, 2


@dataclass(frozen=True)
class ToyTask:
    """y = f(x) by two matrices and their biases, and a head that no loss reaches.

    Attributes:
        width: of the hidden layers; the middle kernel (width, width) is large enough to be divided.
        noise: size of what is added to x, drawn by the key of the loss.
        dtype: in which matrices are multiplied.
    """

    width: int = 64
    noise: float = 0.0
    dtype: str = "float32"

    def init(self, key: jax.Array) -> dict[str, Any]:
        keys = jax.random.split(key, 4)
        sizes = {
            "first": (INPUTS, self.width),
            "middle": (self.width, self.width),
            "last": (self.width, OUTPUTS),
            "unused": (OUTPUTS, OUTPUTS),
        }
        return {
            name: {
                "kernel": jax.random.normal(own, shape) * shape[0] ** -0.5,
                "bias": jnp.zeros(shape[1]),
            }
            for (name, shape), own in zip(sizes.items(), keys, strict=True)
        }

    def start(self, start: Start, seed: int) -> Started:
        """From an .npz file of flat parameters."""
        with np.load(start.checkpoint) as found:
            params = unflatten({name: found[name] for name in found.files})
        return Started(params, None, {"source": str(start.checkpoint)}, ["started from a file"])

    def cast(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return jax.tree.map(lambda p: p.astype(self.dtype) if p.ndim > 1 else p, params)

    def loss(self, params: Any, batch: Mapping[str, jax.Array], key: jax.Array) -> Loss:
        x = batch["x"] + self.noise * jax.random.normal(key, batch["x"].shape)
        error = (self.predict(params, x) - batch["y"]) * batch["valid"][:, None]
        weight = OUTPUTS * batch["valid"].sum().astype(jnp.float32)
        parts = {"absolute": (jnp.abs(error).sum(), weight)}
        return Loss(jnp.square(error).sum(), weight, parts)

    def predict(self, params: Any, x: jax.Array) -> jax.Array:
        """Inputs (B, 8) -> outputs (B, 2), float32."""
        for name in ("first", "middle", "last"):
            kernel = params[name]["kernel"].astype(self.dtype)
            x = (x.astype(self.dtype) @ kernel).astype(jnp.float32) + params[name]["bias"]
            x = x if name == "last" else jnp.tanh(x)
        return x

    def batch_spec(self, batch: int) -> dict[str, jax.ShapeDtypeStruct]:
        return {
            "x": jax.ShapeDtypeStruct((batch, INPUTS), jnp.float32),
            "y": jax.ShapeDtypeStruct((batch, OUTPUTS), jnp.float32),
            "valid": jax.ShapeDtypeStruct((batch,), jnp.bool),
        }

    def export(self, params: Any) -> Any:
        return params

    def metadata(self, step: int, provenance: Mapping[str, Any]) -> dict[str, Any]:
        return {"kind": "toy", "step": step, "provenance": dict(provenance)}

    def flops(self, trains: Callable[[str], bool] = lambda path: True) -> float:
        del trains
        return 6.0 * (INPUTS * self.width + self.width**2 + self.width * OUTPUTS)

    def evaluate(self, params: Any, batches: Iterable[Any], mesh: Any) -> dict[str, Any]:
        del mesh
        losses = [jax.jit(self.loss)(params, one, jax.random.key(0)) for one in batches]
        total, weight = (float(sum(getattr(x, name) for x in losses)) for name in Loss._fields[:2])
        return {"loss": total / weight if weight else None, "samples": weight / OUTPUTS}


@dataclass(frozen=True)
class ToyData:
    """Batches of ToyTask, each a function of its number, and of nothing else.

    Attributes:
        nan_at: numbers of batches, from 0, in which one value is not a number.
        invalid_at: numbers of batches of which no sample is valid.
        half_at: numbers of batches of which every other sample is invalid, and has wild values.
        held_out: batches that one pass over held-out data has.
        seconds: that a batch takes to come.
    """

    nan_at: tuple[int, ...] = ()
    invalid_at: tuple[int, ...] = ()
    half_at: tuple[int, ...] = ()
    held_out: int = 2
    seconds: float = 0.0

    def fit(self, task: Any) -> Any:
        return task

    def open(
        self,
        task: Any,
        batch: int,
        *,
        seed: int,
        host: int = 0,
        hosts: int = 1,
        state: Mapping[str, Any] | None = None,
    ) -> ToySource:
        del task
        position = 0 if state is None else state["position"]
        return ToySource(self, batch, seed, host, hosts, position)

    def open_once(
        self, task: Any, batch: int, *, held_out: bool, host: int = 0, hosts: int = 1
    ) -> ToySource | None:
        del task
        seed = 1_000_003 if held_out else 0
        count = self.held_out
        return ToySource(ToyData(), batch, seed, host, hosts, 0, count) if count else None

    def at(self, number: int, batch: int, seed: int) -> dict[str, np.ndarray]:
        """The whole batch with this number, of all hosts."""
        rng = np.random.default_rng([seed, number])
        x = rng.standard_normal((batch, INPUTS), np.float32)
        y = np.stack([np.sin(x[:, 0]) + x[:, 1], x[:, 2] * x[:, 3]], -1).astype(np.float32)
        valid = np.full(batch, number not in self.invalid_at)
        if number in self.half_at:
            valid[1::2] = False
            x[1::2] = 1e6
        if number in self.nan_at:
            x[batch // 2, 0] = np.nan
        return {"x": x, "y": y, "valid": valid}


class ToySource:
    """A stream of ToyData's batches that counts what it has delivered."""

    def __init__(
        self,
        data: ToyData,
        batch: int,
        seed: int,
        host: int,
        hosts: int,
        position: int,
        count: int | None = None,
    ):
        self.data, self.batch, self.seed = data, batch, seed
        self.host, self.hosts, self.position, self.count = host, hosts, position, count
        self.closed = False

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if self.count is not None and self.position >= self.count:
            raise StopIteration
        if self.data.seconds:
            time.sleep(self.data.seconds)
        whole = self.data.at(self.position, self.batch, self.seed)
        self.position += 1
        own = self.batch // self.hosts
        return {name: x[self.host * own : (self.host + 1) * own] for name, x in whole.items()}

    def state(self) -> dict[str, Any]:
        return {"position": self.position}

    def provenance(self, batch: Mapping[str, np.ndarray], at: int) -> dict[str, Any]:
        return {"toy": f"{float(batch['x'][at, 1]):.6f}", "row": at}

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> ToySource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def toy_config(**changes: Any) -> TrainConfig:
    """A run of a toy, with these of its values changed."""
    wanted = {"task": ToyTask(), "data": ToyData(), "steps": 20, "batch": 16, **changes}
    return TrainConfig(**wanted)


def save_params(path: Any, params: Any) -> None:
    """Parameters as the file that `ToyTask.start` reads."""
    np.savez(path, **{name: np.asarray(leaf) for name, leaf in flatten(params).items()})
