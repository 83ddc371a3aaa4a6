"""From playing to watching: two tasks are really played, and their page is looked at."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("vizdoom")
pytest.importorskip("av")
pytest.importorskip("websocket", reason="needs websocket, of the extra bake")
from nitrogen_jax import cli
from nitrogen_jax.data import video
from nitrogen_jax.evaluation import clips, results

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(browser)

if browser.executable() is None:
    pytest.skip("needs a Chromium, which the extra bake drives", allow_module_level=True)

TASKS = {"expert": ("vizdoom/my-way-home", "vizdoom/predict-position")}
TASKS["random"] = TASKS["expert"][1:]
PLAYS = "document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.64001E\"') !== ''"


def run(*arguments) -> int:
    return cli.main(["eval", *map(str, arguments)])


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """An expert in both tasks, and chance in one of them."""
    root = tmp_path_factory.mktemp("played")
    for policy, tasks in TASKS.items():
        more = ("--episodes", 1, "--workers", 1, "--out", root / policy)
        assert run(policy, "--task", *tasks, *more) == 0
    assert run("report", root / "expert", "--against", root / "random") == 0
    return root


def test_clips_are_of_what_was_played(played):
    for policy, tasks in TASKS.items():
        found = results.read(played / policy)
        assert [one.task for one in found.episodes] == list(tasks)
        for one in found.episodes:
            path = found.file(one.clip)
            frames = list(video.frames(path))
            assert path.stat().st_size <= clips.MOST_BYTES
            assert frames[0].picture().shape[1::-1] == clips.SIZE
            seconds = min(one.seconds, clips.SECONDS)
            assert frames[-1].time == pytest.approx(seconds, abs=1)
            left = frames[-1].picture()[:, : clips.PICTURE[0]].astype(int)
            assert left.std() > 10  # a game, and no empty picture


def test_the_page_shows_them(played, tmp_path):
    lines = (played / "expert" / "episodes.jsonl").read_text().splitlines()
    rows = sorted(map(json.loads, lines), key=lambda row: row["task"])
    with browser.tab(tmp_path) as tab:
        tab.open(played / "expert" / "report.html")
        said = tab.evaluate("[...document.querySelectorAll('table')].map((t) => t.textContent)")
        for row in rows:
            assert row["task"] in said[2]  # the table of tasks
        assert "random: success" in said[2]
        assert "vizdoom: " in said[0]  # its version
        judged = tab.evaluate(
            "[...document.querySelectorAll('.outcome')].map((o) => o.textContent)"
        )
        assert judged == [row["outcome"] for row in rows]
        tab.click("[data-do=open]")
        tab.until(f"document.querySelectorAll('video[src]').length === {len(rows)}")
        if tab.evaluate(PLAYS):
            for number in range(len(rows)):
                clip = f"document.querySelectorAll('video[src]')[{number}]"
                assert tab.evaluate(f"{clip}.play().then(() => true)")
                tab.until(f"{clip}.currentTime > 0.2")
        assert [url for url in tab.requests if not url.startswith(("data:", "file:"))] == []
        assert tab.problems == []
