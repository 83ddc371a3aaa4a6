"""Validation: what counts, by game, beside the best constant, and with a network gone mad."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nitrogen_jax import flow, gamepad
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training import policy_metrics
from nitrogen_jax.training.mesh import make_mesh
from nitrogen_jax.training.policy_task import PolicyTask

sys.path.insert(0, str(Path(__file__).parent))
from golden_task import random_batch

CFG = dataclasses.replace(
    policy_preset("test"), games=4, context_length=5, euler_steps=3, horizon=4
).check()
TASK = PolicyTask(CFG, games=("alpha", "beta"))
SOUTH, EAST = (gamepad.BUTTON_INDEX[name] for name in ("SOUTH", "EAST"))


@pytest.fixture
def mesh():
    return make_mesh(1, jax.devices()[:1])


@pytest.fixture
def says(monkeypatch):
    """A network that says params["said"], one chunk a sample, and errs by 1.5 in every entry."""

    def loss_sums(cfg, params, inputs, t, noise, key=None, *, compute):
        assert key is None  # no dropout
        return 1.5 * inputs["mask"].sum(), inputs["mask"].sum().astype(jnp.float32)

    def sample(cfg, params, given, start, frames, dropped, game_ids, *, compute):
        return params["said"]

    monkeypatch.setattr(policy, "loss_sums", loss_sums)
    monkeypatch.setattr(policy, "sample", sample)
    monkeypatch.setattr(policy, "conditioning", lambda *_, **__: None)
    policy_metrics._compiled.cache_clear()
    yield
    policy_metrics._compiled.cache_clear()


def batch_of(size=4, task=TASK):
    """Idle pads in which every step exists, as the loader delivers them."""
    batch = random_batch(task.policy, size)
    batch["actions"] = gamepad.neutral((size, task.policy.horizon))
    batch["mask"][:] = True
    batch["game_ids"][:] = 1
    return batch


def evaluate(task, batches, said, mesh):
    return policy_metrics.evaluate(task, {"said": jnp.asarray(said)}, batches, mesh)


def test_presses_and_sticks_are_counted_step_by_step(says, mesh):
    batch = batch_of()
    said = batch["actions"].copy()
    batch["actions"][0, :, SOUTH] = 1  # 4 true presses, of which 3 are said
    said[0, :3, SOUTH] = 0.9
    said[1, 0, SOUTH] = 0.6  # and one that is none
    batch["actions"][2, 0, EAST] = 1
    said[2, 0, EAST] = 0.5  # not above the threshold
    batch["actions"][3, :, 21] = [0.0, 1.0, 0.0, 1.0]  # left stick, x
    said[3, :, 21] = [0.0, 1.0, 0.0, 0.5]
    found = evaluate(TASK, [batch], said, mesh)
    assert found["samples"] == 4
    assert found["loss"] == pytest.approx(1.5)
    overall = found["overall"]
    assert overall["steps"] == 16
    south = overall["buttons"]["per_button"]["SOUTH"]
    assert (south["precision"], south["recall"], south["support"]) == (3 / 4, 3 / 4, 4)
    assert overall["buttons"]["per_button"]["EAST"]["recall"] == 0
    left = overall["sticks"]["left"]
    assert left["r2"] == pytest.approx(1 - 1 / 4)
    assert left["angle_error_degrees"] == pytest.approx(90 / 4)
    first = found["first"]
    assert first["steps"] == 4
    assert first["buttons"]["per_button"]["SOUTH"]["precision"] == 1 / 2
    assert first["buttons"]["per_button"]["EAST"]["support"] == 1
    assert found["games"].keys() == {"alpha"}
    assert found["games"]["alpha"] == overall


def test_padding_is_not_looked_at(says, mesh):
    """Samples that are not valid, and steps that do not exist, whatever is said of them."""
    batch = batch_of()
    batch["actions"][:2, :, SOUTH] = 1
    batch["valid"][2:] = False
    batch["game_ids"][2:] = 0
    batch["mask"][1, 2:] = False
    said = batch["actions"].copy()
    said[2:] = 1.0
    said[1, 2:, EAST] = 1.0
    found = evaluate(TASK, [batch], said, mesh)
    assert found["samples"] == 2
    assert found["overall"]["steps"] == 6
    assert found["first"]["steps"] == 2
    assert found["overall"]["buttons"]["accuracy"] == 1
    assert found["overall"]["buttons"]["support"] == 6
    assert found["games"].keys() == {"alpha"}
    assert found["majority"]["buttons"]["micro_f1"] == 1
    bad = batch | {"valid": np.zeros(4, bool)}
    nothing = evaluate(TASK, [bad], said, mesh)
    assert (nothing["loss"], nothing["samples"], nothing["games"]) == (None, 0, {})
    assert nothing["overall"]["buttons"]["accuracy"] is None
    none = evaluate(TASK, [], said, mesh)
    assert (none["loss"], none["samples"], none["overall"]["steps"]) == (None, 0, 0)


def test_every_game_is_told_apart_over_all_batches(says, mesh):
    batches = [batch_of() for _ in range(2)]
    for batch in batches:
        batch["game_ids"][:] = [0, 1, 2, 3]
        batch["actions"][1, :, SOUTH] = 1
        batch["actions"][2, 0, SOUTH] = 1
    batches[1]["valid"][1] = False
    said = batches[0]["actions"].copy()
    said[2, 0, SOUTH] = 0
    found = evaluate(TASK, batches, said, mesh)["games"]
    # Row 0 is of no game, and a name is missing for row 3.
    steps = {name: one["steps"] for name, one in found.items()}
    assert steps == {"other": 8, "alpha": 4, "beta": 8, "game_3": 8}
    f1 = {name: one["buttons"]["micro_f1"] for name, one in found.items()}
    assert (f1["alpha"], f1["beta"]) == (1, 0)
    support = {name: one["buttons"]["support"] for name, one in found.items()}
    assert support == {"other": 0, "alpha": 4, "beta": 2, "game_3": 0}


def test_games_are_told_apart_for_a_network_that_knows_none(says, mesh):
    cfg = dataclasses.replace(CFG, games=None, context_length=4).check()
    batch = batch_of(task=PolicyTask(cfg))
    batch["game_ids"][:] = [1, 2, 2, 3]
    found = evaluate(PolicyTask(cfg), [batch], batch["actions"], mesh)["games"]
    assert {name: one["steps"] for name, one in found.items()} == {
        "game_1": 4,
        "game_2": 8,
        "game_3": 4,
    }


def test_the_majority_presses_what_is_pressed_more_often_than_not(says, mesh):
    batch = batch_of()
    batch["actions"][:3, :, SOUTH] = 1  # 12 of 16 steps
    batch["actions"][0, :, EAST] = 1  # 4 of 16
    batch["actions"][:, :, 22] = [0.25, 0.75, 0.75, 0.75]
    idle = gamepad.neutral((4, CFG.horizon))
    found = evaluate(TASK, [batch], idle, mesh)
    majority = found["majority"]
    south = majority["buttons"]["per_button"]["SOUTH"]
    assert (south["precision"], south["recall"]) == (12 / 16, 1)
    assert majority["buttons"]["per_button"]["EAST"]["recall"] == 0
    assert majority["sticks"]["left"]["r2"] == pytest.approx(0, abs=1e-4)  # it holds the mean
    assert majority["steps"] == 16
    assert found["overall"]["buttons"]["micro_f1"] == 0


def test_layouts_of_old_checkpoints_are_measured_alike(says, mesh):
    batch = batch_of()
    rng = np.random.default_rng(0)
    batch["actions"] = rng.random(batch["actions"].shape, np.float32)
    said = rng.random(batch["actions"].shape, np.float32)
    wanted = evaluate(TASK, [batch], said, mesh)
    old = dataclasses.replace(TASK, policy=dataclasses.replace(CFG, layout="sticks_first"))
    said = gamepad.convert_layout(said, "buttons_first", "sticks_first")
    assert evaluate(old, [batch], said, mesh) == wanted


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_counts_as_idle(says, mesh, bad):
    batch = batch_of()
    batch["actions"][:2, :, SOUTH] = 1
    said = batch["actions"].copy()
    said[0, :, 3] = bad  # all of the step is idle, not that entry alone
    found = evaluate(TASK, [batch], said, mesh)["overall"]
    assert found["buttons"]["per_button"]["SOUTH"]["recall"] == 1 / 2
    assert found["sticks"]["left"]["mae"] == 0


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: rng.normal(scale=0.2, size=leaf.shape).astype(np.float32), policy.shapes(CFG)
    )


def test_the_loss_is_without_dropout_and_every_time_the_same(params, mesh):
    """The config drops a fifth; times and noise are those of the number of the batch."""
    batches = [random_batch(CFG, 2, seed=seed) for seed in range(2)]
    found = policy_metrics.evaluate(TASK, params, batches, mesh)
    again = policy_metrics.evaluate(TASK, params, batches, mesh)
    assert found == again
    assert policy_metrics._compiled.cache_info().hits >= 1  # one program for all validations

    @jax.jit
    def by_hand(batch, number):
        inputs = {k: batch[k] for k in ("frames", "dropped", "actions", "mask", "game_ids")}
        keys = jax.random.split(jax.random.fold_in(jax.random.key(0), number), 3)
        t = flow.sample_time(keys[0], (1, 2), CFG.time_alpha, CFG.time_beta, CFG.time_scale)
        noise = jax.random.normal(keys[1], (1, *batch["actions"].shape))
        return policy.loss_sums(CFG, params, inputs, t, noise, compute=Compute())

    sums = np.sum([by_hand(batch, number) for number, batch in enumerate(batches)], axis=0)
    assert found["loss"] == pytest.approx(sums[0] / sums[1], rel=1e-5)
    assert found["overall"]["steps"] == sums[1] / gamepad.ACTION_DIM
    # Another place in the stream is asked with other noise.
    assert policy_metrics.evaluate(TASK, params, batches[::-1], mesh)["loss"] != found["loss"]
    broken = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), params)
    mad = policy_metrics.evaluate(TASK, broken, batches, mesh)
    assert math.isnan(mad["loss"])
    assert mad["overall"]["steps"] == found["overall"]["steps"]
