"""`nitrogen data index`: filters from options, one split or all of them, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("tensorflow_datasets")
from nitrogen_jax import cli, gamepad
from nitrogen_jax.data import activity, records, window_index
from nitrogen_jax.data.control import Steps
from nitrogen_jax.data.window_index import Filters, IndexOptions

ROWS, RATE = 60, 30.0
SPLITS = {"train": (("a", "Ori", 60), ("b", "Celeste", 30)), "val": (("c", "Ori", 0),)}


@pytest.fixture
def folder(tmp_path):
    """Records of two splits; in each chunk a button is held from the first row to some other."""
    out, shards = tmp_path / "records", {}
    (out / activity.FOLDER).mkdir(parents=True)
    for split, chunks in SPLITS.items():
        data, tables = [], []
        for video, game, busy in chunks:
            actions = gamepad.neutral(ROWS)
            actions[:busy, 3] = 1
            common = {"video_id": video, "chunk_id": f"{video}_0", "game": game, "controller": "x"}
            common |= {"start_time": 0.0, "rate": RATE, "frame_stride": 4, "start_frame": 0}
            pictures = (b"picture",) * 15
            sure = np.ones(ROWS, np.float32)
            chunk = records.Chunk(**common, frames=pictures, actions=actions, confidence=sure)
            data.append(records.to_bytes(chunk))
            numbers = {"records": 1, "pictures": 15, "per_record": 15, "label_lag": 0, "rows": ROWS}
            tables.append(activity.Activity(**common, **numbers, **activity.summary(actions)))
        sizes = records.write_file(out / records.shard_name(split, 0), data)
        activity.write(activity.table_path(out, split, 0), tables)
        shards[split] = records.Shards((len(sizes),), sum(sizes))
    records.write_metadata(out, shards, "For tests.")
    return out


@pytest.fixture
def index(capsys):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["data", "index", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


def samples(folder, split="train", name="default"):
    return len(window_index.read_index(folder, split, name).samples)


def test_all_splits(index, folder):
    code, out, error = index(folder)
    assert (code, error) == (0, "")
    assert f"index default of {folder}" in out
    # Frame f is kept if rows f + 1 ... f + 18 exist and 9 of them are busy.
    kept = {"a": len(range(0, 42, 4)), "b": len(range(0, 21, 4))}
    assert samples(folder) == sum(kept.values())
    assert samples(folder, "val") == 0
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    assert ["train", "2", str(sum(kept.values())), "5", "8"] in lines
    assert ["val", "0", "0", "11", "4"] in lines
    for option in ("--min-active", "--horizon"):
        assert option not in out


def test_options_reach_the_index(index, folder):
    code, _, error = index(
        *(folder, "--name", "mine", "--horizon", 4, "--shift", 2, "--control-rate", 15),
        *("--min-active", 0.25, "--dead-zone", 0.2, "--min-confidence", 0.75),
        *("--game", "Ori", "--game", "Celeste"),
    )
    assert (code, error) == (0, "")
    for split in SPLITS:
        found = window_index.read_index(folder, split, "mine")
        filters = Filters(0.25, 0.2, 0.75, ("Ori", "Celeste"))
        assert found.options == IndexOptions(Steps(4, 2, 15.0), filters)


def test_options_by_default(index, folder):
    assert index(folder)[0] == 0
    assert window_index.read_index(folder).options == IndexOptions()


def test_one_split_and_json(index, folder):
    code, out, _ = index(folder, "--split", "train", "--json", "--game", "Celeste")
    assert code == 0
    data = json.loads(out)
    assert data.keys() == {"train"}
    assert (data["train"]["chunks"], data["train"]["samples"]) == (1, 6)
    assert data["train"]["left_out"] == {"game": 15, "too_near_the_end": 4, "idle": 5}
    names = [path.name for path in (folder / "index").iterdir()]
    assert names == ["default-train.arrow"]


def test_again_with_other_options(index, folder):
    index(folder)
    before = samples(folder)
    assert index(folder, "--min-active", 1)[0] == 0
    assert 0 < samples(folder) < before
    assert index(folder, "--name", "more", "--min-active", 0)[0] == 0
    assert samples(folder, name="more") > before > samples(folder)


def test_nothing_passes(index, folder):
    assert index(folder, "--split", "val")[0] == 1
    code, out, _ = index(folder, "--game", "Z", "--json")
    assert code == 1
    assert {split: about["samples"] for split, about in json.loads(out).items()} == {
        **{"train": 0, "val": 0}
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--split", "test"], "have no split 'test': they have train, val"),
        (["--split", ""], "have no split ''"),
        (["--name", "../x"], "index '../x': a name of letters"),
        (["--name", ""], "index '': a name of letters"),
        (["--horizon", 0], "horizon is 0"),
        (["--shift", -1], "shift -1"),
        (["--control-rate", 0], "the control rate is 0"),
        (["--control-rate", "nan"], "the control rate is nan"),
        (["--min-active", 1.5], "filter min_active is 1.5"),
        (["--dead-zone", -1], "filter dead_zone is -1"),
        (["--min-confidence", "nan"], "filter min_confidence is nan"),
    ],
)
def test_bad_options(index, folder, arguments, says):
    code, out, error = index(folder, *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("nitrogen data: ")
    assert says in error
    assert error.count("\n") == 1
    assert not (folder / "index").exists()


def test_no_records(index, tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        code, _, error = index(path)
        assert code == 2
        assert error == (
            f"nitrogen data: {path} is not a folder of records: dataset_info.json is not there\n"
        )


def test_records_without_activity(index, folder):
    activity.table_path(folder, "train", 0).unlink()
    code, _, error = index(folder)
    assert code == 2
    assert "train-00000.parquet does not exist: records that nitrogen data build makes" in error


@pytest.mark.parametrize("arguments", [["--horizon", "x"], ["--none"], ["more"], []])
def test_bad_usage(index, folder, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        index(*([folder, *arguments] if arguments else []))
    assert caught.value.code == 2
    assert "usage: nitrogen data index" in capsys.readouterr().err
