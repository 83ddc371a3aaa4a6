"""The policy as a task whose times and noise come with the batch, as in the recorded examples."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.weights import checkpoint

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@dataclass(frozen=True)
class GivenTask(PolicyTask):
    """Reads `t` (B, K) and `noise` (B, K, T, A) of a batch instead of drawing them."""

    given: Any = None

    def loss(self, params, batch, key):
        given = batch["t"].T, jnp.moveaxis(batch["noise"], 1, 0)
        return PolicyTask.loss(dataclasses.replace(self, given=given), params, batch, key)

    def draw(self, key, shape):
        del key, shape
        return self.given

    def batch_spec(self, batch):
        cfg, draws = self.policy, self.draws_per_frame
        noise = (batch, draws, cfg.horizon, cfg.action_dim)
        return {
            **PolicyTask.batch_spec(self, batch),
            "t": jax.ShapeDtypeStruct((batch, draws), jnp.float32),
            "noise": jax.ShapeDtypeStruct(noise, jnp.float32),
        }


def without_dropout(cfg: PolicyConfig) -> PolicyConfig:
    return dataclasses.replace(
        cfg,
        mixer=dataclasses.replace(cfg.mixer, dropout=0.0),
        dit=dataclasses.replace(cfg.dit, dropout=0.0),
    )


def recorded_config(name: str) -> PolicyConfig:
    """Of the golden folder `name`, without dropout."""
    return without_dropout(checkpoint.load(GOLDEN / name / "ng.pt", None).meta.config)


def recorded_batch(name: str) -> tuple[dict[str, np.ndarray], float]:
    """The training example of a golden folder, as GivenTask reads it, and its loss."""
    with np.load(GOLDEN / name / "io.npz") as found:
        batch = {
            "frames": found["images"],
            "dropped": found["dropped"],
            "actions": found["train_actions"],
            "mask": found["train_mask"],
            "game_ids": found["game_ids"].astype(np.int32),
            "valid": np.ones(len(found["images"]), bool),
            "t": found["train_t"][:, None],
            "noise": found["noise"][:, None],
        }
        return batch, float(found["loss"])


def random_batch(cfg: PolicyConfig, size: int, draws: int = 1, seed: int = 0) -> dict[str, Any]:
    """Uneven masks, some frames dropped, and every game."""
    rng = np.random.default_rng(seed)
    pixels, chunk = cfg.vision.image_size, (cfg.horizon, cfg.action_dim)
    dropped = rng.random((size, cfg.frames)) < 0.3
    dropped[:, -1] = False
    steps = rng.integers(1, cfg.horizon + 1, size)
    mask = np.arange(cfg.horizon) < steps[:, None]
    return {
        "frames": rng.integers(0, 256, (size, cfg.frames, pixels, pixels, 3), np.uint8),
        "dropped": dropped,
        "actions": rng.random((size, *chunk), np.float32),
        "mask": np.broadcast_to(mask[..., None], (size, *chunk)).copy(),
        "game_ids": rng.integers(0, cfg.games or 1, size).astype(np.int32),
        "valid": np.ones(size, bool),
        "t": rng.random((size, draws), np.float32),
        "noise": rng.standard_normal((size, draws, *chunk), np.float32),
    }
