"""The folder of a run: what is refused, what is written, what a resume finds."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toys import ToyData, ToyTask, toy_config

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import run_folder
from nitrogen_jax.training.train_config import Optimizer


def test_a_new_folder_is_made_and_an_empty_one_taken(tmp_path):
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        run_folder.open_folder(folder, False, True)
        assert list(folder.iterdir()) == []


def test_a_folder_with_anything_in_it_needs_resume(tmp_path):
    (tmp_path / ".hidden").touch()
    with pytest.raises(NitrogenError, match="exists already: --resume takes it up"):
        run_folder.open_folder(tmp_path, False, True)
    run_folder.open_folder(tmp_path, True, True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_is_no_folder(tmp_path, resume):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(NitrogenError, match=r"is a file, where a folder for the run is needed$"):
        run_folder.open_folder(path, resume, True)
    assert path.read_text() == "precious"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NitrogenError, match=r"cannot write to .*/file/run: Not a directory$"):
        run_folder.open_folder(tmp_path / "file" / "run", False, True)


def test_other_processes_make_nothing(tmp_path):
    run_folder.open_folder(tmp_path / "run", False, False)
    assert not (tmp_path / "run").exists()


def test_config_is_written_with_kinds(tmp_path):
    config = toy_config(optimizer=Optimizer(rate=0.5), data=ToyData(nan_at=(1, 2)))
    assert run_folder.write_config(tmp_path, config) == []
    found = json.loads((tmp_path / "config.json").read_text())
    assert found == run_folder.plain(config)
    assert found["task"]["kind"] == "ToyTask"
    assert found["data"] == {
        "kind": "ToyData",
        "nan_at": [1, 2],
        "invalid_at": [],
        "half_at": [],
        "held_out": 2,
        "seconds": 0.0,
    }
    assert found["optimizer"]["rate"] == 0.5
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_what_differs_is_told_by_path(tmp_path):
    config = toy_config()
    run_folder.write_config(tmp_path, config)
    assert run_folder.write_config(tmp_path, config) == []
    other = dataclasses.replace(
        config, task=ToyTask(width=8), optimizer=Optimizer(rate=1e-3), steps=7
    )
    assert run_folder.write_config(tmp_path, other) == [
        "task.width was 64 and is 8",
        "steps was 20 and is 7",
        "optimizer.rate was 0.0001 and is 0.001",
    ]
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 7


def test_a_broken_config_is_written_anew(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": ')
    [line] = run_folder.write_config(tmp_path, toy_config())
    assert line.endswith("config.json could not be read and was written anew")
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 20


def test_differences_of_other_shapes():
    old, new = {"a": 1, "gone": {"x": 2}, "b": [1, 2]}, {"a": 1, "b": [1, 3], "more": None, "c": 4}
    assert run_folder.differences(old, new) == [
        "gone was {'x': 2} and is None",
        "b was [1, 2] and is [1, 3]",
        "c was None and is 4",
    ]


RESULT = {"state": "finished", "step": 20, "seconds": 1.5, "metrics": {"loss": 0.5}}


@pytest.mark.parametrize(("steps", "left"), [(20, True), (7, True), (21, False)])
def test_a_result_of_fewer_steps_is_none(tmp_path, steps, left):
    path = tmp_path / run_folder.RESULT
    path.write_text(json.dumps(RESULT))
    found = run_folder.finished(tmp_path, steps, True)
    assert found == ({"step": 20, "metrics": {"loss": 0.5}} if left else None)
    assert path.exists() is left


@pytest.mark.parametrize("text", ["", "{", "[]", '{"step": 20}', '{"step": "x", "metrics": {}}'])
def test_a_broken_result_is_none(tmp_path, text):
    (tmp_path / run_folder.RESULT).write_text(text)
    assert run_folder.finished(tmp_path, 20, True) is None
    assert os.listdir(tmp_path) == []


def test_no_result(tmp_path):
    assert run_folder.finished(tmp_path, 20, True) is None
    assert run_folder.finished(tmp_path / "no folder", 20, True) is None
