"""Which plans a sweep makes, and which one is the best."""

from __future__ import annotations

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan import report, sweep
from nitrogen_jax.plan.worker import Request

BASE = Request("configs/x.py", "tpu:v5e:4x4")


def test_meshes_of_powers_of_two():
    assert sweep.meshes(16) == ["16,1", "8,2", "4,4", "2,8", "1,16"]
    assert sweep.meshes(6) == ["6,1", "3,2"]
    assert sweep.meshes(256, most=4) == ["256,1", "128,2", "64,4"]


def test_every_combination_once():
    found = list(sweep.requests(BASE, 4, accumulates=[1, 2]))
    assert len(found) == len(set(found)) == 3 * 2 * 2
    assert {one.mesh for one in found} == {"4,1", "2,2", "1,4"}
    assert all(one.on == BASE.on for one in found)


def test_what_is_given_is_not_varied():
    base = Request("c.py", "gpu:h100:8", mesh="1,8", remat=True, accumulate=4, batch=64)
    assert list(sweep.requests(base, 8)) == [base]


def plan(rate, fits=True, peak=1.0):
    return {"samples_per_s": rate, "fits": fits, "memory": {"peak": peak}}


def test_the_best_fits_and_is_fastest():
    slow, fast, small, never = plan(5.0), plan(9.0), plan(9.0, peak=0.5), plan(99.0, fits=False)
    assert sweep.best([slow, fast, never, small]) is small
    assert sweep.best([never, plan(None)]) is None
    assert sweep.best([]) is None


@pytest.mark.parametrize("text", ["", "1,,2", "a", "0", "-1", "1.5"])
def test_lists_of_numbers(text):
    assert sweep.numbers("1, 4,16", "--x") == [1, 4, 16]
    with pytest.raises(NitrogenError, match="--x"):
        sweep.numbers(text, "--x")


def test_a_table_in_markdown():
    estimate = {"seconds": 0.25, "largest": "compute", "compute": 0.25, "memory": 0.1}
    made = {
        "target": "tpu:v5e:4x4",
        "mesh": {"data": 4, "fsdp": 4},
        "batch": 64,
        "accumulate": 2,
        "remat": True,
        "fits": True,
        "memory": {"peak": 8 * 2**30, "limit": 16 * 2**30},
        "flops": {"looped": 5e12},
        "collectives": [{"sent": 1.5e9}],
        "estimate": estimate,
        "mfu": 0.5,
        "samples_per_s": 256.0,
    }
    missing = {**made, "fits": False, "estimate": None, "memory": {"peak": None, "limit": 2**34}}
    head, rule, row, other = report.markdown([made, missing]).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|") == other.count("|")
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:7] == ["tpu:v5e:4x4", "4 x 4", "64", "2", "yes", "yes", "8.0 of 16.0"]
    assert cells[7:] == ["5", "1500", "250", "compute", "50 %", "256"]
    assert "? of 16.0" in other
