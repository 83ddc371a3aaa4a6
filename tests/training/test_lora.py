"""Low-rank adapters: where they sit, what they change, what is left of them in a checkpoint."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any, NamedTuple

import numpy as np
import pytest

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
pytest.importorskip("safetensors")

import jax.numpy as jnp  # noqa: E402

from nitrogen_jax import config  # noqa: E402
from nitrogen_jax.errors import NitrogenError  # noqa: E402
from nitrogen_jax.models import policy  # noqa: E402
from nitrogen_jax.models.configs import FLOAT32  # noqa: E402
from nitrogen_jax.models.presets import policy_preset  # noqa: E402
from nitrogen_jax.training import lora as adapters  # noqa: E402
from nitrogen_jax.training.freeze import freeze_rules  # noqa: E402
from nitrogen_jax.training.lora import Adapted, Lora, merge  # noqa: E402
from nitrogen_jax.training.rules import is_trainable  # noqa: E402
from nitrogen_jax.weights import checkpoint, meta  # noqa: E402
from nitrogen_jax.weights.checkpoint import Checkpoint  # noqa: E402
from nitrogen_jax.weights.rules import flatten, unflatten  # noqa: E402

PRESET = policy_preset("test")
# One block of each kind, because compiling gradients is what takes time here.
TEST = dataclasses.replace(
    PRESET, vision=dataclasses.replace(PRESET.vision, depth=1, name="small"), horizon=4
)
SMALL = Lora(rank=4, alpha=6.0)
ALSO = dataclasses.replace(SMALL, also=("action_decoder/.*",))


class Sums(NamedTuple):
    total: Any
    weight: Any


@dataclasses.dataclass(frozen=True)
class Velocity:
    """The policy's loss at fixed times, in float32, as the task that adapters are put on."""

    cfg: Any = TEST

    def init(self, key):
        return policy.init(self.cfg, key)

    def loss(self, params, batch, key):
        noise = jax.random.normal(key, batch["actions"].shape)
        t = jnp.linspace(0.1, 0.9, len(batch["actions"]))
        loss = policy.loss_at(self.cfg, params, batch, t, noise, compute=FLOAT32)
        return Sums(loss * len(t), len(t))

    def batch_spec(self, batch):
        return {"actions": jax.ShapeDtypeStruct((batch, 4, 25), jnp.float32)}

    def export(self, params):
        return params

    def metadata(self, step, provenance):
        return meta.to_json(meta.Meta(self.cfg, step=step, provenance=provenance))

    def flops(self, trains=lambda path: True):
        return 1000.0 + sum(trains(path) for path in flatten(policy.shapes(self.cfg)))

    def evaluate(self, params, batches, mesh):
        return {"paths": list(flatten(params)), "batches": list(batches), "mesh": mesh}


@pytest.fixture(scope="module", autouse=True)
def shapes_once():
    """Tracing a network for its shapes takes a good part of the time of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "shapes", functools.cache(policy.shapes))
        yield


@pytest.fixture(scope="module")
def base():
    return jax.tree.map(np.asarray, jax.jit(Velocity().init)(jax.random.key(0)))


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "frames": rng.integers(0, 256, (2, 1, 32, 32, 3)).astype(np.uint8),
        "actions": rng.random((2, 4, 25), np.float32),
    }


@pytest.fixture(scope="module")
def trained(base, batch):
    """Parameters with adapters before and after some updates of what trains under ALSO."""
    task = Adapted(Velocity(), ALSO)
    start = flatten(adapters.add(ALSO, jax.random.key(1), base))
    rules = freeze_rules("none", start, ALSO)
    frozen = {path: leaf for path, leaf in start.items() if not is_trainable(path, rules)}
    params = {path: leaf for path, leaf in start.items() if path not in frozen}
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(params, opt, key):
        def loss(params):
            found = task.loss(unflatten(frozen | params), batch, key)
            return found.total / found.weight

        value, gradient = jax.value_and_grad(loss)(params)
        update, opt = optimizer.update(gradient, opt)
        return optax.apply_updates(params, update), opt, value

    opt, losses = optimizer.init(params), []
    for _ in range(8):
        params, opt, value = step(params, opt, jax.random.key(2))
        losses.append(float(value))
    assert losses[-1] < 0.95 * losses[0]
    return start, frozen | params


def randomised(base, lora=SMALL):
    """`base` with adapters of which neither factor is zero."""
    params = flatten(adapters.add(lora, jax.random.key(1), base))
    rng = np.random.default_rng(1)
    for path in params:
        if path.startswith("lora/"):
            params[path] = rng.normal(0, 0.1, params[path].shape).astype(np.float32)
    return unflatten(params)


def test_where_the_adapters_sit():
    shapes = policy.shapes(TEST)
    made = jax.eval_shape(lambda key: adapters.init(SMALL, key, shapes), jax.random.key(0))
    found = {path: leaf.shape for path, leaf in flatten(made).items()}
    blocks = ("vision/layers_0", "mixer/blocks_0", "dit/blocks_0", "dit/blocks_1")
    kernels = ("attn/q", "attn/k", "attn/v", "attn/out", "mlp/fc1", "mlp/fc2")
    assert len(found) == 2 * 4 * len(kernels)
    for block in blocks:
        for kernel in kernels:
            assert f"lora/{block}/{kernel}/a" in found
    assert found["lora/vision/layers_0/mlp/fc1/a"] == (32, 4)
    assert found["lora/vision/layers_0/mlp/fc1/b"] == (4, 64)
    assert found["lora/dit/blocks_1/mlp/fc2/a"] == (128, 4)
    assert not any("head" in path for path in found)


def test_an_adapter_starts_the_same_whatever_else_has_one():
    shapes, key = policy.shapes(TEST), jax.random.key(3)
    one = dataclasses.replace(SMALL, targets=("dit/blocks_1/attn/q/kernel",))
    alone, among = (flatten(adapters.init(lora, key, shapes)) for lora in (one, SMALL))
    path = "lora/dit/blocks_1/attn/q/a"
    assert list(alone) == [path, path[:-1] + "b"]
    np.testing.assert_array_equal(alone[path], among[path])
    assert not np.allclose(among[path], among["lora/dit/blocks_1/attn/k/a"])
    assert 0.5 < float(jnp.std(alone[path])) * 32**0.5 < 1.5
    assert not np.any(alone[path[:-1] + "b"])


def test_the_network_starts_unchanged(base):
    params = adapters.add(SMALL, jax.random.key(1), base)
    merged = flatten(merge(SMALL, params))
    assert list(merged) == list(flatten(base))
    for path, leaf in flatten(base).items():
        assert np.asarray(merged[path]).tobytes() == leaf.tobytes(), path


def test_a_merged_kernel_is_the_sum(base):
    params = randomised(base)
    merged, flat = flatten(merge(SMALL, params)), flatten(params)
    path = "mixer/blocks_0/attn/v"
    a, b = (flat[f"lora/{path}/{name}"].astype(np.float64) for name in "ab")
    wanted = flat[f"{path}/kernel"] + 6.0 / 4 * a @ b
    np.testing.assert_allclose(merged[f"{path}/kernel"], wanted, atol=1e-6)
    untouched = "mixer/blocks_0/attn/v/bias"
    assert merged[untouched] is flat[untouched]


def test_gradients_are_those_of_the_merged_matrix_by_the_chain_rule(base, batch):
    task, key = Velocity(), jax.random.key(5)
    params = randomised(base)

    def mean(loss):
        return loss.total / loss.weight

    adapted = jax.grad(lambda p: mean(Adapted(task, SMALL).loss(p, batch, key)))
    whole = jax.grad(lambda p: mean(task.loss(p, batch, key)))
    found = flatten(jax.jit(adapted)(params))
    of_sum = flatten(jax.jit(whole)(merge(SMALL, params)))
    flat = flatten(params)
    paths = [path[5:-2] for path in flat if path.startswith("lora/") and path.endswith("/a")]
    assert len(paths) == 24
    for path in paths:
        gradient = np.asarray(of_sum[f"{path}/kernel"], np.float64)
        a, b = (np.asarray(flat[f"lora/{path}/{name}"], np.float64) for name in "ab")
        scale = np.abs(gradient).max()
        for name, wanted in (("a", 1.5 * gradient @ b.T), ("b", 1.5 * a.T @ gradient)):
            error = np.abs(np.asarray(found[f"lora/{path}/{name}"]) - wanted).max()
            assert error < 1e-5 * scale + 1e-9, path
        np.testing.assert_allclose(found[f"{path}/kernel"], gradient, atol=1e-6 * scale + 1e-9)


def test_training_leaves_the_base_alone(trained):
    start, end = trained
    moved = {p for p in start if np.asarray(start[p]).tobytes() != np.asarray(end[p]).tobytes()}
    assert {path.split("/")[0] for path in moved} == {"lora", "action_decoder"}
    # NOTE: a bias of keys cancels in the softmax, a kernel of keys does not: all adapters move.
    assert {path for path in start if path.startswith("lora/")} <= moved


@pytest.mark.parametrize("name", ["orbax", "x.safetensors", "x.pt"])
def test_what_is_exported_is_a_policy_like_any_other(name, trained, batch, tmp_path):
    task = Adapted(Velocity(), ALSO)
    params = unflatten(trained[1])
    about = json.loads(json.dumps(task.metadata(8, {"source": "ng.pt"})))
    exported = jax.tree.map(np.asarray, task.export(params))
    made = Checkpoint(exported, meta.from_json(about, "test"))
    checkpoint.save(made, tmp_path / name)
    loaded = checkpoint.load(tmp_path / name)
    assert list(flatten(loaded.params)) == list(flatten(policy.shapes(TEST)))
    key = jax.random.key(7)
    adapted = task.loss(params, batch, key)
    plain = Velocity().loss(loaded.params, batch, key)
    assert abs(float(adapted.total) - float(plain.total)) < 1e-6 * float(adapted.total)
    velocities = [
        policy.velocity(
            TEST,
            given,
            policy.encode(TEST, given, batch["frames"], compute=FLOAT32),
            batch["actions"],
            jnp.array([0.2, 0.7]),
            compute=FLOAT32,
        )
        for given in (merge(ALSO, params), loaded.params)
    ]
    np.testing.assert_allclose(*velocities, atol=1e-6)
    assert loaded.meta.step == 8
    assert loaded.meta.provenance["lora"] == {
        "rank": 4,
        "alpha": 6.0,
        "targets": [adapters.ATTENTION, adapters.FEED_FORWARD],
        "also": ["action_decoder/.*"],
    }


def test_a_task_with_adapters_is_a_task(base):
    task = Adapted(Velocity(), SMALL)
    made = jax.eval_shape(task.init, jax.random.key(0))
    assert made == jax.eval_shape(lambda p: adapters.add(SMALL, jax.random.key(1), p), base)
    assert task.batch_spec(3) == Velocity().batch_spec(3)
    found = task.evaluate(randomised(base), [1, 2], None)
    assert found == {"paths": list(flatten(base)), "batches": [1, 2], "mesh": None}


def test_flops_count_the_kernels_whose_adapters_train():
    plain, task = Velocity(), Adapted(Velocity(), SMALL)
    assert task.flops() == plain.flops()
    assert task.flops(lambda path: path.startswith("lora/")) == 1000 + 24
    # 2 x 4 x (in x out) for the product of the factors, and as much for the gradient of each
    sizes = 4 * 4 * 32 * 32 + 2 * 32 * 64 + 3 * 2 * 32 * 128
    shared = dataclasses.replace(task, share=8)
    assert shared.flops() == plain.flops() + 3 * 2 * 4 * sizes / 8


def test_kernels_with_an_axis_of_embodiments_can_have_adapters(base):
    lora = Lora(rank=2, targets=("action_encoder/.*",))
    params = randomised(base, lora)
    assert params["lora"]["action_encoder"]["W2"]["a"].shape == (1, 64, 2)
    merged = merge(lora, params)["action_encoder"]["W2"]["kernel"]
    factors = params["lora"]["action_encoder"]["W2"]
    wanted = base["action_encoder"]["W2"]["kernel"] + 8 * factors["a"] @ factors["b"]
    np.testing.assert_allclose(merged, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rank": 0}, "rank is 0"),
        ({"alpha": 0.0}, "alpha 0.0"),
        ({"rank": 33}, "lora.rank is 33, and .*/kernel \\(32, 32\\) has no more than rank 32"),
        ({"targets": ()}, "lora.targets is empty"),
        ({"targets": ("dit/.*", "dot/.*")}, "lora.targets: the pattern 'dot/\\.\\*' matches no"),
        ({"targets": ("position_embedding",)}, "'position_embedding' matches no"),
        ({"targets": ("vision/patch_embedding/kernel",)}, "matches no parameter"),
        ({"targets": ("(",)}, "is no regular expression"),
    ],
)
def test_what_is_refused(fields, message):
    with pytest.raises(NitrogenError, match=message):
        adapters.init(dataclasses.replace(SMALL, **fields), None, policy.shapes(TEST))


def test_adapters_in_a_configuration():
    read, notices = config.from_dict(Lora, json.loads(json.dumps(config.to_dict(ALSO))), "file")
    assert (read, notices) == (ALSO, [])
    assert config.override(Lora(), ["--rank=4", "--alpha=6", "--also=('action_decoder/.*',)"]) == (
        ALSO
    )
