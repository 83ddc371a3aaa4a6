"""How devices are arranged changes where things lie, and nothing else: 8 devices in a process."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CHILD = Path(__file__).with_name("mesh_child.py")
MESHES = ["(1, 8)", "(2, 4)", "(8, 1)"]
FLAGS = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"


# parameter -> how it is divided, with more than one device to a copy; None: there is no such
NAMED = {
    "toy": {
        "middle/kernel": [None, "fsdp"],
        "first/kernel": [],
        "middle/bias": [],
    },
    "policy": {
        "mixer/blocks_0/attn/q/kernel": [None, "fsdp"],
        "dit/blocks_1/mlp/fc2/kernel": ["fsdp", None],
        "action_encoder/W2/kernel": [None, "fsdp", None],
        "action_encoder/W1/kernel": [],
        "dit/blocks_0/norm1/scale": None,
    },
}


@pytest.fixture(
    scope="module", params=["toy", pytest.param("policy", marks=pytest.mark.long)], name="kind"
)
def _kind(request):
    return request.param


@pytest.fixture(scope="module")
def runs(kind):
    """What `mesh_child.py` says of each arrangement."""
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, str(CHILD), kind],
        env={**os.environ, "XLA_FLAGS": FLAGS, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_losses_parameters_average_and_optimiser_agree(runs):
    for name in MESHES:
        assert runs[name]["difference"] < 1e-5, name
        for one, other in zip(runs[name]["told"], runs[MESHES[0]]["told"], strict=True):
            for metric in ("loss", "grad_norm", "weight", "rate", "skipped"):
                assert one[metric] == pytest.approx(other[metric], rel=1e-5), (name, metric)
    losses = [one["loss"] for one in runs[MESHES[0]]["told"]]
    assert len(set(losses)) == len(losses)


def test_every_device_is_heard(runs):
    assert {one["stop"] for name in MESHES for one in runs[name]["told"]} == {sum(range(8))}


def test_accumulation_on_a_mesh_equals_one_batch(runs, kind):
    if kind == "policy":
        pytest.skip("shown on the toy")
    for one, other in zip(runs["accumulated"]["told"], runs["plain"]["told"], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-5)
    assert runs["accumulated"]["difference"] < 1e-5


def test_large_arrays_are_divided_and_all_that_belongs_to_one_lies_alike(runs, kind):
    for name in MESHES:
        specs = runs[name]["specs"]
        assert specs["params"] == specs["ema"] == specs["mu"]
        for path, wanted in NAMED[kind].items():
            assert specs["params"].get(path) == wanted, path
        if kind == "policy":
            tower = specs["frozen"]["vision/layers_0/mlp/fc1/kernel"]
            assert tower == [None, "fsdp"]


@pytest.mark.parametrize("name", MESHES)
def test_a_device_holds_its_share_of_parameters_average_and_optimiser(runs, name):
    run, ways = runs[name], json.loads(name.replace("(", "[").replace(")", "]"))[1]
    for part, specs in run["specs"].items():
        sizes = {path: 4 * math.prod(run["shapes"][path]) for path in specs}
        wanted = sum(
            size // ways if "fsdp" in specs[path] else size for path, size in sizes.items()
        )
        assert run["bytes"][part] == wanted
    assert run["as_planned"]
    # Saved are the average with what is frozen, the parameters, both moments and the counters.
    held = run["bytes"]
    everything = held["ema"] + held["frozen"] + held["params"] + 2 * held["mu"]
    assert everything <= run["saved"] <= everything + 64
    if ways > 1:
        assert held["params"] < 0.5 * runs["(8, 1)"]["bytes"]["params"]


@pytest.mark.parametrize("name", MESHES)
def test_devices_pass_parameters_and_gradients_and_no_activations(runs, name, kind):
    run = runs[name]
    parameters = {
        tuple(run["shapes"][path])
        for specs in run["specs"].values()
        for path, spec in specs.items()
        if "fsdp" in spec
    }
    gathers = [
        (axis, tuple(dims))
        for what, axis, arrays in run["collectives"]
        for dims in arrays
        if what == "all-gather"
    ]
    if name == "(8, 1)":
        assert gathers == []
    else:
        assert {axis for axis, _ in gathers} == {"fsdp"}
        found = {dims for _, dims in gathers}
        assert found <= parameters
        assert {tuple(run["shapes"][path]) for path in NAMED[kind] if NAMED[kind][path]} <= found
    reduced = [
        np.prod(dims, dtype=int)
        for what, _, arrays in run["collectives"]
        for dims in arrays
        if what in ("all-reduce", "reduce-scatter")
    ]
    largest = max(math.prod(shape) for shape in run["shapes"].values())
    assert max(reduced) <= largest
    assert "all-to-all" not in {what for what, _, _ in run["collectives"]}
