"""How well the policy's sampled chunks agree with what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from nitrogen_jax import flow, gamepad
from nitrogen_jax.evaluation import action_metrics
from nitrogen_jax.evaluation.action_metrics import ActionSums
from nitrogen_jax.models import policy
from nitrogen_jax.training import mesh as meshes
from nitrogen_jax.training.task import Batch, Params

if TYPE_CHECKING:
    from nitrogen_jax.training.policy_task import PolicyTask

SEED = 0  # of times and noise: every validation of a run is asked the same questions


def evaluate(
    task: PolicyTask, params: Params, batches: Iterable[Batch], mesh: Mesh
) -> dict[str, Any]:
    """Validation loss and action metrics, as nested numbers.

    loss      of the velocity, without dropout
    samples   how many
    overall   see `action_metrics.summarize`, over all steps of all chunks
    first     the same, of the first step of each chunk alone: what is certainly executed
    games     NAME: overall, of one game; "other" has no row, game_N is one whose name is unknown
    majority  the same as overall, of a pad that always presses what is pressed more often than
              not and holds the mean of each stick: what is known without looking
    """
    run = _compiled(task, mesh)
    total = weight = samples = 0
    sums, first = ActionSums(), ActionSums()
    games: dict[int, ActionSums] = {}
    truth = []
    for number, batch in enumerate(batches):
        found = jax.device_get(run(params, batch, jnp.int32(number)))
        total, weight = total + float(found["total"]), weight + float(found["weight"])
        said = _pad(found["said"], task.policy.layout)
        true = gamepad.decode(found["true"], layout=task.policy.layout)
        exists = found["mask"].all(-1)  # (B, T)
        samples += int(exists.any(-1).sum())
        sums = action_metrics.add(sums, said, true, exists)
        at_first = np.zeros_like(exists)
        at_first[:, 0] = exists[:, 0]
        first = action_metrics.add(first, said, true, at_first)
        for game in np.unique(found["game_ids"]).tolist():
            of_game = exists & (found["game_ids"] == game)[:, None]
            if of_game.any():
                games[game] = action_metrics.add(games.get(game, ActionSums()), said, true, of_game)
        truth.append(gamepad.pack(true)[exists])
    rows = np.concatenate(truth) if truth else np.zeros((0, gamepad.ACTION_DIM), np.float32)
    names = {0: "other", **dict(enumerate(task.games or (), 1))}
    return {
        "loss": total / weight if weight else None,
        "samples": samples,
        "overall": action_metrics.summarize(sums),
        "first": action_metrics.summarize(first),
        "games": {
            names.get(game, f"game_{game}"): action_metrics.summarize(one)
            for game, one in sorted(games.items())
        },
        "majority": action_metrics.summarize(_majority(rows)),
    }


@lru_cache(maxsize=4)
def _compiled(task: PolicyTask, mesh: Mesh):
    """(parameters, batch, its number) -> loss sums and chunks, whole on every device.

    NOTE: kept by task and mesh, which compare by value: one program for all validations of a run.
    """
    cfg, compute = task.policy, task.compute

    def run(params: Params, batch: Batch, number: jax.Array) -> Mapping[str, Any]:
        inputs = task.inputs(batch)
        size = len(inputs["actions"])
        keys = jax.random.split(jax.random.fold_in(jax.random.key(SEED), number), 3)
        t = flow.sample_time(keys[0], (1, size), cfg.time_alpha, cfg.time_beta, cfg.time_scale)
        noise = jax.random.normal(keys[1], (1, *inputs["actions"].shape))
        total, weight = policy.loss_sums(cfg, params, inputs, t, noise, compute=compute)
        given = policy.conditioning(cfg, params, task.euler_steps, compute=compute)
        start = jax.random.normal(keys[2], inputs["actions"].shape)
        seen = (inputs["frames"], inputs["dropped"], inputs.get("game_ids"))
        said = policy.sample(cfg, params, given, start, *seen, compute=compute)
        return {
            "total": total,
            "weight": weight,
            "said": said,
            "true": inputs["actions"],
            "mask": inputs["mask"],
            "game_ids": batch["game_ids"],
        }

    return jax.jit(partial(run), out_shardings=meshes.replicated(mesh))


def _pad(said: np.ndarray, layout: str) -> gamepad.Pad:
    """Chunks (B, T, 25) as pads; a step at which a diverged network says no number is idle."""
    known = np.isfinite(said).all(-1, keepdims=True)
    return gamepad.decode(np.where(known, said, gamepad.neutral(layout=layout)), layout=layout)


def _majority(rows: np.ndarray) -> ActionSums:
    """Sums of the best constant pad against rows (N, 25), buttons_first."""
    if not len(rows):
        return ActionSums()
    at = gamepad.layout_slices()
    constant = rows.mean(0, dtype=np.float64)
    constant[at.buttons] = constant[at.buttons] > 0.5
    said = np.broadcast_to(constant.astype(np.float32), rows.shape)
    return action_metrics.add(ActionSums(), gamepad.decode(said), gamepad.decode(rows))
