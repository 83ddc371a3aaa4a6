"""`nitrogen data missing`: which videos to fetch, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("av")
pytest.importorskip("tensorflow_datasets")
from nitrogen_jax import cli

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parents[1] / "data" / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)

# video -> game, source, chunks of 20 minutes
VIDEOS = {
    "alone": ("Ori", "youtube", 3),
    "both": ("Celeste", "youtube", 6),
    "clip": ("Celeste", "twitch", 3),
    "-dash": ("Ori", "youtube", 1),
}


def write_tree(root, videos=VIDEOS):
    for number, (video, (game, source, chunks)) in enumerate(videos.items()):
        for chunk in range(chunks):
            times = {"start_time": 600 + 1200 * chunk, "end_time": 1800 + 1200 * chunk}
            fields = {f"original_video__{name}": value for name, value in times.items()}
            content = label_trees.files(
                *(video, chunk, 1200),
                game=game,
                original_video__source=source,
                original_video__duration=1200,
                **fields,
            )
            label_trees.write(root, content, video, chunk, f"SHARD_{number % 2:04d}")
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def tarballs(tree, tmp_path_factory):
    """The same tree, a tarball for each shard."""
    folder = tmp_path_factory.mktemp("tarballs")
    for shard in sorted((tree / "actions").iterdir()):
        content = [(f"{shard.name}/{name}", data) for name, data in label_trees.members(shard)]
        label_trees.tarball(folder / f"{shard.name}.tar.gz", content)
    return folder


@pytest.fixture
def missing(capsys):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["data", "missing", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


def listed(out):
    return [row["video_id"] for row in csv.DictReader(io.StringIO(out))]


def test_csv(missing, tree):
    code, out, error = missing(tree, "--csv")
    assert (code, error) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert listed(out) == ["-dash", "alone", "both", "clip"]
    assert rows[2] == {
        **{"url": "https://example.org/both", "start": "600.0", "end": "7800.0"},
        **{"file": "both.mp4", "video_id": "both", "source": "youtube", "game": "Celeste"},
        **{"hours": "2.0", "creator": ""},
    }


def test_json(missing, tree):
    code, out, _ = missing(tree, "--json")
    assert code == 0
    data = json.loads(out)
    assert [(one["video_id"], one["hours"], one["source"]) for one in data] == [
        *(("-dash", 0.3333, "youtube"), ("alone", 1.0, "youtube")),
        *(("both", 2.0, "youtube"), ("clip", 1.0, "twitch")),
    ]


def test_a_table(missing, tree):
    code, out, _ = missing(tree)
    assert code == 0
    assert "4 of 4 videos, 4.3 hours" in out
    for name in VIDEOS:
        assert f"https://example.org/{name} " in out


def test_tarballs_say_the_same(missing, tree, tarballs):
    assert missing(tarballs, "--csv") == missing(tree, "--csv")
    assert missing(tarballs, "--json", "--max-hours", 2) == missing(
        *(tree, "--json", "--max-hours", 2)
    )
    assert not any(path.is_dir() for path in tarballs.iterdir())  # nothing is unpacked


def test_what_is_there(missing, tree, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("both.webm", "clip.txt", "-dash.MP4", "other.mp4"):
        (videos / name).write_bytes(b"")
    (videos / "alone.mp4").mkdir()
    assert listed(missing(tree, "--videos", videos, "--csv")[1]) == ["alone", "clip"]
    # There are two hours of Celeste and a third of an hour of Ori already.
    for hours, wanted in ((3, ["alone", "clip"]), (2.5, ["alone"]), (1, [])):
        arguments = ("--csv", "--max-per-game", hours)
        assert listed(missing(tree, "--videos", videos, *arguments)[1]) == wanted
    for hours, wanted in ((4, ["alone"]), (3, [])):
        arguments = ("--csv", "--max-hours", hours)
        assert listed(missing(tree, "--videos", videos, *arguments)[1]) == wanted


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--game", "Ori"], ["-dash", "alone"]),
        (["--game", "Ori", "--game", "Celeste"], ["-dash", "alone", "both", "clip"]),
        (["--source", "twitch"], ["clip"]),
        (["--source", "twitch", "--game", "Ori"], []),
        (["--max-hours", 2], ["-dash", "alone"]),
        (["--max-hours", 3], ["-dash", "alone", "clip"]),
        (["--max-per-game", 1], ["-dash", "clip"]),
        (["--max-per-game", 2], ["-dash", "alone", "both"]),
        (["--max-per-game", 0.1], []),
    ],
)
def test_choices(missing, tree, arguments, wanted):
    code, out, _ = missing(tree, "--csv", *arguments)
    assert (code, listed(out)) == (0, wanted)


def test_creators(missing, tree, tmp_path):
    path = tmp_path / "creators.csv"
    path.write_text("video_id,creator\nalone,Ann\nboth,Ann\nclip,Bob\n")
    code, out, _ = missing(tree, "--csv", "--creators", path)
    found = [row["creator"] for row in csv.DictReader(io.StringIO(out))]
    assert (code, found) == (0, ["", "Ann", "Ann", "Bob"])
    arguments = ("--creators", path, "--max-per-creator", 1)
    assert listed(missing(tree, "--csv", *arguments)[1]) == ["-dash", "alone", "clip"]


def test_a_file(missing, tree, tmp_path):
    out = tmp_path / "missing.csv"
    code, shown, _ = missing(tree, "--out", out)
    assert code == 0
    assert "4 of 4 videos" in shown
    assert out.read_text(encoding="utf-8") == missing(tree, "--csv")[1]
    assert missing(tree, "--out", out, "--game", "Ori", "--json")[0] == 0
    assert listed(out.read_text()) == ["-dash", "alone"]
    assert list(tmp_path.iterdir()) == [out]


def test_nothing_is_missing(missing, tree, tmp_path):
    for name in VIDEOS:
        (tmp_path / f"{name}.mkv").write_bytes(b"")
    code, out, _ = missing(tree, "--videos", tmp_path, "--csv")
    assert (code, listed(out)) == (0, [])
    assert json.loads(missing(tree, "--videos", tmp_path, "--json")[1]) == []
    assert "0 of 4 videos, 0.0 hours" in missing(tree, "--videos", tmp_path)[1]


def test_long_lists_are_cut_off(missing, tmp_path):
    write_tree(tmp_path, {f"v{n:02d}": ("Ori", "youtube", 1) for n in range(33)})
    code, out, _ = missing(tmp_path)
    assert code == 0
    assert "v29" in out
    assert "v30" not in out
    assert "... and 3 more: --csv lists all" in out
    assert len(listed(missing(tmp_path, "--csv")[1])) == 33


def test_broken_chunks_do_not_matter(missing, tree, tmp_path):
    shutil.copytree(tree, tmp_path / "t")
    label_trees.write(tmp_path / "t", {label_trees.METADATA: b"{"}, "bad")
    label_trees.write(tmp_path / "t", {}, "both", 77)
    assert missing(tmp_path / "t", "--csv") == missing(tree, "--csv")


def test_labels_that_somebody_has_tampered_with(missing, tmp_path):
    bad = "=cmd|' /C calc'!A0"
    content = label_trees.files(
        *("v",), game=f"{bad}\n\x1b[31m[bold]", original_video__url=f"\x1b]0;title\x07{bad}"
    )
    label_trees.write(tmp_path, content, "v")
    code, out, _ = missing(tmp_path, "--csv")
    assert code == 0
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["game"] == f"'{bad}  [31m[bold]"
    assert "\x1b" not in out
    _, out, _ = missing(tmp_path)
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]" in out
    (one,) = json.loads(missing(tmp_path, "--json")[1])
    assert one["game"] == f"{bad}\n\x1b[31m[bold]"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-hours", 0], "--max-hours is 0.0, where hours are needed"),
        (["--max-per-game", "nan"], "--max-per-game is nan, where hours are needed"),
        (["--max-per-creator", -1, "--creators", "x"], "--max-per-creator is -1.0, where"),
        (["--max-per-creator", 1], "--max-per-creator needs --creators"),
        (["--creators", "no such file"], "creators no such file cannot be read"),
        (["--videos", "no such folder"], "folder no such folder of videos does not exist"),
        (["--game", "Orry"], "--game is 'Orry', of which"),
        (["--out", "no such folder/x.csv"], "--out is no such folder/x.csv, where a file"),
        (["--out", "."], "--out is ., where a file"),
    ],
)
def test_bad_options(missing, tree, arguments, says):
    code, out, error = missing(tree, *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("nitrogen data: ")
    assert says in error
    assert error.count("\n") == 1


def test_what_can_be_known_before_is_said_before(missing, tree, monkeypatch):
    """Nobody waits for a million labels to be read, to be told of a typing error."""
    from nitrogen_jax.data import build_plan

    monkeypatch.setattr(build_plan, "survey", None)
    for arguments in (["--videos", "none"], ["--out", "none/x"], ["--creators", "none"]):
        assert missing(tree, *arguments)[0] == 2


def test_no_tree(missing, tmp_path):
    for path, says in ((tmp_path / "none", "does not exist"), (tmp_path, "holds no chunk")):
        code, _, error = missing(path)
        assert code == 2
        assert says in error


@pytest.mark.parametrize("arguments", [["--max-hours", "many"], ["--none"], []])
def test_bad_usage(missing, tree, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        missing(*([tree, *arguments] if arguments else []))
    assert caught.value.code == 2
    assert "usage: nitrogen data missing" in capsys.readouterr().err
