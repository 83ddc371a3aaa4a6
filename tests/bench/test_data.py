"""`nitrogen bench data`: every way is measured, and mixing counts what batches are made of."""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.cli import main

pytest.importorskip("grain")
from nitrogen_jax.bench import data
from nitrogen_jax.data.loader import Dataset, Loader, LoaderConfig, Shuffle

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
import record_sets


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("bench")
    record_sets.write_set(root / "jpeg")
    record_sets.write_set(root / "h264", codec="h264", per_record=40)
    return root


QUICK = ["--size", "32", "--batch", "16", "--window", "8", "--run", "4", "--turns", "1", "--json"]


def test_every_way_is_measured(folders, tmp_path, capsys):
    out = tmp_path / "out.json"
    command = ["bench", "data", str(folders / "h264"), *QUICK, "--out", str(out)]
    assert main([*command, "--seconds", "0.2", "--workers", "0,1,0"]) == 0
    printed = capsys.readouterr().out
    found = json.loads(printed)
    assert json.loads(out.read_text()) == found
    ways = ["cv2.imdecode, one core", "H.264 in order, one core"]
    ways += ["loader, 0 workers", "loader, 1 worker"]
    assert [rate["way"] for rate in found["rates"]] == ways
    for rate in found["rates"]:
        assert 0 < rate["slowest"] == rate["per_second"] == rate["fastest"]
    assert list(found["ratios"]) == ways[1:]
    for rate in found["rates"][1:]:
        ratio = rate["per_second"] / found["rates"][0]["per_second"]
        assert found["ratios"][rate["way"]] == pytest.approx(ratio)
    assert found["mixing"]["batches"] == 50
    assert found["mixing"]["videos"] == 5


def test_a_table_is_printed(folders, capsys):
    command = ["bench", "data", str(folders / "jpeg"), *QUICK[:-1]]
    assert main([*command, "--seconds", "0.01", "--workers", "0", "--turns", "3"]) == 0
    printed = capsys.readouterr().out
    assert "loader, 0 workers" in printed
    assert "H.264" not in printed
    assert "mixing: a batch of 16 is of" in printed
    assert "of 5 videos" in printed


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--workers", "two"], "--workers is 'two': numbers such as 0,1,2"),
        (["--workers", "0,-1"], "workers is -1"),
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--turns", "0"], "--turns at least 1"),
        (["--batch", "0"], "batch is 0"),
        (["--window", "0"], "window is 0"),
        (["--size", "64"], "are 32 pixels high, where size is 64"),
        (["--index", "none"], "does not exist: nitrogen data index"),
        (["--out", "/nowhere/at/all.json"], "the folder /nowhere/at does not exist"),
    ],
)
def test_options_that_make_no_sense(folders, capsys, options, problem):
    command = ["bench", "data", str(folders / "jpeg"), "--seconds", "0.01", *QUICK]
    assert main([*command, "--workers", "0", *options]) == 2
    told = capsys.readouterr()
    assert problem in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize("shuffle", [Shuffle(0, 8, 4), Shuffle(1, 2, 32), Shuffle(2, 64, 1)])
def test_mixing_counts_what_batches_are_made_of(folders, shuffle):
    config = LoaderConfig((Dataset(str(folders / "jpeg")),), 12, size=32, shuffle=shuffle)
    found = data.mixing(config, 30)
    with Loader(config) as loader:
        batches = list(islice(loader, 30))
        chunks = [len(set(batch["chunk"].tolist())) for batch in batches]
        videos = [
            Counter(loader.provenance(batch, at)["video_id"] for at in range(12))
            for batch in batches
        ]
    shares = [max(one.values()) / 12 for one in videos]
    assert found.chunks == pytest.approx(np.mean(chunks))
    assert found.mean_video == pytest.approx(np.mean(shares))
    assert found.largest_video == max(shares)
    assert (found.batches, found.batch, found.videos) == (30, 12, 5)

    # Independent draws, made here one sample at a time.
    pool = [
        one.video
        for one in record_sets.RECORDINGS
        for _ in one.samples(record_sets.Steps(horizon=record_sets.HORIZON))
    ]
    random = np.random.default_rng(1)
    drawn = [Counter(random.choice(pool, 12).tolist()) for _ in range(400)]
    assert found.ideal == pytest.approx(
        np.mean([max(one.values()) / 12 for one in drawn]), abs=0.03
    )
