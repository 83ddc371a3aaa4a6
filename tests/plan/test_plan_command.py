"""`nitrogen plan` as a user runs it, on a small task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nitrogen_jax import cli

CONFIG = str(Path(__file__).with_name("small_task.py"))
KERNELS = 4 * 256 * 256 * 4  # bytes of all parameters


def plan(capsys, *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["plan", "--config", CONFIG, *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_plan_for_eight_gpus(capsys, tmp_path):
    kept = tmp_path / "step.txt"
    code, out, _ = plan(capsys, "--on", "gpu:h100:8", "--mesh", "2,4", "--json", "--hlo", str(kept))
    found = json.loads(out)
    assert code == 0
    assert kept.read_text().startswith("HloModule")
    assert found["mesh"] == {"data": 2, "fsdp": 4}
    assert (found["accumulate"], found["remat"], found["fits"]) == (1, False, True)
    state = found["state"]
    assert state["params"] == state["ema"] == KERNELS / 4
    assert 2 * KERNELS / 4 <= state["opt"] < 2 * KERNELS / 4 + 1000
    assert found["gathered"] == []
    kinds = {(row["kind"], row["axis"]) for row in found["collectives"]}
    assert ("all-gather", "fsdp") in kinds
    assert any(kind == "all-reduce" and "data" in axis for kind, axis in kinds)
    by_hand = 64 * 3 * 4 * 2 * 256 * 256 / 8
    assert found["flops"]["by_hand"] == by_hand
    assert found["flops"]["compiler"] < by_hand < found["flops"]["looped"] * 1.5
    terms = found["estimate"]
    assert terms["seconds"] == max(terms[name] for name in ("compute", "memory", "link", "network"))
    assert found["samples_per_s"] == pytest.approx(64 / terms["seconds"])
    assert any("CPU compiler" in note for note in found["notes"])


def test_a_sweep_prints_a_table_and_the_best(capsys):
    arguments = ("--on", "gpu:a100:4", "--sweep", "--fsdp", "1,4", "--no-remat")
    code, out, _ = plan(capsys, *arguments, "--scale", "4,16", "--json")
    found = json.loads(out)
    assert code == 0
    assert [one["mesh"]["fsdp"] for one in found["plans"]] == [1, 4]
    rates = [one["samples_per_s"] for one in found["plans"]]
    assert found["best"] == found["plans"][rates.index(max(rates))]
    assert [row["chips"] for row in found["scale"]] == ["4", "16"]


def test_several_machines_in_one_table(capsys):
    code, out, _ = plan(capsys, "--on", "gpu:l40s:2,gpu:h200:1", "--markdown", "--no-remat")
    assert code == 0
    rows = [[cell.strip() for cell in line.split("|")] for line in out.splitlines()]
    assert [row[1] for row in rows[2:]] == ["gpu:l40s:2", "gpu:h200:1"]
    assert [row[2] for row in rows[2:]] == ["2 x 1", "1 x 1"]


def test_what_does_not_fit_is_told_by_the_exit_code(capsys):
    """The smallest GPU and a batch that no splitting makes small enough."""
    code, out, _ = plan(
        capsys, "--on", "gpu:rtx4090:1", "--batch=33554432", "--accumulate", "1", "--no-remat"
    )
    assert code == 1
    assert "DOES NOT FIT" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--on", "gpu:h100:8", "--mesh", "3,4"], ["12 devices", "has 8"]),
        (["--on", "gpu:h10:8"], ["'h10'", "'h100'"]),
        (["--on", "tpu:v5e:4"], ["tpu:v5e:16x16"]),
        (["--on", "gpu:h100:8", "--accumulate", "none"], ["--accumulate", "'none'"]),
        (["--on", "gpu:h100:8", "--batch", "8,16"], ["--sweep"]),
        (["--on", "gpu:h100:8", "--fsdp", "4"], ["--sweep"]),
        (["--on", "gpu:h100:8,gpu:h100:1", "--hlo", "x"], ["--hlo", "2 programs"]),
        (["--on", "gpu:h100:8", "--hlo", "no/such/folder/x"], ["no/such/folder"]),
        (["--on", "cpu", "--scale", "8,16"], ["--scale"]),
        (["--on", "gpu:h100:8", "--sweep", "--fsdp", "3"], ["--fsdp 3", "8 devices"]),
        (["--on", "gpu:h100:1", "--sampler", "1", "--mesh", "1,1"], ["--sampler"]),
    ],
)
def test_bad_input_is_told_at_once(capsys, arguments, words):
    code, _, err = plan(capsys, *arguments)
    assert code == 2
    assert all(word in err for word in words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--on", "gpu:h100:7"], ["batch 64", "7 devices"]),
        (["--on", "gpu:h100:8", "--accumulate", "3"], ["64", "3"]),
        (["--on", "gpu:h100:1", "--task.rematt=True"], ["'rematt'", "'remat'"]),
    ],
)
def test_bad_input_that_the_config_shows(capsys, arguments, words):
    code, _, err = plan(capsys, *arguments)
    assert code == 2
    assert all(word in err for word in words)
