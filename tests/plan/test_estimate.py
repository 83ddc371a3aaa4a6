"""Step times from data sheets: each term by hand."""

from __future__ import annotations

import pytest

from nitrogen_jax.plan.chips import GPUS, TPUS, Chip
from nitrogen_jax.plan.collectives import Collective
from nitrogen_jax.plan.estimate import estimate, mfu
from nitrogen_jax.plan.hlo import Array

CHIP = Chip("toy", flops=100.0, memory=1.0, bandwidth=10.0, link=4.0, network=2.0, per_host=4)


def reduction(size: int, *groups: tuple[int, ...], times: int = 1) -> Collective:
    return Collective("all-reduce", (Array("s8", (size,)),), len(groups[0]), groups, times)


def test_every_term():
    near, far = reduction(8, (0, 1, 2, 3), times=3), reduction(16, (0, 4))
    found = estimate(CHIP, 500.0, 20.0, [near, far])
    assert found.terms == {
        "compute": 5.0,
        "memory": 2.0,
        "link": 3 * 2 * 8 * 3 / 4 / 4.0,
        "network": 16 / 2.0,
    }
    assert (found.largest, found.seconds) == ("link", 9.0)


@pytest.mark.parametrize(
    ("flops", "traffic", "size", "largest"),
    [(1e4, 1.0, 1, "compute"), (1.0, 1e4, 1, "memory"), (1.0, 1.0, 10_000, "link")],
)
def test_the_largest_is_named(flops, traffic, size, largest):
    assert estimate(CHIP, flops, traffic, [reduction(size, (0, 1))]).largest == largest


def test_a_tpu_slice_has_no_network():
    one = reduction(1 << 30, tuple(range(256)))
    found = estimate(TPUS["v5e"], 0.0, 0.0, [one])
    assert found.network == 0
    assert found.link == pytest.approx(2 * (1 << 30) * 255 / 256 / 90e9)
    assert estimate(GPUS["h100"], 0.0, 0.0, [one]).link == 0


def test_mfu_does_not_count_what_is_computed_twice():
    assert mfu(600.0, 2.0, CHIP, 4) == 600 / (2 * 4 * 100)
