"""`nitrogen eval report`: the page of a folder, and how far a person agrees with the judges."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from nitrogen_jax import cli

_spec = importlib.util.spec_from_file_location(
    "eval_folders", Path(__file__).parents[1] / "report" / "eval_folders.py"
)
folders = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(folders)

SAID = [
    {"task": "ale/pong", "episode": 0, "success": True, "note": ""},
    {"task": "ale/pong", "episode": 3, "success": False, "note": "far"},
    {"task": "supertux/igloo", "episode": 1, "success": True, "note": ""},
    {"task": "supertux/igloo", "episode": 3, "success": True, "note": "it crashed later"},
]


@pytest.fixture
def folder(tmp_path):
    return folders.make(tmp_path / "results")


def verdicts(path: Path, said=SAID, **more) -> Path:
    path.write_text(json.dumps({"format": "nitrogen verdicts 1", "verdicts": said, **more}))
    return path


def report(*arguments) -> int:
    return cli.main(["eval", "report", *map(str, arguments)])


def test_the_page_is_written(folder, capsys):
    assert report(folder) == 0
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    captured = capsys.readouterr()
    assert captured.out == ""  # nobody said anything
    assert str(folder / "report.html") in captured.err


def test_the_agreement_is_printed(folder, tmp_path, capsys):
    file = verdicts(tmp_path / "said.json")
    assert report(folder, "--verdicts", file) == 0
    out = capsys.readouterr().out
    assert "The judge agrees with a person on 2 of 3 episodes (66.7%), Cohen's kappa 0.40." in out
    assert "1 more of episodes that the judge did not decide." in out
    assert max(map(len, out.splitlines())) < 200
    page = (folder / "report.html").read_text()
    assert "it crashed later" in page


def test_verdicts_that_lie_in_the_folder_are_taken(folder, capsys):
    verdicts(folder / "verdicts.json")
    assert report(folder, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("kappa") == pytest.approx(0.4)
    assert found.pop("share") == pytest.approx(2 / 3)
    assert found == {
        **{"page": str(folder / "report.html"), "count": 3, "unjudged": 1},
        **{"both_success": 1, "judge_only": 0, "person_only": 1, "both_failure": 1},
    }


def test_others_and_another_file(folder, tmp_path, capsys):
    weak = folders.make(tmp_path / "weak", folders.WEAKER, "hold")
    expert = folders.make(tmp_path / "expert", folders.HAND, "expert")
    out = tmp_path / "page.html"
    assert report(folder, "--against", weak, expert, "--out", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["share"] is None
    text = out.read_text()
    assert "against hold on the same episodes" in text
    assert "against expert on the same episodes" in text
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("said", "more", "says"),
    [
        ([{"task": "ale/pong", "episode": 9, "success": True}], {}, "episode 9 of ale/pong"),
        ([{"task": "ale/pong", "episode": 0}], {}, "verdict 0"),
        ([], {"created": "1970"}, "evaluation of 1970"),
    ],
)
def test_wrong_verdicts(folder, tmp_path, capsys, said, more, says):
    assert report(folder, "--verdicts", verdicts(tmp_path / "said.json", said, **more)) == 2
    assert says in capsys.readouterr().err
    assert not (folder / "report.html").exists()


def test_wrong_folders(folder, tmp_path, capsys):
    assert report(tmp_path) == 2
    assert "eval.json" in capsys.readouterr().err
    assert report(folder, "--verdicts", tmp_path / "none.json") == 2
    assert "none.json" in capsys.readouterr().err
    assert report(folder, "--out", tmp_path) == 2
    assert ".html" in capsys.readouterr().err
    assert report(folder, "--out", tmp_path / "no" / "page.html") == 2
    assert "does not exist" in capsys.readouterr().err
