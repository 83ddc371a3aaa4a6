"""`nitrogen bench serve` runs, and counts what clients got."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("jax")

from nitrogen_jax import cli

QUICK = ["--policy", "random:test", "--steps", "1", "--seconds", "0.3", "--rounds", "1"]


def test_both_ways_are_measured(tmp_path, capsys):
    out = tmp_path / "bench.json"
    arguments = [*QUICK, "--clients", "4", "--max-batch", "4", "--out", str(out), "--json"]
    assert cli.main(["bench", "serve", *arguments]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == json.loads(out.read_text())
    alone, batched = data["results"]
    assert (alone["batch"], batched["batch"]) == (1, 4)
    assert alone["mean_batch"] == 1
    assert 1 < batched["mean_batch"] <= 4
    assert data["ratio"] == pytest.approx(batched["chunks_s"] / alone["chunks_s"])
    for one in (alone, batched):
        assert 0 < one["p50_ms"] <= one["p99_ms"]
        # Four clients that ask without pause: as many chunks as fit into their waiting.
        assert one["chunks_s"] == pytest.approx(4 * 1e3 / one["p50_ms"], rel=0.6)


@pytest.mark.parametrize("option", ["--clients", "--max-batch", "--seconds", "--rounds"])
def test_bad_usage_is_one_sentence(capsys, option):
    assert cli.main(["bench", "serve", *QUICK, option, "0"]) == 2
    assert "where more than 0 is needed" in capsys.readouterr().err
