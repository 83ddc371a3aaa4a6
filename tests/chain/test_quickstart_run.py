"""The quick start, really run: its page in a browser, killed and gone on with, interrupted."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import signal
import time
from pathlib import Path

import pytest

from nitrogen_jax.chain import labels_study, quickstart, stages
from nitrogen_jax.chain.quickstart import PLAYERS

pytestmark = pytest.mark.needs("vizdoom", "jax", "av", "pyarrow")
HERE = Path(__file__).parent


def load(path: Path):
    """A module beside the tests."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rooms = load(HERE / "rooms.py")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """One that is done."""
    room = tmp_path_factory.mktemp("quick") / "room"
    done = rooms.run(room, *rooms.LEAST)
    assert done.returncode == 0, done.stderr
    for number, stage in enumerate(quickstart.stages(quickstart.SHORT), 1):
        assert f"[{number}/9] {stage.title}" in done.stderr
    assert "the page: " in done.stdout
    return room


def test_everything_is_told(room):
    numbers = rooms.numbers(room)
    assert set(numbers["players"]) == set(PLAYERS)
    assert all(one["judged"] == 1 for one in numbers["players"].values())
    assert numbers["labels"]["coverage"] > 0.9
    assert numbers["labels"]["button_macro_f1"] > 0.9
    assert numbers["labels"]["stick_r2"] > 0.9
    assert numbers["training"]["steps"] == 16
    # Of one episode nothing can be shown.
    assert numbers["better"] is False
    assert "It is not shown that the learned policy beats random play" in numbers["verdict"]
    done = stages.read(room)
    assert all(one.done and one.attempts == 1 and one.wall > 0 for one in done.values())
    page = html.unescape((room / quickstart.REPORT).read_text())
    assert numbers["verdict"] in page
    for stage in quickstart.stages(quickstart.SHORT):
        assert stage.title in page
        assert done[stage.name].command in page
    assert not re.search(r"(src|href)=.(https?:)?//", page)


def test_again_it_has_nothing_to_do(room):
    before = (room / quickstart.REPORT).stat().st_mtime_ns
    again = rooms.run(room, *rooms.LEAST, "--json")
    assert again.returncode == 0
    assert again.stderr.count("done before") == 9
    assert json.loads(again.stdout)["numbers"] == rooms.numbers(room)
    assert (room / quickstart.REPORT).stat().st_mtime_ns == before


def looked_at(page: Path, folder: Path, pictures: int, films: int) -> None:
    """Opens a page in a browser: pictures are there, videos play, nothing is fetched or wrong."""
    pytest.importorskip("websocket", reason="needs websocket, of the extra bake")
    browser = load(HERE.parent / "report" / "browser.py")
    if browser.executable() is None:
        pytest.skip("needs a Chromium, which the extra bake drives")
    with browser.tab(folder) as tab:
        tab.open(page)
        assert [url for url in tab.requests if not url.startswith(("data:", "file:"))] == []
        assert len([url for url in tab.requests if url.startswith("file:")]) == 1
        broken = "[...document.images].filter((i) => !i.complete || !i.naturalWidth).length"
        assert tab.evaluate("document.images.length") >= pictures
        assert tab.evaluate(broken) == 0
        assert tab.evaluate("document.querySelectorAll('a[href]').length") == 0
        count = tab.evaluate("document.querySelectorAll('video').length")
        assert count >= films
        plays = "document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.64001E\"')"
        if tab.evaluate(f"{plays} !== ''"):
            for number in range(count):
                video = f"document.querySelectorAll('video')[{number}]"
                assert tab.evaluate(f"{video}.play().then(() => true)")
                tab.until(f"{video}.currentTime > 0.1")
        assert tab.problems == []


def test_the_page_in_a_browser(room, tmp_path):
    # The recording, and a clip of each player.
    looked_at(room / quickstart.REPORT, tmp_path / "browser", 5, 1 + len(PLAYERS))


@pytest.mark.long
def test_the_study_of_labels(room, tmp_path):
    """It goes on with the stages of the quick start, and has a page of its own."""
    done = rooms.run(room, *rooms.LEAST, verb=("study", "labels"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("done before") == 8
    numbers = rooms.numbers(room, labels_study.RESULTS)
    assert set(numbers["players"]) == set(labels_study.PLAYERS)
    assert numbers["players"]["policy"] == {
        **rooms.numbers(room)["players"]["policy"],
        "name": "trained on extracted labels",
    }
    assert {one["steps"] for one in numbers["training"].values()} == {16}
    assert len(numbers["verdicts"]) == 4
    looked_at(room / labels_study.REPORT, tmp_path / "browser", 1, 3)


def running(name: str, more=lambda room: True):
    """Whether a stage is at work."""

    def true(room: Path) -> bool:
        one = stages.read_one(room, name) if (room / "stages").exists() else None
        return one is not None and not one.done and more(room)

    return true


def halves(folder: str):
    """Whether a file is half written there."""
    return lambda room: bool(list((room / folder).glob(".*.tmp-*")))


def lines(file: str, count: int):
    """Whether a file has so many lines."""

    def true(room: Path) -> bool:
        path = room / file
        return path.exists() and path.read_bytes().count(b"\n") >= count

    return true


def a_checkpoint(room: Path) -> bool:
    """Whether there is one to go on from, and the training is not over."""
    names = [path.name for path in (room / "run" / "checkpoints").glob("*")]
    return any(name.isdigit() for name in names)


def test_interrupted_and_gone_on_with(tmp_path):
    """Ctrl-C while the game is recorded: 130, and nothing is left at work."""
    room = tmp_path / "room"
    code = rooms.kill_when(
        room,
        running("record", halves("recording/videos")),
        *rooms.LEAST,
        sends=signal.SIGINT,
    )
    assert code == 130
    assert not stages.read(room)["record"].done
    assert still_at_work(room) == []
    again = rooms.run(room, *rooms.LEAST, "--only", "record")
    assert again.returncode == 0
    assert "still to be done: label, records" in again.stderr
    assert stages.read(room)["record"].attempts == 2


def still_at_work(room: Path) -> list[str]:
    """Processes in whose command the room is named."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(room) in words and "chain.child" in words:
            found.append(words)
    return found


@pytest.mark.long
def test_killed_in_every_stage(room, tmp_path):
    """Kill -9, each time at another stage: the same command goes on, to the same numbers."""
    broken = tmp_path / "room"
    moments = [
        running("record", halves("recording/videos")),
        running("label", lambda at: (at / "labels").exists()),
        running("records", lambda at: (at / "records").exists()),
        running("train", a_checkpoint),
        running("eval-policy", lambda at: (at / "eval" / "policy").exists()),
        running("eval-random", lambda at: (at / "eval" / "random").exists()),
        running("report"),
    ]
    for moment in moments:
        code = rooms.kill_when(broken, moment, *rooms.LEAST)
        assert code == -signal.SIGKILL
        time.sleep(0.2)
        assert still_at_work(broken) == []
    done = rooms.run(broken, *rooms.LEAST)
    assert done.returncode == 0, done.stderr
    assert rooms.numbers(broken) == rooms.numbers(room)
    assert {name: one.attempts for name, one in stages.read(broken).items()} == {
        **dict.fromkeys(("eval-idle", "eval-expert"), 1),
        **dict.fromkeys(("record", "label", "records", "train", "report"), 2),
        **dict.fromkeys(("eval-policy", "eval-random"), 2),
    }
