"""One training run as frozen dataclasses: what a file of `configs/` returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training.lora import Lora
from nitrogen_jax.training.start import Start


@dataclass(frozen=True)
class MeshShape:
    """How the devices are arranged. `fsdp` of them share one copy of parameters and optimiser."""

    data: int | None = None  # copies; None: as many as there are devices for
    fsdp: int = 1


@dataclass(frozen=True)
class Optimizer:
    """AdamW under a warm-up-stable-decay schedule, and the average of the parameters.

    Attributes:
        rate: learning rate at its height.
        warmup: updates in which it rises linearly from 0.
        decay: updates at the end in which it falls linearly to `final`; 0: it stays.
        final: share of `rate` that is left at the end of the decay.
        weight_decay: times the rate, of the parameters that `decay_rules` name.
        clip: largest norm of the gradient over all parameters; None: any.
        ema: decay of the average that is evaluated and exported; 0: the parameters themselves.
        ema_warmup: whether the decay starts low, at (1 + n) / (10 + n) of update n.
        decay_rules: (path regex, bool), the first match decides: is it decayed?
        rate_rules: (path regex, factor of the rate).
    """

    rate: float = 1e-4
    warmup: int = 1000
    decay: int = 0
    final: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 1e-3
    clip: float | None = 1.0
    ema: float = 0.9999
    ema_warmup: bool = True
    decay_rules: tuple[tuple[str, bool], ...] = ((".*/kernel", True), (".*", False))
    rate_rules: tuple[tuple[str, float], ...] = ((".*", 1.0),)


@dataclass(frozen=True)
class Keep:
    """When checkpoints are written, and which stay. There is always one at the end."""

    every: int | None = 1000  # updates
    minutes: float | None = None  # of training since the last one
    newest: int = 3  # how many of the newest stay
    keep_every: int | None = None  # and all whose step is a multiple of this


@dataclass(frozen=True)
class Validation:
    """When held-out data is looked at, with the averaged parameters. Once more at the end."""

    every: int | None = 1000  # updates; None: at the end alone
    batches: int = 16  # at most
    trained: int = 0  # batches of what was trained on that are looked at as well, at the end
    batch: int | None = None  # samples at a time; None: as in training


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run.

    Attributes:
        task: what learns, see task.py.
        data: from what, see task.py.
        steps: updates.
        batch: samples in an update, over all devices.
        accumulate: micro-batches that an update is made of.
        seed: of parameters, sample order, noise and dropout.
        start: from which parameters, see start.py.
        freeze: which of them stay: a name or rules, see freeze.py.
        lora: low-rank adapters that train in place of the parameters, see lora.py.
        shard: (path regex, rule) of how parameters lie on the mesh, see sharding.py.
        nonfinite: what to do with an update that is not finite: "skip" it and count, or "stop".
        max_skipped: skipped updates in a row that stop a run all the same.
        log_every: updates between two lines of the log.
    """

    task: Any
    data: Any
    steps: int = 100_000
    batch: int = 256
    accumulate: int = 1
    seed: int = 0
    mesh: MeshShape = field(default_factory=MeshShape)
    optimizer: Optimizer = field(default_factory=Optimizer)
    start: Start = field(default_factory=Start)
    freeze: str | tuple[tuple[str, bool], ...] = "none"
    lora: Lora | None = None
    shard: tuple[tuple[str, Any], ...] = ((".*", "fsdp"),)
    checkpoints: Keep = field(default_factory=Keep)
    validation: Validation = field(default_factory=Validation)
    nonfinite: str = "skip"
    max_skipped: int = 100
    log_every: int = 10

    def check(self) -> TrainConfig:
        """Returns itself; raises one sentence about the first thing that makes no sense."""
        for problem in _problems(self):
            raise NitrogenError(f"config: {problem}")
        return self


def _problems(cfg: TrainConfig) -> Iterator[str]:
    optimizer, keep = cfg.optimizer, cfg.checkpoints
    whole = {
        "steps": cfg.steps,
        "batch": cfg.batch,
        "accumulate": cfg.accumulate,
        "log_every": cfg.log_every,
        "max_skipped": cfg.max_skipped,
        "mesh.fsdp": cfg.mesh.fsdp,
        "mesh.data": cfg.mesh.data,
        "checkpoints.every": keep.every,
        "checkpoints.newest": keep.newest,
        "checkpoints.keep_every": keep.keep_every,
        "validation.every": cfg.validation.every,
        "validation.batch": cfg.validation.batch,
    }
    optional = ("mesh.data", "checkpoints.every", "checkpoints.keep_every")
    optional += ("validation.every", "validation.batch")
    for name, value in whole.items():
        if (value is None and name not in optional) or (value is not None and value < 1):
            yield f"{name} is {value}, where at least 1 is needed"
    if cfg.batch % cfg.accumulate:
        yield f"batch {cfg.batch} is not a multiple of accumulate {cfg.accumulate}"
    for name in ("warmup", "decay"):
        if getattr(optimizer, name) < 0:
            yield f"optimizer.{name} is {getattr(optimizer, name)}, where 0 is the least"
    if optimizer.warmup + optimizer.decay > cfg.steps:
        yield (
            f"optimizer.warmup {optimizer.warmup} and optimizer.decay {optimizer.decay} are more "
            f"than the {cfg.steps} steps"
        )
    for name, value, most in (
        ("rate", optimizer.rate, float("inf")),
        ("final", optimizer.final, 1),
        ("weight_decay", optimizer.weight_decay, float("inf")),
        ("clip", optimizer.clip or 0.0, float("inf")),
    ):
        if not 0 <= value <= most or value == float("inf"):
            yield f"optimizer.{name} is {value}, where a number from 0 to {most:g} is needed"
    for name in ("beta1", "beta2", "ema"):
        if not 0 <= getattr(optimizer, name) < 1:
            yield f"optimizer.{name} is {getattr(optimizer, name)}, where 0 to below 1 is needed"
    if cfg.nonfinite not in ("skip", "stop"):
        yield f"nonfinite is {cfg.nonfinite!r}, where 'skip' or 'stop' is needed"
    if cfg.validation.batches < 0:
        yield f"validation.batches is {cfg.validation.batches}, where 0 is the least"
    if keep.minutes is not None and keep.minutes <= 0:
        yield f"checkpoints.minutes is {keep.minutes}, where more than 0 is needed"
