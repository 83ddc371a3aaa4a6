"""The text of the review page: all of it is inside, and nothing in it can run but our script."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("pyarrow")
from nitrogen_jax.data.labels import ChunkMeta, OriginalVideo
from nitrogen_jax.labeling.review_chunks import BUTTONS, Reviewed
from nitrogen_jax.labeling.review_corrections import parse
from nitrogen_jax.report import review_page, review_write
from nitrogen_jax.report.review_clip import Clip

ROWS = 4
PICTURES = [bytes([n]) * 10 for n in range(ROWS)]


def reviewed(confidence=None, name="vid_chunk_0000", game="Some <Game>"):
    meta = ChunkMeta(
        uuid="",
        chunk_id="0",
        chunk_size=ROWS,
        game=game,
        controller_type="ps4",
        overlay=None,
        game_area=None,
        video=OriginalVideo(video_id="vid", start_frame=100, duration=0.1),
    )
    pressed = np.zeros((ROWS, len(BUTTONS)), bool)
    pressed[1, [0, 2]] = pressed[3, -1] = True
    left = np.array([[0, 0], [0.5, -1], [1 / 3, 0], [0, 0]], np.float32)
    hashes = ("a" * 64, "b" * 64)
    return Reviewed("vid", name, *hashes, "raw", meta, pressed, left, -left, confidence)


def a_clip(overlays=True):
    times = [5 + n / 40 for n in range(ROWS)]
    return Clip(list(PICTURES), list(PICTURES) if overlays else [], times, (8, 4), (2, 2))


def island(text, name):
    return re.search(rf'<script type="[^"]+" id="{name}">(.*?)</script>', text, re.S)[1]


def test_what_is_inside():
    text = review_page.page(reviewed(np.array([1, 0.5, 0.25, 1])), a_clip())
    for name in ("frames", "overlays"):
        assert [base64.b64decode(line) for line in island(text, name).split("\n")] == PICTURES
    data = json.loads(island(text, "data"))
    assert data["pressed"] == [0, 0b101, 0, 1 << (len(BUTTONS) - 1)]
    assert data["j_left"] == [[0, 0], [0.5, -1], [0.3333, 0], [0, 0]]
    assert data["confidence"] == [1, 0.5, 0.25, 1]
    assert data["least_certain"] == [2]
    assert data["times"] == [0, 0.025, 0.05, 0.075]
    assert (data["rows"], data["first_frame"]) == (ROWS, 100)
    head = parse(json.dumps(data["head"]).encode(), "head")
    assert (head.tree, head.table, head.chunk_id) == ("a" * 64, "b" * 64, "vid_chunk_0000")


def test_only_our_script_may_run():
    text = review_page.page(reviewed(game="</script><script>alert(1)</script>"), a_clip())
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.replace("&#x27;", "'").endswith(f"script-src 'sha256-{digest}'")
    assert "default-src &#x27;none&#x27;" in policy
    assert "&lt;/script&gt;" in text
    outside = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(src|href)=|https?://|url\(|@import", outside)


def test_no_overlay_and_no_confidence():
    text = review_page.page(reviewed(), a_clip(overlays=False))
    assert 'id="overlay"' not in text
    assert island(text, "overlays") == ""
    data = json.loads(island(text, "data"))
    assert (data["confidence"], data["least_certain"]) == (None, [])


def test_the_index():
    entries = [
        review_page.Entry(reviewed(np.array([1, 0.5, 0.25, 1])), "a b.html"),
        review_page.Entry(reviewed(name="<other>"), "other.html", "its video is gone"),
    ]
    text = review_page.index_page("<tree>", entries)
    assert re.findall('href="([^"]*)"', text) == ["a%20b.html"]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", text)
    assert cells[4:7] == ["0.688", "1", ""]
    assert cells[7:] == [
        "&lt;other&gt;",
        "vid",
        "4",
        "0.1",
        "unknown",
        "unknown",
        "its video is gone",
    ]


def test_names_of_files(tmp_path):
    names = ["a/b", "a_b", "..", "index", "ü"]
    made = [review_write.Page(name, reviewed(name=name), f"text of {name}") for name in names]
    assert len(list(review_write.write(made, tmp_path / "out", "tree"))) == len(names)
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"index.html", "a_b.html", "a_b-2.html", "chunk.html", "index-2.html", "_.html"}
    assert "href" in (tmp_path / "out/index.html").read_text()
