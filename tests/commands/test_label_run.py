"""`nitrogen label run`: options, exit codes, and what it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("av")
sys.path.insert(0, str(Path(__file__).parents[1] / "labeling"))

import standin

from nitrogen_jax import cli
from nitrogen_jax.data import label_tree
from nitrogen_jax.labeling import processes, work
from nitrogen_jax.labeling.options import LabelOptions


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("world")
    (root / "videos").mkdir()
    for name in ("one", "two"):
        standin.write_video(root / "videos" / f"{name}.mp4", 2.0, size=(64, 48))
    standin.skins(root / "skins")
    return root


@pytest.fixture
def jobs(monkeypatch) -> list[work.Job]:
    """The jobs of the runs of a test, which are done in this process by the stand-in."""
    seen: list[work.Job] = []

    def run(jobs, advance, *, library, labeller, workers):
        assert [skin.name for skin in library.skins] == ["made-up"]
        assert workers >= 1
        for job in jobs:
            seen.append(job)
            yield job, work.label_one(job, library, labeller)

    monkeypatch.setitem(sys.modules, "nitrogen_jax.labeling.label_video", standin.module())
    monkeypatch.setattr(processes, "run", run)
    return seen


def run(world: Path, tree: Path, *more: object, videos: Path | None = None) -> int:
    given = ["--videos", videos or world / "videos", "--out", tree, "--skins", world / "skins"]
    return cli.main(["label", "run", *map(str, [*given, *more])])


def test_a_folder_becomes_a_tree(world, tmp_path, jobs, capsys):
    assert run(world, tmp_path / "tree", "--json", "--game", "Some Game") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["videos"]["done"] == 2
    assert report == json.loads((tmp_path / "tree" / "label_report.json").read_text())
    assert cli.main(["data", "validate", str(tmp_path / "tree")]) == 0
    assert [job.options for job in jobs] == [LabelOptions()] * 2
    found = [
        label_tree.read_metadata(raw) for raw in label_tree.open_tree(tmp_path / "tree").scan()
    ]
    assert [meta.game for meta in found] == ["Some Game"] * 2


def test_a_failure_is_1_and_is_told(world, tmp_path, jobs, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    (tmp_path / "list.txt").write_text(f"{world}/videos/one.mp4\n# comment\n{bad}\n")
    assert run(world, tmp_path / "tree", videos=tmp_path / "list.txt") == 1
    out, error = capsys.readouterr()
    assert "not_a_video: it cannot be opened" in error
    assert "frames with labels" in out
    assert run(world, tmp_path / "tree", videos=tmp_path / "list.txt") == 1  # it is still not done
    assert run(world, tmp_path / "tree", videos=world / "videos" / "one.mp4") == 0
    assert len(jobs) == 2


def test_options_reach_the_labeller(world, tmp_path, jobs):
    (tmp_path / "games.csv").write_text("video_id,game\ntwo,Other\n")
    (tmp_path / "remap.json").write_text('{"Other": {"EAST": "SOUTH"}}')
    more = ["--box", "1,2.5,30,40", "--samples", 7, "--min-confidence", 0.75, "--readers", "fit"]
    more += ["--games", tmp_path / "games.csv", "--remap", tmp_path / "remap.json", "--game", "G"]
    assert run(world, tmp_path / "tree", *more) == 0
    one, two = jobs
    given = {"box": (1, 2.5, 30, 40), "samples": 7, "keep_confidence": 0.75, "readers": "fit"}
    given["discover"] = True  # a box says that there is an overlay
    assert one.options == LabelOptions(**given)
    assert two.options == LabelOptions(**given, remap=(("EAST", "SOUTH"),))
    assert (one.facts.game, two.facts.game) == ("G", "Other")


def test_unknown_overlays_are_looked_for_where_that_is_asked(world, tmp_path, jobs):
    assert run(world, tmp_path / "tree", "--discover") == 0
    assert [job.options for job in jobs] == [LabelOptions(discover=True)] * 2


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--workers", 0], "--workers is 0, where at least 1 is needed"),
        (["--samples", -1], "--samples is -1"),
        (["--min-confidence", 2], "--min-confidence is 2.0, where 0 to 1 is possible"),
        (["--videos", "nowhere"], "nowhere does not exist"),
        (["--skins", "nowhere"], "folder nowhere of skins does not exist"),
        (["--games", "nowhere"], "nowhere cannot be read"),
    ],
)
def test_bad_usage_is_one_sentence_and_2(world, tmp_path, jobs, capsys, more, complaint):
    assert run(world, tmp_path / "tree", *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("nitrogen label: ")
    assert complaint in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "0,0,0,5", "-1,0,5,5", "nan,0,5,5"])
def test_a_bad_box(world, tmp_path, capsys, box):
    with pytest.raises(SystemExit) as caught:
        run(world, tmp_path / "tree", f"--box={box}")
    assert caught.value.code == 2
    assert "is not X,Y,W,H in pixels" in capsys.readouterr().err


def test_without_ray_the_extra_is_named(world, tmp_path, jobs, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(world, tmp_path / "tree", "--cluster", "auto") == 2
    assert "pip install 'nitrogen_jax[label,cluster]'" in capsys.readouterr().err
    assert not (tmp_path / "tree").exists()
