"""The order in which splits of a batch are tried, and what it rests on."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path

import jax
import pytest

from nitrogen_jax.plan import choose
from nitrogen_jax.plan.choose import Choice, Kept
from nitrogen_jax.training import build
from nitrogen_jax.training.train_config import MeshShape

small = runpy.run_path(str(Path(__file__).with_name("small_task.py")))
WIDTH, DEPTH = small["WIDTH"], small["DEPTH"]


@pytest.fixture(scope="module")
def built():
    config = dataclasses.replace(small["config"](), mesh=MeshShape(1, 1))
    return build.build(config, build.make_mesh(config, jax.devices()[:1]))


def test_what_autodiff_keeps():
    """A block that is computed again keeps its input alone, otherwise its inside as well."""
    plain, again = (choose.kept(small["SmallTask"](remat=remat)) for remat in (False, True))
    activation = 4 * WIDTH
    assert again.sample >= DEPTH * activation
    assert plain.sample >= again.sample + DEPTH * activation
    kernels = DEPTH * WIDTH * WIDTH * 4
    assert kernels <= again.fixed <= 2 * kernels


def test_state_by_part(built):
    kernels = 4 * DEPTH * WIDTH * WIDTH
    parts = choose.state_bytes(built.state)
    assert parts["params"] == parts["ema"] == kernels
    assert parts["frozen"] == 0
    assert 2 * kernels <= parts["opt"] < 2.01 * kernels


def order(built, limit: float, **fixed) -> list[Choice]:
    return list(choose.order(built.config, built.mesh, built.state, limit, **fixed))


def test_room_enough(built):
    assert order(built, 1e12)[0] == Choice(1, False)


def test_less_room_splits_and_then_computes_again(built):
    """What just holds a micro-batch of 64, 32, 8 samples, and what does not hold one."""
    plain, parts = choose.kept(built.config.task), choose.state_bytes(built.state)

    def room(samples: int) -> float:
        total = choose.guess(sum(parts.values()), parts["params"], plain, plain, samples)
        return (total + 1) / choose.ROOM

    firsts = [order(built, room(samples))[0] for samples in (64, 32, 8)]
    assert firsts == [Choice(1, False), Choice(2, False), Choice(8, False)]
    assert order(built, room(7))[0].remat
    assert order(built, 0.0) == [Choice(64, True)]


def test_small_micro_batches_are_not_tried_before_recomputation(built):
    found = order(built, 1e12)
    assert all(64 // choice.accumulate >= choose.FEW for choice in found if not choice.remat)
    counts = [choice.accumulate for choice in found if choice.remat]
    assert counts == sorted(counts)


def test_what_is_fixed_stays(built):
    assert order(built, 1.0, accumulate=4, remat=True) == [Choice(4, True)]
    assert {choice.accumulate for choice in order(built, 1e12, accumulate=4)} == {4}
    assert {choice.remat for choice in order(built, 1e12, remat=True)} == {True}


def test_the_guess_adds_up():
    plain, again = Kept(100.0, 50.0), Kept(80.0, 10.0)
    assert choose.guess(1000, 10, plain, plain, 4) == 1000 + 20 + 100 + 200
    assert choose.guess(1000, 10, plain, again, 4) == 1000 + 20 + 80 + 4 * (10 + 3.0)


def test_a_choice_changes_config_and_task(built):
    chosen = choose.with_choice(built.config, Choice(8, True))
    assert (chosen.accumulate, chosen.task.remat) == (8, True)
    assert chosen.batch == built.config.batch
