"""Records as the data of a run: what fits the policy, what is held out, and what is refused."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("grain")
pytest.importorskip("pyarrow")

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
import record_sets

from nitrogen_jax.cli import main
from nitrogen_jax.data import records
from nitrogen_jax.data.control import Steps
from nitrogen_jax.data.loader import Dataset
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData


def task(**changes):
    policy = dataclasses.replace(
        policy_preset("test"),
        **{"horizon": record_sets.HORIZON, "games": 8, "context_length": 5, **changes},
    )
    return PolicyTask(policy=policy)


def write_both(folder):
    """Records with a training split and one that is held out."""
    shards = {}
    for split, part in (("train", slice(0, 4)), ("val", slice(4, 6))):
        record_sets.write_set(folder, record_sets.RECORDINGS[part], split=split)
        shards[split] = records.shards(folder, split)
    records.write_metadata(folder, shards, "For tests.")
    return folder


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return write_both(tmp_path_factory.mktemp("both") / "records")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Records of which nothing is held out, all at 30 frames per second."""
    return record_sets.write_set(
        tmp_path_factory.mktemp("alone") / "my records", record_sets.RECORDINGS[:4]
    )


def test_the_task_learns_what_the_data_knows(both, caplog):
    fitted = RecordsData(str(both)).fit(task())
    assert fitted.games == ("alpha", "beta")
    assert fitted.control_rate == 30.0
    assert RecordsData(str(both)).fit(fitted) == fitted  # and may be asked again
    assert caplog.records == []


def test_training_and_validation_see_their_own(both):
    data = RecordsData(str(both))
    fitted = data.fit(task())

    def videos(source, count):
        with source:
            batches = [next(source) for _ in range(count)]
            told = [source.provenance(one, at) for one in batches for at in range(4)]
        assert all(set(fitted.batch_spec(4)) <= set(one) for one in batches)
        return {one["video_id"] for one in told}

    assert videos(data.open(fitted, 4, seed=0), 12) == {"v0", "v1"}
    assert videos(data.open_once(fitted, 4, held_out=True), 4) <= {"v2", "v3"}
    assert videos(data.open_once(fitted, 4, held_out=False), 12) == {"v0", "v1"}


def test_one_pass_over_what_is_held_out(both):
    fitted = RecordsData(str(both)).fit(task())
    with RecordsData(str(both)).open_once(fitted, 8, held_out=True) as source:
        valid = np.concatenate([one["valid"] for one in source])
        assert valid.sum() == source.samples
        assert len(valid) - source.samples < 8


def test_a_stream_goes_on_where_it_was(both):
    data = RecordsData(str(both))
    fitted = data.fit(task())
    with data.open(fitted, 4, seed=3) as source:
        batches = [next(source) for _ in range(5)]
        state = source.state()
        wanted = next(source)
    assert state["position"] == 20
    with dataclasses.replace(data, workers=1).open(fitted, 4, seed=3, state=state) as source:
        found = next(source)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    assert not np.array_equal(batches[0]["actions"], wanted["actions"])
    with pytest.raises(NitrogenError, match="saved position belongs to other data"):
        data.open(fitted, 4, seed=4, state=state)


def test_records_of_which_nothing_is_held_out(alone, caplog):
    """Training goes on without, having said so once."""
    data = RecordsData(str(alone))
    fitted = data.fit(task())
    assert data.open_once(fitted, 4, held_out=True) is None
    assert data.open_once(fitted, 4, held_out=True) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"{alone} has no samples in split val: nothing is held out, and there is no validation"
    ]


def test_validation_that_is_not_wanted_needs_no_words(alone, caplog):
    data = RecordsData(str(alone), validation=None)
    assert data.open_once(data.fit(task()), 4, held_out=True) is None
    assert caplog.records == []


def test_a_split_by_name_has_to_be_there(alone):
    with pytest.raises(NitrogenError, match=r"have no split 'test': they have train$"):
        RecordsData(str(alone), validation="test").fit(task())


def test_an_index_that_only_training_has(both, tmp_path, capsys):
    folder = shutil.copytree(both, tmp_path / "records")
    assert main(["data", "index", str(folder), "--name", "x", "--horizon=6", "--split=train"]) == 0
    capsys.readouterr()
    with pytest.raises(NitrogenError, match=r"index .*x-val.arrow does not exist: nitrogen data"):
        RecordsData(str(folder), index="x").fit(task())


@pytest.mark.parametrize(
    ("changes", "rate", "told"),
    [
        ({"horizon": 4}, None, "horizon 6 where 4 is needed"),
        ({"action_shift": 3}, None, "shift 1 where 3 is needed"),
        ({}, 15.0, "rate of the recording where 15 is needed"),
        ({"horizon": 5, "action_shift": 2}, 20.0, "horizon 6 where 5 is needed, shift 1 where 2"),
    ],
)
def test_the_command_that_mends_an_index(alone, tmp_path, capsys, changes, rate, told):
    """What the error says to do is what helps."""
    folder = shutil.copytree(alone, tmp_path / "my records")
    wanted = dataclasses.replace(task(**changes), control_rate=rate)
    data = RecordsData(str(folder), validation=None)
    with pytest.raises(NitrogenError) as caught:
        data.fit(wanted)
    assert f"has actions of {told}" in str(caught.value)
    command = re.search(r"nitrogen (data index .*) makes one that fits", str(caught.value))[1]
    assert "--min-active 0.0" in command  # the filters stay
    assert main([word.replace("NAME", "mended") for word in shlex.split(command)]) == 0
    capsys.readouterr()
    fitted = dataclasses.replace(data, index="mended").fit(wanted)
    assert fitted.control_rate == (rate or 30.0)
    with dataclasses.replace(data, index="mended").open(fitted, 4, seed=0) as source:
        spec = fitted.batch_spec(4)["actions"]
        assert next(source)["actions"].shape == spec.shape


def test_what_is_held_out_has_to_fit_as_well(alone, tmp_path):
    other = record_sets.write_set(
        tmp_path / "other", record_sets.RECORDINGS[4:5], split="val", steps=Steps(horizon=9)
    )
    data = RecordsData(str(alone), held_out=(Dataset(str(other), "val"),))
    with pytest.raises(NitrogenError, match=r"\(val\) has actions of horizon 9 where 6 is needed"):
        data.fit(task())


def test_a_rate_that_the_recordings_have_anyway(alone):
    wanted = dataclasses.replace(task(), control_rate=30.0)
    assert RecordsData(str(alone)).fit(wanted) == dataclasses.replace(
        wanted, games=("alpha", "beta")
    )


def test_recordings_of_several_rates(tmp_path, caplog):
    folder = record_sets.write_set(tmp_path / "set", record_sets.RECORDINGS[3:5])
    assert RecordsData(str(folder), validation=None).fit(task()).control_rate is None
    assert "30 to 60 frames per second" in caplog.text


@pytest.mark.parametrize("held_out", [False, True])
def test_pictures_of_another_size(alone, tmp_path, held_out):
    large = record_sets.write_set(tmp_path / "large", record_sets.RECORDINGS[:2], size=64)
    data = RecordsData(str(large), validation=None)
    if held_out:
        data = RecordsData(str(alone), held_out=(Dataset(str(large)),))
    with pytest.raises(NitrogenError) as caught:
        data.fit(task())
    assert str(caught.value).endswith("large are 64 pixels high, where size is 32")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (RecordsData(), "no records are given: add --data.records=FOLDER"),
        (RecordsData("x", datasets=(Dataset("y"),)), "records and datasets are both given"),
        (RecordsData("/nowhere/at/all"), "/nowhere/at/all is not a folder of records"),
    ],
)
def test_no_records(data, told):
    with pytest.raises(NitrogenError, match=told):
        data.fit(task())


def test_more_games_than_the_policy_has_rows_for(both):
    with pytest.raises(NitrogenError, match="2 games and row 0 for none need 3"):
        RecordsData(str(both)).fit(task(games=2))
    assert RecordsData(str(both)).fit(task(games=None)).games is None
