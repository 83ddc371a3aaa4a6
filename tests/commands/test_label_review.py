"""`nitrogen label review`: one page, a folder of pages, and what cannot be shown."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("av")
pytest.importorskip("pyarrow")
from nitrogen_jax import cli
from nitrogen_jax.data.demo import make_demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Two videos of two chunks each; the file of the second is missing."""
    root = tmp_path_factory.mktemp("demo") / "demo"
    make_demo(root, videos=2, seconds=2, rate=10, chunk_seconds=1, leave_out=[1])
    return root


@pytest.fixture
def review(demo, capsys):
    """Runs the command: (exit code, standard error)."""

    def run(*arguments, tree=demo / "labels"):
        words = ["label", "review", tree, "--videos", demo / "videos", *arguments]
        return cli.main(list(map(str, words))), capsys.readouterr().err

    return run


def test_a_page(review, tmp_path):
    out = tmp_path / "chunk.html"
    code, error = review("--video", "demo-0-00", "--chunk", 1, "--out", out)
    assert (code, error) == (0, f"wrote {out}: 1 of 1 chunks\n")
    assert "<h1>Review of demo-0-00_chunk_0001</h1>" in out.read_text()
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder(review, tmp_path):
    out = tmp_path / "pages"
    code, error = review("--out", out)
    assert code == 1
    assert "demo-0-01_chunk_0000 has no page" in error
    assert "holds no file of video demo-0-01" in error
    assert error.endswith(f"wrote {out}: 2 of 4 chunks\n")
    names = {path.name for path in out.iterdir()}
    assert names == {"index.html", *(f"demo-0-00_chunk_000{n}.html" for n in range(2))}
    index = (out / "index.html").read_text()
    assert index.count("href=") == 2
    assert "holds no file of video" in index


def test_a_chunk_number_of_every_video(review, tmp_path):
    code, _ = review("--chunk", 0, "--out", tmp_path / "pages")
    assert code == 1
    names = {path.name for path in (tmp_path / "pages").iterdir()}
    assert names == {"index.html", "demo-0-00_chunk_0000.html"}


def test_a_chunk_that_cannot_be_read(review, demo, tmp_path):
    tree = shutil.copytree(demo / "labels", tmp_path / "labels")
    broken = tree / "actions/SHARD_0000/demo-0-00/demo-0-00_chunk_0000/actions_raw.parquet"
    broken.write_bytes(b"no table")
    code, error = review("--video", "demo-0-00", "--out", tmp_path / "pages", tree=tree)
    assert code == 1
    assert "demo-0-00_chunk_0000 has no page" in error
    assert "cannot be read" in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--video", "demo-0-01", "--out", "pages"], "none of the 2 chunks can be shown"),
        (["--out", "a.html"], "has 4 chunks to review, where --out a.html holds one"),
        (["--video", "other", "--out", "pages"], "holds no chunk of video 'other'"),
        (["--chunk", "9", "--out", "pages"], "holds no chunk 9"),
        (["--out", "nowhere/a.html"], "--out is nowhere/a.html"),
        (["--out", "folder.html"], "--out is folder.html, where a file"),
        (["--out", "file"], "--out is file, where a folder"),
        (["--out", "pages", "--max-mb", "0"], "--max-mb is 0.0"),
        (["--out", "pages", "--width", "1"], "width of a review page is 1"),
        (["--out", "pages", "--threads", "-1"], "--threads is -1"),
        (["--out", "pages", "--videos", "gone"], "folder gone of videos does not exist"),
        (
            ["--video", "demo-0-00", "--out", "pages", "--max-mb", "0.01"],
            "none of the 2 chunks can be shown",
        ),
    ],
)
def test_refused(review, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").touch()
    code, error = review(*arguments)
    assert code == 2
    assert says in error
