"""The released sizes, with random weights: speed beside other ways, and conversion of 2 GB.

    pytest -m long -s tests/long/test_full_size.py

Ratios are within one run; the machine should be idle. Takes about 5 minutes and 6 GB of disk.
"""

from __future__ import annotations

import json
import os

import pytest

from nitrogen_jax.cli import main

pytestmark = pytest.mark.long


@pytest.mark.needs("torch")
def test_faster_than_the_alternatives(tmp_path, capsys):
    out = tmp_path / "bench.json"
    options = ["--naive", "--torch", "--parts", "--out", str(out)]
    options += ["--runs", os.environ.get("NITROGEN_BENCH_RUNS", "5")]
    assert main(["bench", "sample", *options]) == 0
    with capsys.disabled():
        print("\n" + capsys.readouterr().out)  # noqa: T201
    speedup = {row["other"]: row["speedup"] for row in json.loads(out.read_text())["ratios"]}
    assert speedup["naive"] > 2.5
    assert speedup["pytorch"] > 3


@pytest.mark.needs("torch")
def test_two_gigabytes_there_and_back(tmp_path, capsys):
    import torch

    names = ["start.pt", "orbax", "end.pt"]
    for source, destination in zip(["random:nitrogen", *names], names, strict=False):
        source = source if ":" in source else str(tmp_path / source)
        assert main(["convert", source, str(tmp_path / destination), "--json"]) == 0
        found = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (found["tensors"], found["parameters"]) == (595, 493_631_513)
    start, end = (
        torch.load(tmp_path / name, weights_only=True, mmap=True)["model"] for name in names[::2]
    )
    assert start.keys() == end.keys()
    assert all(torch.equal(start[name], end[name]) for name in start)
