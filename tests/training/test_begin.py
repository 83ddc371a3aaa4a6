"""The state before the first step: random, from a file, with adapters."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toys import ToyTask, save_params, toy_config

from nitrogen_jax.training import build
from nitrogen_jax.training.begin import begin
from nitrogen_jax.training.lora import Lora
from nitrogen_jax.training.start import Start
from nitrogen_jax.training.trees import combine, flatten

SMALL = ToyTask(width=4)


def begun(**changes):
    config = toy_config(task=SMALL, **changes)
    return begin(build.build(config, build.make_mesh(config)))


def arrays(tree):
    return {path: np.asarray(leaf) for path, leaf in flatten(tree).items()}


def test_random_parameters_by_the_seed():
    state, provenance, notices = begun(seed=3)
    assert (provenance, notices) == ({"source": "random parameters, seed 3"}, [])
    wanted = arrays(SMALL.init(jax.random.key(3)))
    found = arrays(state.params)
    assert found.keys() == wanted.keys()
    for path, array in found.items():
        np.testing.assert_allclose(array, wanted[path], rtol=1e-6, err_msg=path)
        assert np.array_equal(array, arrays(state.ema)[path])
    assert (int(state.step), int(state.skipped)) == (0, 0)
    assert not any(leaf.any() for leaf in jax.tree.leaves(state.opt))
    other, _, _ = begun(seed=4)
    assert not np.array_equal(other.params["first"]["kernel"], state.params["first"]["kernel"])


def test_what_is_frozen_is_apart_and_equal():
    rules = (("first/.*", False), (".*", True))
    state, *_ = begun(freeze=rules)
    assert set(state.frozen) == {"first"}
    assert "first" not in state.params
    whole, *_ = begun()
    for path, array in arrays(combine(state.params, state.frozen)).items():
        np.testing.assert_allclose(array, arrays(whole.params)[path], rtol=1e-6)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "start.npz"
    save_params(path, SMALL.init(jax.random.key(9)))
    return path


def test_from_a_file(file):
    state, provenance, notices = begun(start=Start(checkpoint=str(file)))
    assert provenance == {"source": str(file)}
    assert notices == ["started from a file"]
    wanted = arrays(SMALL.init(jax.random.key(9)))
    assert all(np.array_equal(array, wanted[path]) for path, array in arrays(state.params).items())


def test_from_a_file_with_adapters(file):
    """They are added, and change nothing at first; the rest is the file's, and stays."""
    lora = Lora(rank=2, targets=("middle/kernel",))
    state, *_ = begun(start=Start(checkpoint=str(file)), lora=lora)
    wanted = SMALL.init(jax.random.key(9))
    config = toy_config(task=SMALL, lora=lora)
    full = combine(state.params, state.frozen)
    assert set(state.params) == {"lora"}
    merged = build.build(config, build.make_mesh(config)).task.export(full)
    for path, array in arrays(merged).items():
        np.testing.assert_allclose(array, arrays(wanted)[path], rtol=1e-6, err_msg=path)
