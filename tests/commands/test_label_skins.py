"""`nitrogen label skins`: what it prints and draws, and its exit codes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cv2
import pytest

from nitrogen_jax import cli
from nitrogen_jax.labeling.skins import sheet, skin_file

_spec = importlib.util.spec_from_file_location(
    "presets", Path(__file__).parents[1] / "labeling" / "skins" / "presets.py"
)
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)


@pytest.fixture
def skins(capsys):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["label", "skins", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def shelf(tmp_path):
    folder = tmp_path / "skins"
    button = presets.element(2, "a", code=0)
    presets.write(folder / "snes", [button, {"type": 1, "id": "esc"}], pngs=("snes", "red"))
    skin_file.write(presets.pad(), folder / "own")
    return folder


def test_a_table_of_what_there_is(skins, shelf):
    code, out, _ = skins(shelf)
    assert code == 0
    lines = [line for line in out.splitlines() if "│" in line]
    assert len(lines) == 3
    own = next(line for line in lines if "100 x 60" in line)
    assert "xboxone" in own
    assert "4.0" in own
    assert any("snes-red" in line.rsplit("│", 2)[1] for line in lines)
    assert "snes: esc: a key is no part of a gamepad" in out


def test_the_same_as_json(skins, shelf):
    code, out, _ = skins(shelf, "--json")
    assert code == 0
    data = json.loads(out)
    assert data["faults"] == []
    by_name = {row["name"]: row for row in data["skins"]}
    assert by_name["snes"]["siblings"] == ["snes-red"]
    assert by_name["pad"]["travel"] == 4.0
    assert by_name["snes"]["buttons"] == ["SOUTH"]


def test_a_contact_sheet(skins, shelf, tmp_path):
    code, _, err = skins(shelf, "--out", tmp_path / "sheet.png")
    assert code == 0
    assert "sheet.png" in err
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture.shape[0] == 2 * (sheet.CELL[1] + sheet.NAME_HEIGHT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.png", "skins"]


def test_skins_that_cannot_be_read_are_listed_with_their_cause(skins, shelf):
    (shelf / "snes" / "broken.json").write_text("{")
    code, out, _ = skins(shelf)
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("not read")]
    assert line.count("broken.json") == 1
    assert "cannot be read as JSON" in line
    code, out, _ = skins(shelf, "--json")
    assert code == 1
    assert json.loads(out)["faults"][0]["file"].endswith("broken.json")


def test_no_skin_at_all(skins, tmp_path):
    code, _, err = skins(tmp_path)
    assert code == 2
    assert "no skin lies in" in err
    code, _, err = skins()
    assert code == 2
    assert "no folder of skins is named" in err


def test_made_up_skins(skins):
    code, out, _ = skins("--generated", "3", "--json")
    assert code == 0
    names = [row["name"] for row in json.loads(out)["skins"]]
    assert names == ["generated-00000", "generated-00001", "generated-00002"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--generated", "-1"), "--generated is -1"),
        (("--generated", "1", "--out", "sheet.jpg"), "the name of a PNG file is needed"),
        (("--generated", "1", "--out", "nowhere/x.png"), "the folder nowhere does not exist"),
    ],
)
def test_impossible_options_are_refused(skins, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = skins(*arguments)
    assert code == 2
    assert words in err
