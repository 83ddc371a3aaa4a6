"""The kernel against `x @ w + b`, and sampling with it against sampling without."""

from __future__ import annotations

import dataclasses
import platform
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nitrogen_jax.kernels import packed
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import FLOAT32, Compute
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.serving.sampler import Sampler, draw_noise

pytestmark = pytest.mark.skipif(
    jax.default_backend() != "cpu" or packed.panel_width() is None, reason="no kernel here"
)

CFG = dataclasses.replace(policy_preset("test"), euler_steps=3).check()


def drawn(rows: int, inputs: int, outputs: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    shapes = (rows, inputs), (inputs, outputs), (outputs,)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def close(found, x, w, b):
    """Within what the order of float32 sums can do."""
    wanted = x.astype(np.float64) @ w + b
    scale = np.abs(x).astype(np.float64) @ np.abs(w) + np.abs(b)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert np.all(np.abs(found - wanted) <= 2e-6 * scale + 1e-12)


sizes = st.integers(1, 300)


@given(rows=st.integers(1, packed.MAX_ROWS), inputs=sizes, outputs=sizes, seed=st.integers(0, 99))
@example(rows=18, inputs=1024, outputs=1024, seed=0)
@example(rows=64, inputs=129, outputs=33, seed=0)
@example(rows=1, inputs=1, outputs=1, seed=0)
def test_it_is_a_product_and_a_bias(rows, inputs, outputs, seed):
    x, w, b = drawn(rows, inputs, outputs, seed)
    close(np.asarray(packed.matmul(x, packed.pack(w, b), outputs)), x, w, b)


def test_leading_axes_stay_and_the_bias_may_be_absent():
    x, w, _ = drawn(2 * 3 * 5, 7, 11)
    y = packed.matmul(jax.numpy.asarray(x.reshape(2, 3, 5, 7)), packed.pack(w, None), 11)
    assert y.shape == (2, 3, 5, 11)
    close(np.asarray(y).reshape(30, 11), x, w, np.zeros(11, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_comes_out_where_it_belongs(value):
    x, w, b = drawn(20, 40, 50)
    x[3, 7] = value
    y = np.asarray(packed.matmul(x, packed.pack(w, b), 50))
    np.testing.assert_array_equal(y[3], value * w[7])
    assert np.isfinite(np.delete(y, 3, axis=0)).all()
    x, w, b = drawn(20, 40, 50)
    w[7, 49] = value  # the last column before the padding
    y = np.asarray(packed.matmul(x, packed.pack(w, b), 50))
    np.testing.assert_array_equal(y[:, 49], value * x[:, 7])
    assert np.isfinite(y[:, :49]).all()


def test_shapes_that_do_not_fit_are_refused():
    x, w, b = drawn(4, 40, 50)
    layer = packed.pack(w, b)
    for wrong in ((x[:, :39], layer, 50), (x, layer, 500), (np.ones((65, 40), "f4"), layer, 50)):
        with pytest.raises(Exception, match="do not fit"):
            jax.block_until_ready(packed.matmul(*wrong))


def test_threads_may_call_it_at_once():
    x, w, b = drawn(18, 256, 512)
    layer, program = packed.pack(w, b), jax.jit(partial(packed.matmul, outputs=512))
    inputs = [x * (1 + i) for i in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: np.asarray(program(x, layer)), inputs))
    for x, y in zip(inputs, found, strict=True):
        close(y, x, w, b)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these flags are of x86-64")
@pytest.mark.parametrize(
    ("flags", "width"), [("-mno-avx512f", (8, 16)), ("-march=x86-64 -mtune=generic", (8,))]
)
def test_other_processors_get_the_same(flags, width, run_python, tmp_path):
    code = """
import numpy as np
from nitrogen_jax.kernels import packed
width = packed.panel_width()
for rows, inputs, outputs in ((18, 200, 100), (1, 1, 1), (64, 300, 17), (7, 129, 33)):
    rng = np.random.default_rng(0)
    shapes = (rows, inputs), (inputs, outputs), (outputs,)
    x, w, b = (rng.standard_normal(shape, np.float32) for shape in shapes)
    y = packed.matmul(x, packed.pack(w, b), outputs)
    np.testing.assert_allclose(y, x @ w + b, atol=1e-4)
print(width)
"""
    done = run_python("-c", code, CXXFLAGS=flags, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) in width


@pytest.fixture(scope="module")
def params():
    return jax.jit(partial(policy.init, CFG))(jax.random.key(0))


def inputs(batch: int):
    size = CFG.vision.image_size
    frames = np.random.default_rng(0).integers(0, 256, (batch, 1, size, size, 3), dtype=np.uint8)
    return frames, draw_noise(0, range(batch), (CFG.horizon, CFG.action_dim))


def uses_kernel(sampler: Sampler, bucket: int) -> bool:
    return packed.TARGET in sampler.lower(bucket).as_text()


@pytest.mark.parametrize("guidance", [None, 1.5])
def test_sampling_is_the_same_with_and_without(params, guidance):
    options = {"compute": FLOAT32, "buckets": (1,), "guidance": guidance}
    ours = Sampler(CFG, params, **options, kernels=True)
    assert uses_kernel(ours, 1)
    without = Sampler(CFG, params, **options, kernels=False)
    assert not uses_kernel(without, 1)
    np.testing.assert_allclose(ours(*inputs(1)), without(*inputs(1)), atol=1e-5)


def test_a_small_network_is_left_to_xla_without_asking_for_the_kernel(params, monkeypatch):
    monkeypatch.setattr(packed, "panel_width", lambda: pytest.fail("asked for the kernel"))
    assert not uses_kernel(Sampler(CFG, params, compute=FLOAT32, buckets=(1,)), 1)


def test_it_serves_few_rows_only(params):
    ours = Sampler(CFG, params, compute=FLOAT32, buckets=(1, 3, 4), kernels=True)
    assert [uses_kernel(ours, bucket) for bucket in (1, 3, 4)] == [True, True, False]
    guided = Sampler(CFG, params, compute=FLOAT32, buckets=(1, 2), guidance=1.0, kernels=True)
    assert [uses_kernel(guided, bucket) for bucket in (1, 2)] == [True, False]


def test_every_small_product_of_the_denoiser_is_packed_and_no_other(params):
    found = set(Sampler(CFG, params, compute=FLOAT32, buckets=(1,), kernels=True)._packed)
    assert {"dit/out", "dit/blocks_0/attn/q", "dit/blocks_1/attn/k"} <= found
    assert all(path.startswith("dit/") for path in found)
    assert not any("adaln" in path or "modulation" in path for path in found)


@pytest.mark.parametrize(
    ("compute", "variable"),
    [
        (Compute("bfloat16"), "1"),
        (Compute(precision="default"), "1"),
        (FLOAT32, "0"),
    ],
)
def test_it_stays_away_where_it_is_not_meant(params, monkeypatch, compute, variable):
    monkeypatch.setenv("NITROGEN_KERNELS", variable)
    assert not uses_kernel(Sampler(CFG, params, compute=compute, buckets=(1,), kernels=True), 1)


def test_without_a_kernel_xla_does_it(params, monkeypatch):
    wanted = Sampler(CFG, params, compute=FLOAT32, buckets=(1,), kernels=True)(*inputs(1))
    monkeypatch.setattr(packed, "panel_width", lambda: None)
    without = Sampler(CFG, params, compute=FLOAT32, buckets=(1,), kernels=True)
    assert not uses_kernel(without, 1)
    np.testing.assert_allclose(without(*inputs(1)), wanted, atol=1e-5)
