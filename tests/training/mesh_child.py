"""The same steps on 8 devices arranged in several ways; prints one line of JSON.

python mesh_child.py toy|policy, with XLA_FLAGS asking for 8 devices.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.plan import collectives, hlo
from nitrogen_jax.training import build, saved, sharding
from nitrogen_jax.training.begin import begin
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.train_config import MeshShape, Optimizer, TrainConfig
from nitrogen_jax.training.trees import flatten

sys.path.insert(0, str(Path(__file__).parent))
from golden_task import random_batch
from toys import ToyData, ToyTask, toy_config

MESHES = ((1, 8), (2, 4), (8, 1))
# NOTE: with a larger eps, Adam does not blow rounding in gradients of 0 up to whole updates.
OPTIMIZER = Optimizer(rate=1e-2, warmup=2, eps=1e-3, ema=0.9)


def policy_config() -> TrainConfig:
    """Kernels large enough to be divided, random times, noise and dropout."""
    cfg = policy_preset("test")
    cfg = dataclasses.replace(
        cfg,
        vision=dataclasses.replace(cfg.vision, width=64, depth=1, mlp=128),
        mixer=dataclasses.replace(cfg.mixer, heads=4),
        dit=dataclasses.replace(cfg.dit, heads=4, output_dim=64, dropout=0.0),
        width=64,
        games=3,
        context_length=5,
    ).check()
    task = PolicyTask(cfg, drop_game_prob=0.3)
    return TrainConfig(task=task, data=None, steps=10, batch=8, freeze="vision", seed=3)


def toys() -> TrainConfig:
    return toy_config(task=ToyTask(noise=0.1))


def batches(config: TrainConfig) -> list[dict[str, np.ndarray]]:
    if isinstance(config.task, ToyTask):
        return [ToyData(half_at=(1,)).at(n, config.batch, 0) for n in range(4)]
    names = config.task.batch_spec(1)
    made = [random_batch(config.task.policy, config.batch, seed=n) for n in range(2)]
    return [{name: batch[name] for name in names} for batch in made]


def run(config: TrainConfig, shape: tuple[int, int]) -> dict[str, Any]:
    """Losses, where things lie, and what the compiled program passes between devices."""
    config = dataclasses.replace(config, optimizer=OPTIMIZER, mesh=MeshShape(*shape)).check()
    built = build.build(config, build.make_mesh(config))
    program = built.lower().compile()
    state, _, _ = begin(built)
    told = []
    for batch in batches(config):
        given = {name: jax.device_put(x, built.batch[name].sharding) for name, x in batch.items()}
        stop = jax.device_put(np.arange(8, dtype=np.int32), built.stop.sharding)
        state, metrics = program(state, given, stop)
        told.append({name: value.item() for name, value in metrics.items()})
    arrays = {"params": state.params, "ema": state.ema, "frozen": state.frozen}
    arrays["mu"] = optax.tree.get(state.opt, "mu")
    module = hlo.parse(program.as_text())
    return {
        "told": told,
        "arrays": {name: jax.device_get(flatten(tree)) for name, tree in arrays.items()},
        "specs": {
            name: {path: list(leaf.sharding.spec) for path, leaf in flatten(tree).items()}
            for name, tree in arrays.items()
        },
        "bytes": {name: sharding.bytes_per_device(tree) for name, tree in arrays.items()},
        "saved": sharding.bytes_per_device(saved.items(built, state)),
        "as_planned": sharding.bytes_per_device(state) == sharding.bytes_per_device(built.state),
        "collectives": [
            [one.kind, one.axis(dict(built.mesh.shape)), [list(a.dims) for a in one.arrays]]
            for one in collectives.find(module)
        ],
    }


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference of any array, relative to the largest entry of it (or to 0.01)."""
    return max(
        float(np.abs(leaf - other[name][path]).max() / max(np.abs(leaf).max(), 0.01))
        for name, tree in one.items()
        for path, leaf in tree.items()
    )


def main(kind: str) -> None:
    config = {"toy": toys, "policy": policy_config}[kind]()
    runs = {str(shape): run(config, shape) for shape in MESHES}
    like = dict.fromkeys(runs, str(MESHES[0]))
    if kind == "toy":
        still = dataclasses.replace(config, task=ToyTask())
        runs["plain"] = run(still, (2, 4))
        runs["accumulated"] = run(dataclasses.replace(still, accumulate=2), (2, 4))
        like |= {"plain": "plain", "accumulated": "plain"}
    arrays = {name: one.pop("arrays") for name, one in runs.items()}
    for name, one in runs.items():
        one["difference"] = difference(arrays[like[name]], arrays[name])
        one["shapes"] = {p: x.shape for tree in arrays[name].values() for p, x in tree.items()}
    sys.stdout.write(json.dumps(runs))


if __name__ == "__main__":
    main(sys.argv[1])
