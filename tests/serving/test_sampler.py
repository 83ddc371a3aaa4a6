"""The NumPy bridge: buckets, padding, no retracing, noise, bad input, several devices."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import FLOAT32
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.serving.sampler import Sampler, default_compute, draw_noise

CFG = dataclasses.replace(
    policy_preset("test"), frames=2, games=3, context_length=9, euler_steps=3
).check()
SIZE = CFG.vision.image_size


@pytest.fixture(scope="module")
def params():
    return jax.jit(partial(policy.init, CFG))(jax.random.key(0))


@pytest.fixture(scope="module")
def sampler(params):
    return Sampler(CFG, params, compute=FLOAT32, buckets=(1, 4))


def inputs(batch: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.integers(0, 256, (batch, 2, SIZE, SIZE, 3), dtype=np.uint8),
        "noise": draw_noise(seed, range(batch), (CFG.horizon, CFG.action_dim)),
        "dropped": rng.random((batch, 2)) < 0.3,
        "game_ids": rng.integers(0, 3, batch),
    }


def test_it_returns_what_the_pure_function_returns(sampler, params):
    given = inputs(4)
    conditioning = policy.conditioning(CFG, params, compute=FLOAT32)
    wanted = jax.jit(partial(policy.sample, CFG, compute=FLOAT32))(
        params,
        conditioning,
        given["noise"],
        given["frames"],
        given["dropped"],
        given["game_ids"],
    )
    np.testing.assert_allclose(sampler(**given), wanted, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7])
def test_padding_and_splitting_change_nothing(sampler, batch):
    given = inputs(batch)
    together = sampler(**given)
    rows = [sampler(**{k: v[i : i + 1] for k, v in given.items()}) for i in range(batch)]
    np.testing.assert_allclose(together, np.concatenate(rows), atol=1e-6)


def test_nothing_is_traced_or_compiled_after_warm_up(params, monkeypatch):
    calls = []
    sample = policy.sample
    monkeypatch.setattr(policy, "sample", lambda *a, **k: calls.append(1) or sample(*a, **k))
    made = Sampler(CFG, params, compute=FLOAT32, buckets=(1, 4))
    made.warm_up()
    assert len(calls) == 2  # once per bucket
    with jax.log_compiles(False), monkeypatch.context() as patch:
        patch.setattr(Sampler, "lower", lambda *_: pytest.fail("compiled in steady state"))
        for batch in (1, 2, 3, 4, 9):
            made(**inputs(batch))
    assert len(calls) == 2


def test_noise_depends_on_seed_and_row_alone():
    shape = (CFG.horizon, CFG.action_dim)
    whole = draw_noise(7, range(10), shape)
    np.testing.assert_array_equal(whole[3:5], draw_noise(7, [3, 4], shape))
    assert np.abs(whole - draw_noise(8, range(10), shape)).max() > 0.1
    assert abs(float(draw_noise(0, range(300), shape).std()) - 1) < 0.01


def test_guidance_is_a_scale_and_not_a_new_program(params):
    made = Sampler(CFG, params, compute=FLOAT32, buckets=(2,), guidance=2.0)
    plain = Sampler(CFG, params, compute=FLOAT32, buckets=(2,), guidance=0.0)
    given = inputs(2) | {"dropped": np.zeros((2, 2), bool)}
    assert np.abs(made(**given) - plain(**given)).max() > 1e-5


def test_steps_of_the_caller_win(params):
    made = Sampler(CFG, params, compute=FLOAT32, buckets=(1,), steps=1)
    assert made.conditioning.action_time.shape[0] == 1


def test_compute_on_a_cpu_is_float32():
    assert default_compute().dtype == "float32"
    with pytest.raises(NitrogenError, match="float16"):
        default_compute("float16")


def test_mixed_precision_keeps_up(params):
    given = inputs(2)
    found = [
        Sampler(CFG, params, compute=default_compute(dtype), buckets=(2,))(**given)
        for dtype in ("float32", "bfloat16")
    ]
    assert found[1].dtype == np.float32
    assert 0 < np.abs(found[0] - found[1]).max() < 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": np.zeros((2, 2, SIZE, SIZE, 3))}, "frames are float64"),
        ({"frames": np.zeros((2, SIZE, SIZE, 3), np.uint8)}, "frames are uint8"),
        ({"frames": np.zeros((2, 2, SIZE, SIZE + 1, 3), np.uint8)}, "frames are uint8"),
        ({"noise": np.zeros((2, 18, 24), np.float32)}, "noise has shape"),
        ({"dropped": np.zeros((2, 3), bool)}, "dropped is bool"),
        ({"dropped": np.zeros((2, 2))}, "dropped is float64"),
        ({"game_ids": np.asarray([0, 3])}, "rows from 0 to 2"),
        ({"game_ids": np.asarray([0, -1])}, "rows from 0 to 2"),
        ({"game_ids": np.asarray([0])}, "2 rows"),
    ],
)
def test_wrong_input_is_one_sentence(sampler, change, words):
    with pytest.raises(NitrogenError, match=words) as caught:
        sampler(**(inputs(2) | change))
    assert "\n" not in str(caught.value)


def test_an_empty_batch_is_refused(sampler):
    with pytest.raises(NitrogenError, match="the batch is empty"):
        sampler(**{k: v[:0] for k, v in inputs(1).items()})


@pytest.mark.parametrize("options", [{"buckets": ()}, {"buckets": (0, 2)}, {"steps": 0}])
def test_impossible_options_are_refused(params, options):
    with pytest.raises(NitrogenError):
        Sampler(CFG, params, compute=FLOAT32, **options)


EIGHT = """
import jax, numpy as np
from test_sampler import CFG, FLOAT32, Sampler, inputs
from functools import partial
from nitrogen_jax.models import policy
from nitrogen_jax.training.mesh import make_mesh
params = jax.jit(partial(policy.init, CFG))(jax.random.key(0))
given = inputs(11)
one = Sampler(CFG, params, compute=FLOAT32, buckets=(4,), mesh=make_mesh(devices=jax.devices()[:1]))
assert jax.device_count() == 8
for fsdp in (1, 2, 8):
    many = Sampler(CFG, params, compute=FLOAT32, buckets=(4,), mesh=make_mesh(fsdp))
    assert many.buckets == (8,)
    out = many.program(8).output_shardings
    assert len(out.device_set) == 8 and not out.is_fully_replicated
    np.testing.assert_allclose(many(**given), one(**given), atol=1e-6)
print("equal")
"""


def test_eight_devices_give_what_one_gives(run_python, monkeypatch):
    import os
    from pathlib import Path

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    done = run_python("-c", EIGHT, XLA_FLAGS=flags)
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]
