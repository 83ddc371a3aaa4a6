"""A state as what is saved of it, and back."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from nitrogen_jax.training import build, saved
from nitrogen_jax.training.begin import begin
from nitrogen_jax.training.lora import Lora, merge
from nitrogen_jax.training.trees import combine, flatten

sys.path.insert(0, str(Path(__file__).parent))
from toys import ToyData, toy_config

LORA = Lora(rank=2, targets=("(middle|last)/kernel",), also=("first/bias",))
KINDS = {
    "plain": {},
    "frozen": {"freeze": (("first/.*", False), (".*", True))},
    "adapted": {"lora": LORA},
}


@pytest.fixture(scope="module", params=list(KINDS))
def trained(request):
    """A build and its state behind two steps, in which the average has left the parameters."""
    config = toy_config(**KINDS[request.param])
    built = build.build(config, build.make_mesh(config, jax.devices()[:1]))
    state = begin(built)[0]
    for number in range(2):
        batch = ToyData().at(number, config.batch, 0)
        state, _ = built.step(state, batch, jnp.zeros(1, jnp.int32))
    return request.param, built, state


def test_a_state_comes_back_to_the_last_bit(trained):
    _, built, state = trained
    found = saved.state_of(built, jax.device_get(saved.items(built, state)))
    assert jax.tree.structure(found) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, found, jax.device_get(state))
    assert int(found.step) == 2


def test_what_is_to_come_is_known_before(trained):
    _, built, state = trained
    items, like = saved.items(built, state), saved.like(built)
    assert jax.tree.structure(items) == jax.tree.structure(like)
    for one, other in zip(jax.tree.leaves(items), jax.tree.leaves(like), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert one.sharding.is_equivalent_to(other.sharding, one.ndim)
    # What is restored in this way can be trained on.
    again = saved.state_of(built, like)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(built.state), strict=True):
        assert (one.shape, one.dtype, one.sharding) == (other.shape, other.dtype, other.sharding)


def test_inference_gets_the_average_under_the_names_of_the_network(trained):
    kind, built, state = trained
    params = jax.device_get(saved.items(built, state)["params"])
    plain = jax.eval_shape(built.config.task.init, jax.random.key(0))
    assert flatten(params).keys() == flatten(plain).keys()
    average = combine(state.ema, state.frozen)
    wanted = merge(LORA, average) if kind == "adapted" else average
    for path, leaf in flatten(wanted).items():
        np.testing.assert_allclose(flatten(params)[path], leaf, atol=1e-7, err_msg=path)
    middle = jax.device_get(combine(state.params, state.frozen))["middle"]["kernel"]
    assert (params["middle"]["kernel"] != middle).any()


def test_nothing_is_saved_twice_that_need_not_be(trained):
    kind, built, state = trained
    items = saved.items(built, state)
    both = {"ema", "frozen"} & items["state"].keys()
    assert both == ({"ema", "frozen"} if kind == "adapted" else set())


def test_a_second_save_compiles_nothing(trained):
    _, built, state = trained
    saved.items(built, state)
    compiled = []

    def listen(name: str, *_: object, **__: object) -> None:
        compiled.extend([name] if "backend_compile" in name else [])

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        saved.items(built, state)
        assert compiled == []
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
