"""The policy as a task: velocity loss, dropout of history and game, action metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from nitrogen_jax import flow
from nitrogen_jax.data.augment import Augment, augment
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import ACTION_DIM, convert_layout
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute, PolicyConfig
from nitrogen_jax.models.context import check_fits
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training import policy_flops
from nitrogen_jax.training.start import Start, Started, starting_params
from nitrogen_jax.training.task import Batch, Loss, Params
from nitrogen_jax.weights import meta


@dataclass(frozen=True)
class PolicyTask:
    """How the policy learns.

    Attributes:
        policy: the network.
        dtype: of activations and products; "auto": bfloat16 on accelerators, float32 on CPUs.
        remat: whether blocks are computed again in the backward pass, to save memory.
        scan: whether blocks of a kind are one program that is looped over: compile time does then
            not grow with depth.
        attention: "xla" or "cudnn".
        draws_per_frame: (time, noise) draws that one encoded frame serves.
        drop_history_prob: how often all frames but the newest are dropped.
        drop_game_prob: how often the game is not told. These two make guidance mean something.
        augment: of the frames, on the device.
        control_rate: Hz that the data must have been made for; None: whatever it has.
        games: names whose place, counted from 1, is the row of the game embedding; None: the
            data's, sorted.
        euler_steps: of the sampler in validation; None: the network's.
    """

    policy: PolicyConfig = field(default_factory=lambda: policy_preset("nitrogen"))
    dtype: str = "auto"
    remat: bool = False
    scan: bool = True
    attention: str = "xla"
    draws_per_frame: int = 1
    drop_history_prob: float = 0.0
    drop_game_prob: float = 0.0
    augment: Augment = field(default_factory=Augment)
    control_rate: float | None = None
    games: tuple[str, ...] | None = None
    euler_steps: int | None = None

    def check(self) -> PolicyTask:
        """Returns itself; raises one sentence about what makes no sense."""
        cfg = self.policy.check()
        check_fits(cfg.frames, cfg.vision.tokens, cfg.games is not None, cfg.context_length)
        self.augment.check()
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise NitrogenError(
                f"task.dtype is {self.dtype!r}, where 'auto', 'float32' or 'bfloat16' is needed"
            )
        for name in ("drop_history_prob", "drop_game_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise NitrogenError(f"task.{name} is {getattr(self, name)}: 0 to 1 is possible")
        if self.draws_per_frame < 1:
            raise NitrogenError(f"task.draws_per_frame is {self.draws_per_frame}: 1 is the least")
        if self.policy.action_dim != ACTION_DIM:
            raise NitrogenError(
                f"task.policy.action_dim is {self.policy.action_dim}, and records have {ACTION_DIM}"
            )
        if self.games is not None and len(self.games) >= (self.policy.games or 0):
            raise NitrogenError(
                f"task.policy.games is {self.policy.games}, and {len(self.games)} games and row 0 "
                f"for none need {len(self.games) + 1}"
            )
        return self

    @property
    def _rows(self) -> dict[str, int] | None:
        """name -> row of the game embedding, if there is one and the names are known."""
        if self.policy.games is None or self.games is None:
            return None
        return {name: at for at, name in enumerate(self.games, 1)}

    @property
    def compute(self) -> Compute:
        """How the network runs on this machine."""
        dtype = self.dtype
        if dtype == "auto":
            dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
        return Compute(dtype, remat=self.remat, scan=self.scan, attention=self.attention)

    def init(self, key: Array) -> Params:
        return policy.init(self.policy, key)

    def start(self, start: Start, seed: int) -> Started:
        return starting_params(start, self.policy, seed, self._rows)

    def cast(self, params: Params) -> Params:
        dtype = jnp.dtype(self.compute.dtype)
        return jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.ndim > 1 else leaf, params)

    def loss(self, params: Params, batch: Batch, key: Array) -> Loss:
        cfg = self.policy
        keys = jax.random.split(key, 5)
        size = len(batch["actions"])
        inputs = self.inputs(batch)
        inputs["frames"] = augment(self.augment, keys[0], batch["frames"])
        if self.drop_history_prob:
            alone = jax.random.bernoulli(keys[1], self.drop_history_prob, (size, 1))
            older = jnp.arange(cfg.frames) < cfg.frames - 1
            inputs["dropped"] |= alone & older
        if self.drop_game_prob and "game_ids" in inputs:
            told = ~jax.random.bernoulli(keys[2], self.drop_game_prob, (size,))
            inputs["game_ids"] = inputs["game_ids"] * told
        t, noise = self.draw(keys[3], inputs["actions"].shape)
        total, weight = policy.loss_sums(
            cfg, params, inputs, t, noise, keys[4], compute=self.compute
        )
        return Loss(total, weight)

    def draw(self, key: Array, shape: tuple[int, int, int]) -> tuple[Array, Array]:
        """Times (K, B) and noise (K, B, T, A) for actions of `shape` (B, T, A)."""
        cfg, draws = self.policy, self.draws_per_frame
        keys = jax.random.split(key)
        t = flow.sample_time(
            keys[0], (draws, shape[0]), cfg.time_alpha, cfg.time_beta, cfg.time_scale
        )
        return t, jax.random.normal(keys[1], (draws, *shape))

    def batch_spec(self, batch: int) -> dict[str, jax.ShapeDtypeStruct]:
        cfg, size = self.policy, self.policy.vision.image_size
        chunk = (batch, cfg.horizon, cfg.action_dim)
        return {
            "frames": jax.ShapeDtypeStruct((batch, cfg.frames, size, size, 3), jnp.uint8),
            "dropped": jax.ShapeDtypeStruct((batch, cfg.frames), jnp.bool),
            "actions": jax.ShapeDtypeStruct(chunk, jnp.float32),
            "mask": jax.ShapeDtypeStruct(chunk, jnp.bool),
            "game_ids": jax.ShapeDtypeStruct((batch,), jnp.int32),
            "valid": jax.ShapeDtypeStruct((batch,), jnp.bool),
        }

    def export(self, params: Params) -> Params:
        return params

    def metadata(self, step: int, provenance: Mapping[str, Any]) -> dict[str, Any]:
        about = meta.Meta(
            self.policy, self._rows, self.control_rate, step, provenance=dict(provenance)
        )
        return meta.to_json(about)

    def flops(self, trains: Callable[[str], bool] = lambda path: True) -> float:
        return policy_flops.count(self.policy, self.draws_per_frame, trains)

    def evaluate(self, params: Params, batches: Iterable[Batch], mesh: Mesh) -> Mapping[str, Any]:
        from nitrogen_jax.training import policy_metrics

        return policy_metrics.evaluate(self, params, batches, mesh)

    def with_games(self, games: tuple[str, ...]) -> PolicyTask:
        """Itself, knowing the names of its games."""
        return dataclasses.replace(self, games=games)

    def inputs(self, batch: Batch) -> dict[str, Array]:
        """What the network reads of a batch of the loader, in its own layout."""
        cfg = self.policy
        order = convert_layout(np.arange(ACTION_DIM), "buttons_first", cfg.layout)
        inputs = {
            "frames": batch["frames"],
            "dropped": batch["dropped"],
            "actions": batch["actions"][..., order],
            "mask": batch["mask"][..., order] & batch["valid"][:, None, None],
        }
        if cfg.games is not None:
            inputs["game_ids"] = batch["game_ids"]
        return inputs
