"""Weak scaling on paper, against programs that were compiled for both numbers of chips."""

from __future__ import annotations

from pathlib import Path

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan import chips, scaling
from nitrogen_jax.plan.worker import Request, ask

CONFIG = str(Path(__file__).with_name("small_task.py"))
CHIP = chips.GPUS["h100"]


@pytest.fixture(scope="module")
def plans():
    """8 chips as 4 x 2 and 4 as 2 x 2, 16 samples each."""
    return [
        ask(Request(CONFIG, f"gpu:h100:{n}", mesh=f"{n // 2},2", batch=16 * n, remat=False))
        for n in (8, 4)
    ]


def test_as_the_compiler_has_it(plans):
    large, small = plans
    found = scaling.scaled(large, CHIP, 4)
    assert (found.mesh, found.batch) == (small["mesh"], small["batch"])
    compiled = small["estimate"]
    assert found.estimate.link == pytest.approx(compiled["link"], rel=1e-3)
    assert found.estimate.compute == pytest.approx(compiled["compute"], rel=0.01)
    assert scaling.scaled(large, CHIP, 8).estimate.link == pytest.approx(large["estimate"]["link"])


def test_beyond_a_host_the_network_counts(plans):
    found = scaling.scaled(plans[0], CHIP, 64).estimate
    inside = scaling.scaled(plans[0], CHIP, 8).estimate
    assert inside.network == 0
    assert found.network > 0
    assert found.link < inside.link


def test_rows_compare_with_the_first(plans):
    rows = list(scaling.rows(plans[0], CHIP, [4, 8, 64]))
    assert all(len(row) == len(scaling.COLUMNS) for row in rows)
    assert rows[0][-1] == "100 %"
    assert [row[0] for row in rows] == ["4", "8", "64"]


def test_chips_that_fsdp_does_not_divide(plans):
    with pytest.raises(NitrogenError, match=r"7 chips .* 2"):
        scaling.scaled(plans[0], CHIP, 7)
