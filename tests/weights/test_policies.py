"""What a user may write for a policy."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("safetensors")

from nitrogen_jax.errors import NitrogenError  # noqa: E402
from nitrogen_jax.models import siglip2  # noqa: E402
from nitrogen_jax.models.presets import policy_preset, vision_preset  # noqa: E402
from nitrogen_jax.weights import checkpoint, policies, rules  # noqa: E402
from nitrogen_jax.weights.checkpoint import Checkpoint  # noqa: E402
from nitrogen_jax.weights.meta import Meta  # noqa: E402


@pytest.fixture(scope="module")
def small():
    return policies.load_policy("random:test")


def test_a_random_policy_is_its_preset(small):
    assert small.meta.config == policy_preset("test")
    assert small.meta.provenance == {"source": "random parameters, seed 0"}
    leaves, shapes = rules.flatten(small.params), rules.flatten(checkpoint.shapes(small.meta))
    assert {k: v.shape for k, v in leaves.items()} == {k: v.shape for k, v in shapes.items()}
    assert all(type(leaf) is np.ndarray and leaf.dtype == np.float32 for leaf in leaves.values())


def test_a_seed_decides():
    one, again, other = (
        policies.random_policy(policy_preset("test"), seed).params["dit"]["out"]["kernel"]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", ["test.safetensors", "test.pt"])
def test_a_file(small, tmp_path, name):
    checkpoint.save(small, tmp_path / name)
    loaded = policies.load_policy(str(tmp_path / name))
    assert loaded.meta.config == small.meta.config


def test_names_that_mean_nothing(tmp_path):
    with pytest.raises(NitrogenError, match="'nobody' is not known"):
        policies.load_policy("random:nobody")
    with pytest.raises(NitrogenError, match="does not exist"):
        policies.load_policy(str(tmp_path / "none.pt"))


def test_a_preset_names_its_tower_itself():
    with pytest.raises(NitrogenError, match="random:test names its tower itself"):
        policies.load_policy("random:test", "tiny")


def test_a_tower_alone_is_no_policy(tmp_path):
    tower = vision_preset("test")
    params = jax.tree.map(np.asarray, jax.jit(lambda k: siglip2.init(tower, k))(jax.random.key(0)))
    checkpoint.save(Checkpoint(params, Meta(tower)), tmp_path / "tower.safetensors")
    with pytest.raises(NitrogenError, match="is a vision tower alone, where a whole policy"):
        policies.load_policy(str(tmp_path / "tower.safetensors"))


def test_arguments():
    parser = argparse.ArgumentParser()
    policies.add_policy_arguments(parser, default="random:tiny")
    assert vars(parser.parse_args([])) == {"policy": "random:tiny", "vision": None}
    given = parser.parse_args(["--policy", "x.pt", "--vision", "v.json"])
    assert vars(given) == {"policy": "x.pt", "vision": "v.json"}
    required = argparse.ArgumentParser()
    policies.add_policy_arguments(required, name="--teacher")
    assert required.parse_args(["--teacher", "x"]).teacher == "x"
    with pytest.raises(SystemExit):
        required.parse_args([])
