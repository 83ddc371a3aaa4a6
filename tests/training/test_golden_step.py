"""The recorded loss and gradients of the original, through the step that trains."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nitrogen_jax.training import build
from nitrogen_jax.training.begin import begin
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.train_config import Optimizer, TrainConfig
from nitrogen_jax.training.trees import flatten
from nitrogen_jax.weights import verify

sys.path.insert(0, str(Path(__file__).parent))
from golden_task import GOLDEN, GivenTask, recorded_batch, recorded_config

# Without momentum, clipping and decay, what Adam keeps of the first batch is its gradient.
BARE = Optimizer(warmup=0, beta1=0.0, clip=None, weight_decay=0.0)
long = pytest.mark.long


@pytest.mark.parametrize(
    ("name", "accumulate", "scan"),
    [
        ("tiny", 2, True),
        pytest.param("frames_games", 1, False, marks=long),
        pytest.param("tiny", 1, False, marks=long),
        pytest.param("tiny", 1, True, marks=long),
        pytest.param("frames_games", 2, True, marks=long),
    ],
)
def test_the_first_update_has_the_recorded_loss_and_gradient(name, accumulate, scan):
    """The two examples have masks of different sizes, and micro-batches of one example each."""
    batch, wanted = recorded_batch(name)
    config = TrainConfig(
        task=GivenTask(recorded_config(name), dtype="float32", scan=scan),
        data=None,
        steps=10,
        batch=2,
        accumulate=accumulate,
        optimizer=BARE,
        start=Start(checkpoint=str(GOLDEN / name / "ng.pt")),
        freeze="original",
    ).check()
    built = build.build(config, build.make_mesh(config, jax.devices()[:1]))
    state, _, _ = begin(built)
    before = jax.device_get(state)
    state, metrics = built.step(state, batch, jnp.zeros(1, jnp.int32))
    assert float(metrics["loss"]) == pytest.approx(wanted, abs=verify.TOLERANCE)
    assert int(metrics["skipped"]) == 0
    recorded = json.loads((GOLDEN / name / "grad_norms.json").read_text())
    gradient = flatten(jax.device_get(optax.tree.get(state.opt, "mu")))
    norms = {path: float(np.linalg.norm(leaf)) for path, leaf in gradient.items()}
    frozen = dict.fromkeys(flatten(state.frozen), 0.0)
    errors = verify.gradient_errors(norms | frozen, recorded)
    assert errors.keys() == recorded.keys()
    bad = {path: error for path, error in errors.items() if not error <= verify.TOLERANCE}
    assert not bad
    # What the original freezes has no gradient there either, and is here as it was.
    assert {path.split("/")[1] for path in frozen} == {"layers_11", "head"}
    jax.tree.map(np.testing.assert_array_equal, state.frozen, before.frozen)
    moved = [
        np.abs(leaf - flatten(before.params)[path]).max()
        for path, leaf in flatten(jax.device_get(state.params)).items()
        if norms[path] > 1e-3
    ]
    assert min(moved) > BARE.rate / 2
