"""A checkpoint served for workers: the same answers whoever else asks, and what is wrong."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest

pytest.importorskip("jax")

import jax

from nitrogen_jax.evaluation import served
from nitrogen_jax.evaluation.opened import opened
from nitrogen_jax.evaluation.policies import Remote, Source
from nitrogen_jax.evaluation.rollout import PolicyError
from nitrogen_jax.serving.client import Client
from nitrogen_jax.weights import checkpoint
from nitrogen_jax.weights.checkpoint import Checkpoint
from nitrogen_jax.weights.policies import load_policy


def frame(number):
    return np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def policy():
    return load_policy("random:test")


@pytest.fixture(scope="module")
def server():
    with served.serving("random:test", batch=3) as one:
        yield one


def played(address, seed, chunks):
    with Client(address, seed=seed, timeout=60) as client:
        return [client.act(frame(seed * 100 + step), step) for step in range(chunks)]


def test_who_else_asks_does_not_change_a_bit(server):
    alone = [played(server.address, seed, 4) for seed in range(3)]
    together = [None] * 3

    def ask(seed):
        together[seed] = played(server.address, seed, 4)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(together, alone)
    assert not np.array_equal(alone[0], alone[1])


def test_what_is_told(server):
    assert server.facts.image_size == 32
    assert server.about["euler_steps"] >= 1
    assert server.address.startswith("tcp://127.0.0.1:")


def test_the_identity_is_that_of_the_parameters(server, policy):
    assert served.fingerprint(policy) == server.identity
    changed = jax.tree.map(np.copy, dict(policy.params))
    leaf = jax.tree.leaves(changed)[0]
    leaf.flat[0] += 1
    assert served.fingerprint(Checkpoint(changed, policy.meta)) != server.identity


def test_a_checkpoint_whose_actions_are_no_numbers(policy, tmp_path):
    path = tmp_path / "broken.safetensors"
    broken = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), dict(policy.params))
    checkpoint.save(Checkpoint(broken, policy.meta), path)
    with opened(str(path), batch=1) as who:
        assert who.policy["kind"] == "checkpoint"
        source = Source(address=who.source.address, patience=60.0)
        with contextlib.closing(Remote(source)) as remote:
            remote.begin(None, {}, seed=1)
            with pytest.raises(PolicyError, match="not finite"):
                remote.step(frame(0), {})


def test_the_server_ends_with_the_block():
    before = threading.active_count()
    with served.serving("random:test", batch=3):
        assert threading.active_count() > before
    assert threading.active_count() == before
