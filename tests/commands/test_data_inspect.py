"""`nitrogen data inspect`: what it prints and writes, and its exit codes."""

from __future__ import annotations

import importlib.util
import json
import os
from html.parser import HTMLParser
from pathlib import Path

import cv2
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("matplotlib")
from nitrogen_jax import cli
from nitrogen_jax.report import label_page

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parents[1] / "data" / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)

PLOTS = {
    *("hours_by_game", "idle_by_game", "buttons", "left_stick", "right_stick"),
    *("rates", "overlays"),
}


@pytest.fixture
def inspect(capsys):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["data", "inspect", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def tree(tmp_path):
    """12 chunks of one game, 3 of others, and one that is broken."""
    root = label_trees.sound_tree(tmp_path / "tree")
    for chunk, game in enumerate(("<b>Other</b>", "ゼルダ", "<b>Other</b>")):
        files = label_trees.files("vid", chunk, rows=15, game=game)
        label_trees.write(root, files, "vid", chunk)
    label_trees.write(root, {"metadata.json": b"{"}, "vid", 3)
    return root


class Page(HTMLParser):
    """Text and pictures of a page."""

    def __init__(self, path):
        super().__init__()
        self.text, self.pictures, self.elements = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "img":
            self.pictures.append(dict(attributes))

    def handle_data(self, data):
        self.text.append(data.strip())


def cells(out):
    """Rows of printed tables."""
    lines = [line.split("│") for line in out.splitlines() if line.startswith("│")]
    return [tuple(cell.strip() for cell in line[1:-1]) for line in lines]


def test_tables(inspect, tree):
    code, out, error = inspect(tree)
    assert (code, error) == (0, "")
    rows = cells(out)
    assert ("chunks", "15") in rows
    assert ("chunks that cannot be read", "1") in rows
    assert ("rows", "405") in rows
    assert ("chunks with actions_processed", "26.7%") in rows
    games = [row for row in rows if row[0] in ("Some Game", "<b>Other</b>", "ゼルダ")]
    assert [row[0] for row in games] == ["Some Game", "<b>Other</b>", "ゼルダ"]
    assert [row[2] for row in games] == ["12", "2", "1"]
    assert ("60.0", "12", "80.0%") in rows
    assert ("30.0", "3", "20.0%") in rows
    assert ("xboxone", "15", "100.0%") in rows
    assert ("1280 x 720", "15", "100.0%") in rows
    (broken,) = [row for row in rows if row[0] == "json_invalid"]
    assert "vid_chunk_0003" in broken[2]


def test_only_the_first_games_by_name(inspect, tree):
    _, out, _ = inspect(tree, "--top", 1)
    games = [row for row in cells(out) if row[0] in ("Some Game", "2 other games")]
    assert [row[2] for row in games] == ["12", "3"]
    assert "ゼルダ" not in out


def test_json(inspect, tree):
    code, out, _ = inspect(tree, "--json", "--workers", 2)
    assert code == 0
    data = json.loads(out)
    assert (data["chunks"], data["rows"], data["broken"]) == (15, 405, {"json_invalid": 1})
    assert data["games"]["ゼルダ"]["rows"] == 15
    _, alone, _ = inspect(tree, "--json")
    assert json.loads(alone)["buttons"] == data["buttons"]


def test_which_table(inspect, tree):
    outs = [inspect(tree, "--json", "--prefer", kind)[1] for kind in ("raw", "processed")]
    raw, processed = (json.loads(out)["buttons"] for out in outs)
    assert raw != processed


def test_a_tarball(inspect, tree, tmp_path):
    path = label_trees.tarball(tmp_path / "x.tar.gz", label_trees.members(tree))
    outs = [json.loads(inspect(where, "--json")[1]) for where in (tree, path)]
    assert [out.pop("examples") for out in outs] != [{}, {}]  # they name the path
    assert outs[0] == outs[1]


def test_a_page_and_pictures(inspect, tree, tmp_path):
    code, _, error = inspect(tree, "--out", tmp_path / "r.html", "--png", tmp_path / "png")
    assert code == 0
    assert error == f"wrote {tmp_path / 'r.html'}\nwrote {tmp_path / 'png'}\n"
    found = {path.stem: cv2.imread(str(path)) for path in (tmp_path / "png").iterdir()}
    assert set(found) == PLOTS
    assert all(picture is not None and picture.size for picture in found.values())
    page = Page(tmp_path / "r.html")
    assert {picture["alt"].replace(" ", "_") for picture in page.pictures} == PLOTS
    assert all(p["src"].startswith("data:image/svg+xml;base64,") for p in page.pictures)
    assert {"<b>Other</b>", "ゼルダ", "json_invalid", "60.0", "xboxone"} <= set(page.text)
    assert not {"b", "script", "a", "link"} & {tag for tag, _ in page.elements}
    assert sorted(os.listdir(tmp_path)) == ["png", "r.html", "tree"]


def test_pictures_are_replaced_and_others_kept(inspect, tree, tmp_path):
    folder = tmp_path / "png"
    folder.mkdir()
    (folder / "rates.png").write_text("old")
    (folder / "mine.txt").write_text("mine")
    assert inspect(tree, "--png", folder)[0] == 0
    assert cv2.imread(str(folder / "rates.png")) is not None
    assert (folder / "mine.txt").read_text() == "mine"


def test_only_broken_chunks(inspect, tmp_path):
    root = tmp_path / "tree"
    label_trees.write(root, {"metadata.json": b"[1]"})
    files = label_trees.files(chunk=1)
    label_trees.write(root, files | {label_trees.RAW: b"x"}, chunk=1)
    code, out, error = inspect(root, "--out", tmp_path / "r.html", "--png", tmp_path / "png")
    assert code == 2
    assert ("json_invalid", "1") in [row[:2] for row in cells(out)]
    assert ("table_unreadable", "1") in [row[:2] for row in cells(out)]
    assert "none of its 2 chunks can be read" in error
    assert "json_invalid" in Page(tmp_path / "r.html").text  # the reasons are there all the same


def test_one_tarball_that_cannot_be_read(inspect, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"broken")
    code, out, error = inspect(tmp_path)
    assert code == 2
    assert ("shard_unreadable", "1") in cells(out)
    assert "none of its 0 chunks can be read" in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "missing/r.html"], "cannot write missing/r.html: the folder missing does not"),
        (["--out", "folder"], "cannot write folder: it is a folder"),
        (["--png", "missing/png"], "cannot write missing/png: the folder missing does not exist"),
        (["--png", "file"], "cannot write into file: it is not a folder"),
        (["--top", "0"], "--top is 0"),
        (["--workers", "-2"], "--workers is -2"),
    ],
)
def test_refused_before_anything_is_read(inspect, tree, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    code, out, error = inspect(tree, *arguments)
    assert (code, out) == (2, "")
    assert says in error
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "tree"]
    assert os.listdir(tmp_path / "folder") == []


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_no_tree(inspect, tmp_path, make):
    make(tmp_path / "tree")
    code, out, error = inspect(tmp_path / "tree", "--out", tmp_path / "r.html")
    assert (code, out) == (2, "")
    assert f"label tree {tmp_path / 'tree'}" in error
    assert not (tmp_path / "r.html").exists()


def test_a_failed_write_leaves_the_old_page(inspect, tree, tmp_path, monkeypatch):
    (tmp_path / "r.html").write_text("old")

    def fail(*arguments):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(label_page, "page", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        inspect(tree, "--out", tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["r.html", "tree"]


def test_control_characters_are_not_obeyed(inspect, tmp_path):
    label_trees.write(tmp_path, label_trees.files(game="\x1b[2J bell\x07", controller_type="\0"))
    code, out, _ = inspect(tmp_path, "--out", tmp_path / "r.html")
    assert code == 0
    assert not {"\x1b", "\x07", "\0"} & set(out)
    assert "\\x1b[2J bell\\x07" in out
    assert not {"\x1b", "\x07", "\0"} & set((tmp_path / "r.html").read_text())
