"""The policy as a task: draws, what is dropped, what counts, layouts and types."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.trees import flatten
from nitrogen_jax.weights import meta

sys.path.insert(0, str(Path(__file__).parent))
from golden_task import GivenTask, random_batch, without_dropout

KEY = jax.random.key(7)


def small_config(**changes):
    """One block of each kind, two frames, three games, no dropout."""
    cfg = policy_preset("test")
    sizes = {"frames": 2, "games": 3, "context_length": 9, **changes}
    cfg = dataclasses.replace(cfg, vision=dataclasses.replace(cfg.vision, depth=1), **sizes)
    return without_dropout(cfg).check()


CFG = small_config()


@pytest.fixture(scope="module")
def params():
    """Nowhere zero, so that everything matters."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: rng.normal(scale=0.2, size=leaf.shape).astype(np.float32), policy.shapes(CFG)
    )


@pytest.fixture(scope="module")
def losses():
    """The task's loss, compiled once for each task and shape."""
    programs = {}

    def loss(task, params, batch):
        run = programs.setdefault(task, jax.jit(task.loss))
        found = run(params, batch, KEY)
        return float(found.total), float(found.weight)

    return loss


def one_draw(batch, at):
    return {**batch, "t": batch["t"][:, at : at + 1], "noise": batch["noise"][:, at : at + 1]}


def test_draws_of_one_encoded_frame_are_as_many_losses(params, losses):
    batch = random_batch(CFG, 4, draws=3)
    total, weight = losses(GivenTask(CFG, draws_per_frame=3), params, batch)
    single = [losses(GivenTask(CFG), params, one_draw(batch, at)) for at in range(3)]
    assert weight == sum(one[1] for one in single) == 3 * batch["mask"].sum()
    assert total == pytest.approx(sum(one[0] for one in single), rel=1e-5)
    assert len({one[0] for one in single}) == 3


def test_samples_that_are_not_valid_do_not_count(params, losses):
    task = GivenTask(CFG)
    batch = random_batch(CFG, 4)
    batch["game_ids"][:] = [1, 2, 0, 1]
    whole = losses(task, params, batch)
    valid = np.asarray([True, False, True, False])
    found = losses(task, params, {**batch, "valid": valid})
    assert found[1] == batch["mask"][valid].sum() < whole[1]
    other = {name: np.array(x) for name, x in batch.items()} | {"valid": valid}
    for name in ("frames", "actions", "noise"):
        other[name][~valid] = 255 - other[name][~valid] if name == "frames" else 5.0
    assert losses(task, params, other) == found
    none = losses(task, params, {**batch, "valid": np.zeros(4, bool)})
    assert none == (0, 0)


def test_products_in_bfloat16_are_close_and_parameters_stay(params, losses):
    task = GivenTask(CFG, dtype="bfloat16")
    batch = random_batch(CFG, 4)
    exact = losses(GivenTask(CFG, dtype="float32"), params, batch)
    found = losses(task, jax.jit(task.cast)(params), batch)
    assert found[1] == exact[1]
    assert found[0] != exact[0]
    assert found[0] == pytest.approx(exact[0], rel=0.03)
    cast = flatten(jax.eval_shape(task.cast, params))
    for path, leaf in flatten(params).items():
        assert cast[path].dtype == ("bfloat16" if leaf.ndim > 1 else "float32"), path


@pytest.fixture
def seen(monkeypatch):
    """What the network is given, without the network: {name: array} of the last loss."""
    given = {}

    def loss_sums(cfg, params, inputs, t, noise, key=None, *, compute):
        given.update(inputs, t=t, noise=noise, compute=compute, key=key)
        return jnp.zeros(()), jnp.ones(())

    monkeypatch.setattr(policy, "loss_sums", loss_sums)
    return given


def many(count=2000, **changes):
    cfg = small_config(**{"frames": 3, "context_length": 13, **changes})
    tiny = dataclasses.replace(cfg, vision=dataclasses.replace(cfg.vision, image_size=16))
    batch = random_batch(tiny, count)
    batch["game_ids"] = 1 + batch["game_ids"] % 2
    return tiny, batch


def within(share, probability, count):
    """A count of independent events, five standard deviations wide."""
    return abs(share - probability) < 5 * np.sqrt(probability * (1 - probability) / count)


def test_history_and_game_are_dropped_as_often_as_asked_and_independently(seen):
    cfg, batch = many()
    task = PolicyTask(cfg, drop_history_prob=0.3, drop_game_prob=0.2)
    task.loss({}, batch, KEY)
    dropped, games = np.asarray(seen["dropped"]), np.asarray(seen["game_ids"])
    assert not dropped[:, -1].any()  # the newest is always there
    assert (dropped >= batch["dropped"]).all()  # and what was missing still is
    whole = ~batch["dropped"][:, :-1].any(1)
    alone = dropped[whole, :-1]
    assert (alone.all(1) | ~alone.any(1)).all()  # all of the history, or nothing of it
    assert within(alone.all(1).mean(), 0.3, len(alone))
    untold = games == 0
    assert (untold | (games == batch["game_ids"])).all()
    assert within(untold.mean(), 0.2, len(games))
    both = untold[whole] & alone.all(1)
    assert within(both.mean(), 0.06, len(alone))
    task.loss({}, batch, jax.random.key(8))
    assert (np.asarray(seen["game_ids"]) != games).any()


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_never_and_always(seen, probability):
    cfg, batch = many(20)
    task = PolicyTask(cfg, drop_history_prob=probability, drop_game_prob=probability)
    task.loss({}, batch, KEY)
    never = {"dropped": batch["dropped"], "game_ids": batch["game_ids"]}
    always = {"dropped": np.broadcast_to([True, True, False], (20, 3)), "game_ids": 0}
    for name, wanted in (always if probability else never).items():
        np.testing.assert_array_equal(seen[name], np.broadcast_to(wanted, seen[name].shape))


def test_one_frame_is_never_dropped(seen):
    cfg, batch = many(20, frames=1, context_length=4, games=None)
    PolicyTask(cfg, drop_history_prob=1.0, drop_game_prob=1.0).loss({}, batch, KEY)
    assert not seen["dropped"].any()
    assert "game_ids" not in seen


def test_times_and_noise_are_drawn_for_each_sample_and_draw(seen):
    cfg, batch = many(1000)
    PolicyTask(cfg, draws_per_frame=4).loss({}, batch, KEY)
    t, noise = np.asarray(seen["t"]), np.asarray(seen["noise"])
    assert t.shape == (4, 1000)
    assert noise.shape == (4, 1000, cfg.horizon, cfg.action_dim)
    beta = stats.beta(cfg.time_alpha, cfg.time_beta)
    assert stats.kstest(1 - t.ravel() / cfg.time_scale, beta.cdf).pvalue > 1e-4
    assert len(np.unique(t)) > 3900
    assert noise.mean() == pytest.approx(0, abs=5 / np.sqrt(noise.size))
    assert noise.std() == pytest.approx(1, abs=0.005)
    assert np.abs(np.corrcoef(noise.reshape(4, -1)) - np.eye(4)).max() < 0.01


def test_the_times_follow_the_config(seen):
    cfg, batch = many(4000, time_alpha=1.0, time_beta=1.0, time_scale=0.5)
    PolicyTask(cfg).loss({}, batch, KEY)
    assert stats.kstest(np.asarray(seen["t"])[0] / 0.5, "uniform").pvalue > 1e-4


def test_actions_and_masks_come_in_the_layout_of_the_network(seen):
    for layout in gamepad.LAYOUTS:
        cfg, batch = many(5, layout=layout)
        batch["mask"] = np.random.default_rng(1).random(batch["mask"].shape) < 0.5
        PolicyTask(cfg).loss({}, batch, KEY)
        for name in ("actions", "mask"):
            names = gamepad.layout_names(layout)
            for at, dimension in enumerate(gamepad.DIMENSIONS):
                found = np.asarray(seen[name])[..., names.index(dimension)]
                np.testing.assert_array_equal(found, batch[name][..., at])


def test_frames_are_augmented_by_the_key(seen):
    cfg, batch = many(5)
    PolicyTask(cfg).loss({}, batch, KEY)
    np.testing.assert_array_equal(seen["frames"], batch["frames"])
    task = PolicyTask(cfg)
    task = dataclasses.replace(task, augment=dataclasses.replace(task.augment, brightness=0.5))
    found = []
    for key in (KEY, KEY, jax.random.key(1)):
        task.loss({}, batch, key)
        found.append(np.asarray(seen["frames"], np.float32))
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()
    assert (found[0] != batch["frames"]).any()


@pytest.mark.parametrize(
    ("dtype", "found"), [("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16")]
)
def test_the_network_runs_as_the_task_says(seen, dtype, found):
    cfg, batch = many(2)
    PolicyTask(cfg, dtype=dtype, remat=True, scan=False).loss({}, batch, KEY)
    compute = seen["compute"]
    assert (compute.dtype, compute.remat, compute.scan) == (found, True, False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dtype": "float16"}, "task.dtype is 'float16'"),
        ({"drop_history_prob": 1.5}, "task.drop_history_prob is 1.5"),
        ({"drop_game_prob": -0.1}, "task.drop_game_prob is -0.1"),
        ({"draws_per_frame": 0}, "task.draws_per_frame is 0"),
        ({"policy": small_config(action_dim=24)}, "action_dim is 24, and records have 25"),
        ({"games": ("a", "b", "c")}, "3 games and row 0 for none need 4"),
        ({"policy": dataclasses.replace(CFG, frames=3)}, "3 frame.s."),
        ({"policy": dataclasses.replace(CFG, games=None), "games": ("a",)}, "games is None"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, said):
    with pytest.raises(NitrogenError, match=said):
        PolicyTask(**{"policy": CFG, **changes}).check()
    assert PolicyTask(CFG, games=("a", "b")).check().games == ("a", "b")


def test_what_a_batch_holds_is_what_its_spec_says():
    spec = GivenTask(CFG, draws_per_frame=2).batch_spec(3)
    batch = random_batch(CFG, 3, draws=2)
    assert {name: (x.shape, x.dtype) for name, x in batch.items()} == {
        name: (one.shape, one.dtype) for name, one in spec.items()
    }
    assert not PolicyTask(CFG).batch_spec(3).keys() - spec.keys()


def test_a_checkpoint_is_told_all_that_is_needed_to_use_it():
    task = PolicyTask(CFG, control_rate=12.5).with_games(("alpha", "beta"))
    found = meta.from_json(task.metadata(40, {"source": "here"}), "there")
    assert found.config == CFG
    assert found.games == {"alpha": 1, "beta": 2}
    assert found.step == 40
    assert found.control_rate == 12.5
    assert found.provenance["source"] == "here"
    tree = {"a": 1}
    assert task.export(tree) is tree
