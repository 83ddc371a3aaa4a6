"""`nitrogen bench sample`: the ways agree with each other, and the table says what was measured."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import jax
import numpy as np
import pytest

from nitrogen_jax.bench import report, sample
from nitrogen_jax.bench.sample import Result
from nitrogen_jax.cli import main
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.serving.sampler import Sampler

CFG = dataclasses.replace(policy_preset("test"), euler_steps=4)


@pytest.fixture(scope="module")
def params():
    return jax.jit(partial(policy.init, CFG))(jax.random.key(0))


def test_naive_and_cached_compute_the_same(params):
    frames, noise = sample.inputs(CFG, 2)
    cached = Sampler(CFG, params, compute=Compute(), buckets=(2,))(frames, noise)
    naive, seconds = sample.naive_sampler(CFG, params, 2, 4, Compute())
    np.testing.assert_allclose(naive(frames, noise), cached, atol=2e-6)
    assert seconds > 0


@pytest.mark.needs("torch")
def test_pytorch_computes_the_same(params):
    frames, noise = sample.inputs(CFG, 2)
    cached = Sampler(CFG, params, compute=Compute(), buckets=(2,))(frames, noise)
    call = sample.torch_sampler(CFG, params, 4, Compute())
    np.testing.assert_allclose(call(frames, noise), cached, atol=1e-5)


def test_command_prints_and_writes_what_it_measured(tmp_path, capsys):
    out = tmp_path / "bench.json"
    options = "--policy random:test --batches 1,2 --steps 2 --runs 2 --naive --json --out"
    assert main(["bench", "sample", *options.split(), str(out)]) == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert data == json.loads(out.read_text())
    found = [(r["variant"], r["batch"], r["steps"], len(r["times_ms"])) for r in data["results"]]
    assert found == [(way, b, 2, 2) for way, b in
                     (("cached", 1), ("naive", 1), ("cached", 2), ("naive", 2))]  # fmt: skip
    for result in data["results"]:
        assert 0 < result["median_ms"] <= result["p95_ms"]
        flops = result["tflops"] * result["median_ms"]
        assert flops == pytest.approx(result["gflop_by_hand"], rel=1e-6)
    assert {row["other"] for row in data["ratios"]} == {"naive"}
    assert data["matmul_tflops"] > 0
    assert list(tmp_path.iterdir()) == [out]


def test_parts_add_up_to_the_whole(capsys):
    options = "bench sample --policy random:test --steps 2 --runs 2 --parts --json"
    assert main(options.split()) == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    whole, *parts = data["results"]
    assert [p["variant"] for p in parts] == [
        "part: tower", "part: mixer", "part: keys, values", "part: Euler loop"
    ]  # fmt: skip
    # the loop makes its own keys and values
    once = [p["gflop_by_hand"] for p in parts if p["variant"] != "part: keys, values"]
    assert sum(once) == pytest.approx(whole["gflop_by_hand"], rel=1e-9)
    assert data["ratios"] == []


def test_ratios_compare_equal_work_only():
    results = [
        Result("cached", 1, 16, "float32", times_ms=(10.0, 20.0, 10.0)),
        Result("cached", 8, 16, "float32", times_ms=(20.0, 20.0, 20.0)),
        # the second round was disturbed, and disturbed both
        Result("naive", 1, 16, "float32", times_ms=(25.0, 50.0, 26.0)),
        Result("pytorch", 8, 16, "float32", times_ms=(100.0, 90.0, 110.0)),
        Result("part: tower", 1, 16, "float32", times_ms=(5.0, 5.0, 5.0)),
        Result("tpu v5e:2x2", 1, 16, "bfloat16"),
    ]
    found = [(row["other"], row["batch"], row["speedup"]) for row in report.ratios(results)]
    assert found == [("naive", 1, 2.5), ("pytorch", 8, 5.0)]
    assert "2.50 x as fast as naive" in report.ratio_lines(results)[0]


@pytest.mark.parametrize(
    "options",
    [["--batches", "0"], ["--batches", "a"], ["--runs", "0"], ["--policy", "random:none"],
     ["--out", "/nowhere/bench.json"]],
)  # fmt: skip
def test_bad_options_are_one_sentence(options, capsys):
    assert main(["bench", "sample", *options]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.needs("libtpu")
def test_the_sampler_compiles_for_a_tpu(run_python):
    code = """
import json, dataclasses
from nitrogen_jax.bench import tpu
from nitrogen_jax.models.presets import policy_preset
print(json.dumps(dataclasses.asdict(tpu.compile_sampler(policy_preset("tiny"), 3, 4, "v5e:2x2"))))
"""
    done = run_python("-c", code, TPU_SKIP_MDS_QUERY="1", XLA_FLAGS="")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["gflop_compiler"] == pytest.approx(found["gflop_by_hand"], rel=0.2)
    assert found["peak_mib"] > 0
    assert found["median_ms"] is None  # nothing ran


@pytest.mark.needs("libtpu")
def test_an_unknown_topology_is_one_sentence(run_python):
    options = ["bench", "sample", "--policy", "random:test", "--tpu", "v5e:none", "--no-run"]
    done = run_python("-m", "nitrogen_jax.cli", *options, TPU_SKIP_MDS_QUERY="1")
    assert done.returncode == 2
    assert "cannot compile for TPU topology 'v5e:none'" in done.stderr
    assert "Traceback" not in done.stderr
