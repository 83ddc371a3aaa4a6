"""The review page in a real browser: it shows the right frames, and exports what was edited."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("pyarrow")
pytest.importorskip("websocket", reason="needs websocket, of the extra bake")
from nitrogen_jax import cli
from nitrogen_jax.data import digits, labels
from nitrogen_jax.data.demo import make_demo
from nitrogen_jax.data.label_tree import open_tree, read_chunk
from nitrogen_jax.gamepad import BUTTONS

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(browser)

if browser.executable() is None:
    pytest.skip("needs a Chromium, which the extra bake drives", allow_module_level=True)

VIDEO, RATE, ROWS = "demo-0-00", 30, 45
CHUNK = f"{VIDEO}_chunk_0001"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Two chunks of 45 rows; the second has confidences, with two dips and a row that is out."""
    root = tmp_path_factory.mktemp("demo") / "demo"
    info = make_demo(root, videos=1, seconds=3, rate=RATE, chunk_seconds=1.5)
    confidence = np.full(ROWS, 0.9, np.float32)
    confidence[[10, 25]], confidence[40] = (0.3, 0.2), 0
    folder = root / "labels/actions/SHARD_0000" / VIDEO / CHUNK
    data = labels.actions_to_parquet(info.videos[0].actions[ROWS : 2 * ROWS], confidence)
    (folder / "actions_raw.parquet").write_bytes(data)
    return info


@pytest.fixture(scope="module")
def pages(demo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    arguments = ["label", "review", demo.root / "labels", "--videos", demo.root / "videos"]
    assert cli.main([*map(str, arguments), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def browsing(tmp_path_factory):
    with browser.tab(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture
def tab(browsing, pages):
    browsing.open(pages / f"{CHUNK}.html")
    at(browsing, 0)
    yield browsing
    assert browsing.problems == []


def at(tab, row: int) -> None:
    """Waits until a row is shown."""
    tab.until(f"document.body?.dataset.row === '{row}'")


def frame_number(tab, demo) -> int | None:
    """The number that is drawn into the shown frame."""
    picture = cv2.imdecode(np.frombuffer(tab.png("frame"), np.uint8), cv2.IMREAD_COLOR)
    return digits.read_number(picture, demo.videos[0].number_box)


def edits(tab):
    return tab.evaluate("review.labels.edits()")


def exported(tab, folder: Path) -> Path:
    """The file that the button makes."""
    file = folder / f"{CHUNK}.corrections.json"
    file.unlink(missing_ok=True)
    tab.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    tab.click("[data-do=export]")
    end = time.monotonic() + browser.SECONDS
    while not file.exists():
        assert time.monotonic() < end, "nothing is downloaded"
        time.sleep(0.05)
    return file


def test_nothing_is_fetched_and_nothing_fails(tab):
    assert tab.evaluate("document.getElementById('overlay').width") > 90
    outside = [url for url in tab.requests if not url.startswith(("data:", "file:"))]
    files = [url for url in tab.requests if url.startswith("file:")]
    assert (outside, len(files)) == ([], 1)
    assert not tab.evaluate("fetch('data:,x').then(() => true, () => false)")
    tab.problems.clear()  # that the policy refused it is told there


def test_steps_show_their_frames(tab, demo):
    first, row = demo.videos[0].chunks[1].video.start_frame, 0
    shift = browser.SHIFT
    keys = [("ArrowRight", 0, 1)] * 3 + [("ArrowRight", shift, 10)] * 2
    keys += [("ArrowLeft", 0, -1)] * 2 + [
        ("End", 0, 99),
        ("ArrowLeft", shift, -10),
        ("Home", 0, -99),
    ]
    for key, modifiers, by in keys:
        tab.key(key, modifiers)
        row = min(max(row + by, 0), ROWS - 1)
        at(tab, row)
        assert frame_number(tab, demo) == first + row
        assert f"row {row} of {ROWS}, frame {first + row}" in tab.evaluate(
            "document.getElementById('where').textContent"
        )


def test_every_frame_with_its_labels(tab, demo):
    """Also where keys come faster than pictures: labels and picture never part."""
    first, video = demo.videos[0].chunks[1].video.start_frame, demo.videos[0]
    for _ in range(ROWS - 1):
        tab.key("ArrowRight")
        state = tab.evaluate(
            "({row: review.shown, lit: [...document.querySelectorAll('#pad .lit')]"
            ".map((e) => e.dataset.button).sort(),"
            " left: +document.querySelector('[data-stick=j_left][data-axis=\"0\"]').value,"
            " picture: document.getElementById('frame').toDataURL()})"
        )
        row = state["row"]
        data = base64.b64decode(state["picture"].partition(",")[2])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert digits.read_number(picture, video.number_box) == first + row
        pad = video.trace.pad[first + row]
        pressed = {name for name, on in zip(BUTTONS, pad.pressed, strict=True) if on}
        assert set(state["lit"]) == pressed
        assert state["left"] == pytest.approx(float(pad.left[0]), abs=1e-4)


def test_playing_ends_at_the_last_frame(tab, demo):
    tab.key(" ")
    at(tab, ROWS - 1)
    assert frame_number(tab, demo) == demo.videos[0].chunks[1].video.start_frame + ROWS - 1
    assert tab.evaluate("review.playing") is None


def test_the_least_certain_frames(tab):
    for key, row in [("n", 40), ("n", 25), ("n", 10), ("p", 25)]:
        tab.key(key)
        at(tab, row)
    assert "not valid" not in tab.evaluate("document.getElementById('where').textContent")
    tab.key("p")
    at(tab, 40)
    assert "not valid" in tab.evaluate("document.getElementById('where').textContent")


def test_the_strip_jumps(tab):
    x, y = tab.middle("#strip")
    tab.drag((x, y))
    at(tab, ROWS // 2)


def test_editing_undoing_exporting_applying(tab, demo, pages, tmp_path, capsys):
    tree = shutil.copytree(demo.root / "labels", tmp_path / "labels")
    raw = next(raw for raw in open_tree(tree).scan() if raw.ref.name == CHUNK)
    before = read_chunk(raw)[1]
    tab.key("ArrowRight")
    at(tab, 1)
    tab.click("button[data-button=START]")  # one frame
    tab.key("ArrowRight", browser.SHIFT)
    at(tab, 11)
    tab.key("i")
    tab.key("ArrowRight", browser.SHIFT)
    at(tab, 21)
    tab.key("o")  # rows 11 to 21
    tab.click("#pad [data-button=GUIDE]")
    x, y = tab.middle("#pad [data-stick=j_right]")
    unit = tab.evaluate("document.getElementById('pad').getScreenCTM().a")
    travel = unit * tab.evaluate("review.pad.pad.travel")
    tab.drag((x, y), (x + travel / 4, y), (x + travel / 2, y - 3 * travel))
    tab.key("Escape")
    tab.key("x")  # the shown frame, 21, is not valid
    tab.click("button[data-button=BACK]")
    tab.key("u")  # and BACK was a mistake
    stick = edits(tab)[1]["j_right"]
    assert stick == [pytest.approx(0.5, abs=0.05), -1]
    both = {"from": 11, "buttons": {"GUIDE": True}, "j_right": stick}
    assert edits(tab) == [
        {"from": 1, "to": 2, "buttons": {"START": True}},
        {**both, "to": 21},
        {**both, "from": 21, "to": 22, "valid": False},
    ]
    listed = tab.evaluate("document.getElementById('changes').innerText")
    assert "row 1: Start pressed" in listed
    file = exported(tab, tmp_path)
    assert not tab.evaluate("document.getElementById('message').textContent.includes('cannot')")

    # Back into a fresh page, where undo takes it away.
    tab.open(pages / f"{CHUNK}.html")
    at(tab, 0)
    load(tab, file)
    tab.until("review.labels.edits().length === 3")
    assert json.loads(tab.evaluate("review.labels.export()")) == json.loads(file.read_bytes())
    tab.key("u")
    assert edits(tab) == []

    # And into the tree.
    assert cli.main(["label", "apply", str(tree), str(file), "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["chunks"][0]["cells"]["actions_raw.parquet"]
    assert cells == {
        "start": [1],
        "guide": list(range(11, 22)),
        "j_right": list(range(11, 22)),
        "confidence": [21],
    }
    after = read_chunk(raw)[1]
    changed = np.flatnonzero((after.actions != before.actions).any(1)).tolist()
    assert changed == [1, *range(11, 22)]
    assert np.flatnonzero(after.confidence != before.confidence).tolist() == [21]
    assert cli.main(["data", "validate", str(tree)]) == 0


def load(tab, file: Path) -> None:
    """Chooses a file to load."""
    node = tab.call("Runtime.evaluate", expression="document.getElementById('load')")
    object_id = node["result"]["objectId"]
    tab.call("DOM.setFileInputFiles", files=[str(file)], objectId=object_id)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"table": "0" * 64}, "its table is"),
        ({"chunk_id": "other"}, "its chunk_id is"),
        ({"edits": [{"from": 0, "to": 46, "buttons": {"SOUTH": True}}]}, "its edit 0"),
        ({"edits": [{"from": 0, "to": 1, "buttons": {"NO": True}}]}, "its edit 0"),
        ({"edits": [{"from": 0, "to": 1, "j_left": [0, 2]}]}, "its edit 0"),
        ({"edits": 3}, "no list of edits"),
    ],
)
def test_other_corrections_are_not_loaded(tab, tmp_path, change, says):
    tab.click("button[data-button=SOUTH]")
    kept = edits(tab)
    file = tmp_path / "other.json"
    file.write_text(json.dumps(json.loads(tab.evaluate("review.labels.export()")) | change))
    load(tab, file)
    tab.until("document.getElementById('message').textContent.includes('holds no corrections')")
    assert says in tab.evaluate("document.getElementById('message').textContent")
    assert edits(tab) == kept


def test_sticks_can_be_typed(tab):
    tab.evaluate(
        "(() => { const e = document.querySelector('[data-stick=j_left][data-axis=\"1\"]');"
        "e.value = '-0.25'; e.dispatchEvent(new Event('change')); })()"
    )
    (edit,) = edits(tab)
    assert (edit["from"], edit["to"], edit["j_left"][1]) == (0, 1, -0.25)
    tab.evaluate(
        "(() => { const e = document.querySelector('[data-stick=j_left][data-axis=\"1\"]');"
        "e.value = '1.5'; e.dispatchEvent(new Event('change')); })()"
    )
    assert edits(tab) == [edit]


def test_leaving_with_changes_asks(tab, pages):
    tab.click("button[data-button=SOUTH]")
    tab.open(pages / f"{CHUNK}.html")
    assert tab.dialogs == ["beforeunload"]
    at(tab, 0)


def test_unknown_confidence_and_the_index(browsing, pages):
    browsing.open(pages / "index.html")
    links = browsing.evaluate("[...document.querySelectorAll('a')].map((a) => a.textContent)")
    assert links == [f"{VIDEO}_chunk_0000", CHUNK]
    browsing.click("a")
    browsing.until("document.body?.dataset.row === '0'")
    where = browsing.evaluate("document.getElementById('where').textContent")
    assert where.endswith("confidence unknown")
    browsing.key("n")
    browsing.until("document.getElementById('message').textContent !== ''")
    assert browsing.problems == []
