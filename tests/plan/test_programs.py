"""Text of XLA itself: programs compiled for 8 stand-in devices, whose collectives are known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nitrogen_jax.plan import collectives, counts, hlo

MESH = {"data": 2, "fsdp": 4}
ROWS, WIDTH, DEPTH = 16, 64, 6


@pytest.fixture(scope="module")
def programs() -> dict[str, dict]:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("programs.py"))],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
            "PYTHONPATH": str(root),
        },
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "kind", "axis", "payload"),
    [
        ("gather", "all-gather", "fsdp", 4 * ROWS // 2 * WIDTH),
        ("reduce", "all-reduce", "data", 4 * 4 * WIDTH),
        ("scatter", "reduce-scatter", "fsdp", 4 * 8 * WIDTH),
        ("exchange", "all-to-all", "fsdp", 4 * 2 * WIDTH),
        ("shift", "collective-permute", "fsdp", 4 * 2 * WIDTH),
    ],
)
def test_each_kind(programs, name, kind, axis, payload):
    module = hlo.parse(programs[name]["text"])
    assert module.devices == 8
    (row,) = collectives.summary(collectives.find(module), MESH)
    assert (row.kind, row.axis, row.count, row.payload) == (kind, axis, 1, payload)


def test_a_loop_over_divided_weights(programs):
    """Weights are gathered over fsdp in every block, the gradient is reduced over data."""
    module = hlo.parse(programs["scan"]["text"])
    assert module.unknown_loops() == []
    found = collectives.find(module)
    rows = {(row.kind, row.axis): row for row in collectives.summary(found, MESH)}
    assert any("data" in axis and kind == "all-reduce" for kind, axis in rows)
    moved = sum(row.count for (kind, axis), row in rows.items() if "fsdp" in axis)
    assert moved >= DEPTH


def test_products_as_the_compiler_counts_them(programs):
    """Unrolled, one device: the products are nearly all of the compiler's FLOPs."""
    module = hlo.parse(programs["unrolled"]["text"])
    by_hand = (3 * DEPTH - 1) * 2 * ROWS * WIDTH * WIDTH
    assert counts.count(module).flops == by_hand
    assert by_hand <= programs["unrolled"]["flops"] < 1.1 * by_hand


def test_a_loop_multiplied_out_is_the_unrolled_program(programs):
    """8 devices share what one does unrolled; the compiler alone counts a block of a loop once."""
    module, text = hlo.parse(programs["scan"]["text"]), programs["unrolled"]["text"]
    whole = counts.count(hlo.parse(text)).flops
    looped = counts.scaled(module, {"flops": programs["scan"]["flops"]})["flops"]
    assert programs["scan"]["flops"] < 0.5 * looped
    assert whole / 8 <= counts.count(module).flops <= 1.5 * whole / 8
