"""`nitrogen data demo`: what it writes and says."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("av")
pytest.importorskip("pyarrow")

from nitrogen_jax import cli
from nitrogen_jax.data import label_tree, video

SMALL = ("--videos", "2", "--seconds", "2", "--rate", "20", "--size", "160x90")


@pytest.fixture
def run(capsys):
    """Runs the verb: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["data", "demo", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


def test_a_demo(run, tmp_path):
    code, out, err = run(tmp_path / "demo", *SMALL)
    assert (code, err) == (0, "")
    for word in ("demo-0-00", "demo-0-01", "Demo Discs", "Demo Boxes", "40"):
        assert word in out
    assert str(tmp_path / "demo" / "labels") in out
    assert len(list(label_tree.open_tree(tmp_path / "demo" / "labels").scan())) == 2
    for name in ("demo-0-00", "demo-0-01"):
        info = video.probe(tmp_path / "demo" / "videos" / f"{name}.mp4")
        assert (info.width, info.height, info.frames, info.rate) == (160, 90, 40, 20)


def test_options_as_json(run, tmp_path):
    options = ("--seed", 3, "--games", 1, "--chunk-seconds", 1, "--variable", 0, "--leave-out", 1)
    code, out, _ = run(tmp_path / "demo", *SMALL, *options, "--json")
    assert code == 0
    said = json.loads(out)
    assert said == json.loads((tmp_path / "demo" / "demo.json").read_text())
    one, two = said["videos"]
    assert (said["seed"], said["size"], said["rate"]) == (3, [160, 90], 20)
    assert [one["video_id"], two["video_id"]] == ["demo-3-00", "demo-3-01"]
    assert one["game"] == two["game"] == "Demo Discs"
    assert (one["file"], two["file"]) == ("videos/demo-3-00.mp4", None)
    assert (two["chunks"], two["frames"]) == (2, 40)
    assert video.probe(tmp_path / "demo" / one["file"]).variable is True


def test_a_left_out_video_is_named(run, tmp_path):
    code, out, _ = run(tmp_path / "demo", *SMALL, "--leave-out", 1)
    assert code == 0
    assert "left out" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", "320"), "--size is '320'"),
        (("--size", "320x181"), "height is 181"),
        (("--games", "9"), "games is 9, where 1 to 4"),
        (("--seconds", "0"), "seconds is 0"),
        (("--leave-out", "7"), "to leave out is 7"),
    ],
)
def test_bad_options(run, tmp_path, options, message):
    code, out, err = run(tmp_path / "demo", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_bad_folders(run, tmp_path):
    (tmp_path / "mine").write_text("mine")
    code, _, err = run(tmp_path, *SMALL)
    assert code == 2
    assert "not an empty folder" in err
    code, _, err = run(tmp_path / "nowhere" / "demo", *SMALL)
    assert code == 2
    assert "does not exist" in err
