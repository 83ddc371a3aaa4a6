"""Meshes, counts and parameters of a run before its first step."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import build
from nitrogen_jax.training.begin import begin
from nitrogen_jax.training.lora import Lora
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.train_config import Keep, MeshShape, Optimizer, Validation
from nitrogen_jax.training.trees import combine, flatten

sys.path.insert(0, str(Path(__file__).parent))
from toys import ToyTask, save_params, toy_config

MESH = AbstractMesh((2, 4), ("data", "fsdp"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mesh": MeshShape(fsdp=2)}, "fsdp is 2, which does not divide the 1 devices"),
        ({"mesh": MeshShape(4, 2)}, "mesh.data 4 x mesh.fsdp 2 is 8, and there are 1 devices"),
        ({"mesh": MeshShape(2)}, "mesh.data 2 x mesh.fsdp 1 is 2, and there are 1 devices"),
    ],
)
def test_meshes_that_do_not_fit_name_both_numbers(changes, said):
    with pytest.raises(NitrogenError, match=said):
        build.make_mesh(toy_config(**changes), jax.devices()[:1])


def test_a_mesh_takes_all_devices_by_default():
    mesh = build.make_mesh(toy_config())
    assert mesh.size == len(jax.devices())
    assert mesh.axis_names == ("data", "fsdp")


@pytest.mark.parametrize(
    ("batch", "accumulate", "said"),
    [
        (12, 1, "validation.batch 12 is not a multiple of the 8 devices$"),
        (24, 2, "24 is not a multiple of the 8 devices x 2 micro-batches .accumulate."),
    ],
)
def test_batches_that_the_devices_cannot_divide_name_both_numbers(batch, accumulate, said):
    with pytest.raises(NitrogenError, match=said):
        build.check_batch(batch, accumulate, MESH, "validation.batch")
    build.check_batch(16 * accumulate, accumulate, MESH, "batch")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch": 10, "accumulate": 3}, "batch 10 is not a multiple of accumulate 3"),
        ({"optimizer": Optimizer(warmup=15, decay=6)}, "warmup 15 and optimizer.decay 6 are more"),
        ({"optimizer": Optimizer(warmup=-1)}, "optimizer.warmup is -1"),
        ({"optimizer": Optimizer(warmup=0, rate=float("nan"))}, "optimizer.rate is nan"),
        ({"optimizer": Optimizer(warmup=0, clip=-1.0)}, "optimizer.clip is -1"),
        ({"optimizer": Optimizer(warmup=0, final=1.5)}, "optimizer.final is 1.5"),
        ({"optimizer": Optimizer(warmup=0, beta2=1.0)}, "optimizer.beta2 is 1.0"),
        ({"optimizer": Optimizer(warmup=0, ema=-0.1)}, "optimizer.ema is -0.1"),
        ({"nonfinite": "ignore"}, "nonfinite is 'ignore'"),
        ({"mesh": MeshShape(fsdp=0)}, "mesh.fsdp is 0"),
        ({"checkpoints": Keep(every=0)}, "checkpoints.every is 0"),
        ({"checkpoints": Keep(minutes=0.0)}, "checkpoints.minutes is 0"),
        ({"validation": Validation(batches=-1)}, "validation.batches is -1"),
        ({"validation": Validation(batch=0)}, "validation.batch is 0"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(changes, said):
    good = {"optimizer": Optimizer(warmup=0)}
    assert toy_config(**good).check()
    with pytest.raises(NitrogenError, match=f"config: .*{said}"):
        toy_config(**{**good, **changes}).check()


def test_all_is_known_of_a_mesh_that_is_not_there():
    rules = (("middle/.*", False), (".*", True))
    made = build.build(toy_config(batch=16, freeze=rules), MESH)
    assert made.counts == (64 * 9 + 2 * 65 + 6, 64 * 9 + 64 * 65 + 2 * 65 + 6)
    assert made.flops == 16 * ToyTask().flops()
    assert {leaf.sharding.spec for leaf in made.batch.values()} == {made.stop.sharding.spec}
    assert made.batch["x"].sharding.shard_shape(made.batch["x"].shape) == (2, 8)
    assert made.stop.shape == (8,)


def test_patterns_that_name_nothing_are_refused():
    with pytest.raises(NitrogenError, match="muddle"):
        build.build(toy_config(freeze=(("muddle/.*", False), (".*", True))), MESH)
    with pytest.raises(LookupError, match="first/bias"):
        build.build(toy_config(shard=((".*/kernel", "fsdp"),)), MESH)


@pytest.fixture(scope="module")
def one():
    return jax.devices()[:1]


def made(one, **changes):
    config = toy_config(**changes)
    return build.build(config, build.make_mesh(config, one))


def test_random_parameters_are_those_of_the_seed(one):
    state, provenance, notices = begin(made(one, seed=4))
    wanted = jax.device_get(jax.jit(ToyTask().init)(jax.random.key(4)))
    jax.tree.map(np.testing.assert_array_equal, state.params, wanted)
    assert provenance == {"source": "random parameters, seed 4"}
    assert notices == []


def test_a_run_may_start_from_a_file_with_adapters_beside_it(one, tmp_path):
    """The file's parameters exactly; the adapters from the seed, and without effect."""
    params = jax.device_get(ToyTask().init(jax.random.key(11)))
    params["last"]["bias"] = np.full(2, 3.0, np.float32)
    save_params(tmp_path / "given.npz", params)
    lora = Lora(rank=2, targets=("middle/kernel",))
    start = Start(checkpoint=str(tmp_path / "given.npz"))
    built = made(one, start=start, lora=lora)
    state, provenance, notices = begin(built)
    assert provenance == {"source": str(tmp_path / "given.npz")}
    assert notices == ["started from a file"]
    jax.tree.map(np.testing.assert_array_equal, state.frozen, params)
    assert list(flatten(state.params)) == ["lora/middle/a", "lora/middle/b"]
    assert (state.params["lora"]["middle"]["b"] == 0).all()
    assert (state.params["lora"]["middle"]["a"] != 0).all()
    exported = built.task.export(combine(state.params, state.frozen))
    jax.tree.map(np.testing.assert_array_equal, exported, params)
    again, _, _ = begin(built)
    jax.tree.map(np.testing.assert_array_equal, again.params, state.params)
