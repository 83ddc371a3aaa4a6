"""Steps compiled by the TPU compiler on a machine without a TPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nitrogen_jax import cli
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan import aot, chips

SMALL = str(Path(__file__).with_name("small_task.py"))
FULL = str(Path(__file__).parents[2] / "configs" / "nitrogen_500m_pretrain.py")


def plan(capsys, *arguments: str) -> tuple[int, dict]:
    code = cli.main(["plan", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.needs("libtpu")
def test_a_small_step_on_a_pod(capsys):
    code, found = plan(
        capsys, "--config", SMALL, "--on", "tpu:v5e:16x16", "--mesh", "64,4", "--batch", "1024"
    )
    assert code == 0
    assert found["devices"] == 256
    assert found["memory"]["limit"] == 15.75 * chips.GIB
    assert found["state"]["params"] == 4 * 256 * 256 * 4 / 4
    assert found["gathered"] == []
    axes = {(row["kind"], row["axis"]) for row in found["collectives"]}
    assert any(axis == "fsdp" and kind != "all-reduce" for kind, axis in axes)
    assert any("data" in axis and kind in ("all-reduce", "reduce-scatter") for kind, axis in axes)
    flops = found["flops"]
    assert flops["by_hand"] == pytest.approx(flops["products"], rel=0.1)
    assert flops["compiler"] < flops["looped"]


@pytest.mark.needs("libtpu")
def test_a_step_that_the_tpu_compiler_refuses(capsys):
    code, found = plan(
        capsys, "--config", SMALL, "--on", "tpu:v5e:2x2", "--batch=16777216", "--accumulate=1",
        "--no-remat",
    )  # fmt: skip
    assert code == 1
    assert not found["fits"]
    peak = found["memory"]["peak"]
    assert peak is None or peak > found["memory"]["limit"]


@pytest.mark.needs("libtpu")
def test_an_impossible_topology(capsys):
    code = cli.main(["plan", "--config", SMALL, "--on", "tpu:v5e:3x5"])
    assert code == 2
    assert "v5e:3x5" in capsys.readouterr().err


@pytest.mark.needs("libtpu")
def test_a_sampler_on_one_chip(capsys):
    tiny = str(Path(FULL).parents[0] / "tiny.py")
    code, found = plan(
        capsys, "--config", tiny, "--on", "tpu:v5e:1x1", "--sampler", "2", "--steps=8"
    )
    assert code == 0
    assert (found["devices"], found["steps"], found["collectives"]) == (1, 8, [])
    assert found["flops"]["products"] == pytest.approx(found["flops"]["by_hand"], rel=0.05)
    assert found["unknown_loops"] == 0


@pytest.mark.needs("libtpu")
@pytest.mark.long
def test_the_full_size_step_on_a_pod(capsys):
    """500 M parameters, 4096 samples an update, 256 chips: fits, and is divided as it says."""
    code, found = plan(
        capsys, "--config", FULL, "--on", "tpu:v5e:16x16", "--mesh", "64,4", "--quick"
    )
    assert code == 0
    assert found["memory"]["peak"] < 15.75 * chips.GIB
    assert found["batch"] == 4096
    whole = 493_631_513 * 4
    state = found["state"]
    trained = state["params"] + state["frozen"]
    assert whole / 4 <= trained < 1.01 * whole / 4
    assert state["ema"] == state["params"]
    assert 2 * state["params"] <= state["opt"] < 2.01 * state["params"]
    assert found["gathered"] == []
    assert any(
        "data" in row["axis"] and row["kind"] in ("all-reduce", "reduce-scatter")
        for row in found["collectives"]
    )
    again = 4 / 3 if found["remat"] else 1
    assert found["flops"]["products"] == pytest.approx(again * found["flops"]["by_hand"], rel=0.15)


@pytest.mark.parametrize(
    ("message", "size"),
    [
        ("RESOURCE_EXHAUSTED: Ran out of memory in hbm. Used 17.50G of 15.75G hbm.", 17.5 * 2**30),
        (
            "RESOURCE_EXHAUSTED: the total memory required for HLO temporaries (600.00G) exceeds "
            "available HBM (15.75G).",
            600 * 2**30,
        ),
        ("RESOURCE_EXHAUSTED: something else", float("inf")),
        ("INVALID_ARGUMENT: no", None),
    ],
)
def test_what_a_refusal_says(message, size):
    assert aot.needed_bytes(message) == size


def test_an_unknown_topology_names_the_extra(monkeypatch):
    from jax.experimental import topologies

    def refuse(**_):
        raise RuntimeError("libtpu is not there\nmore")

    monkeypatch.setattr(topologies, "get_topology_desc", refuse)
    with pytest.raises(NitrogenError, match=r"'v5e:2x2'.*\[tpu\].*libtpu is not there"):
        aot.topology("v5e:2x2")
