"""The page of an evaluation in a real browser: tables, clips, and verdicts that go out and back."""

from __future__ import annotations

import importlib.util
import json
import random
import time
from pathlib import Path

import pytest

pytest.importorskip("websocket", reason="needs websocket, of the extra bake")
from nitrogen_jax.evaluation import agreement, results
from nitrogen_jax.evaluation.agreement import Said
from nitrogen_jax.report import eval_page

HERE = Path(__file__).parent


def beside(name: str):
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


browser, folders = beside("browser"), beside("eval_folders")
if browser.executable() is None:
    pytest.skip("needs a Chromium, which the extra bake drives", allow_module_level=True)

CLIPS = [("supertux/igloo", 0), ("supertux/igloo", 1), ("ale/pong", 0)]
PLAYS = "document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.64001E\"') !== ''"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("eval")
    clips = CLIPS if importlib.util.find_spec("av") else []
    made = folders.make(root / "results", clips=clips)
    weak = results.read(folders.make(root / "weak", folders.WEAKER, "hold"))
    eval_page.write(made, [weak])
    return made


@pytest.fixture(scope="module")
def browsing(tmp_path_factory):
    with browser.tab(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture
def tab(browsing, folder):
    browsing.open(folder / "report.html")
    yield browsing
    assert browsing.problems == []


def row(task: str, episode: int) -> str:
    return f"tr[data-task='{task}'][data-episode='{episode}']"


def say(tab, task: str, episode: int, success: bool) -> None:
    """Opens a task and presses a button of an episode of it."""
    tab.evaluate(f"document.querySelector(\"{row(task, episode)}\").closest('details').open = true")
    tab.click(f"{row(task, episode)} [data-say={str(success).lower()}]")


def text(tab, selector: str) -> str:
    return tab.evaluate(f"document.querySelector({json.dumps(selector)}).innerText").strip()


def width(tab, pixels: int, scheme: str = "light") -> None:
    tab.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        **{"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )


def load(tab, file: Path) -> None:
    """Chooses a file to load."""
    node = tab.call("Runtime.evaluate", expression="document.getElementById('load')")
    object_id = node["result"]["objectId"]
    tab.call("DOM.setFileInputFiles", files=[str(file)], objectId=object_id)


def exported(tab, folder: Path) -> Path:
    """The file that the button makes."""
    file = folder / "verdicts.json"
    tab.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    tab.click("[data-do=export]")
    end = time.monotonic() + browser.SECONDS
    while not file.exists():
        assert time.monotonic() < end, "nothing is downloaded"
        time.sleep(0.05)
    return file


def test_tables_are_filled_and_nothing_is_fetched(tab):
    outside = [url for url in tab.requests if not url.startswith(("data:", "file:"))]
    files = [url for url in tab.requests if url.startswith("file:")]
    assert (outside, len(files)) == ([], 1)
    counts = tab.evaluate("[...document.querySelectorAll('table')].map((t) => t.rows.length)")
    # Facts, groups, tasks, beside others, agreement, each task's episodes, skipped; with heads.
    assert counts == [10, 9, 5, 8, 3, 5, 5, 5, 5, 2]
    empty = (
        "[...document.querySelectorAll('table')].filter((t) => !t.tBodies[0].textContent.trim())"
    )
    assert tab.evaluate(f"{empty}.length") == 0
    assert tab.evaluate("document.querySelectorAll('svg .fill').length") > 8
    assert "No verdict of the judge is confirmed" in text(tab, "#agreement")


def test_links_open_their_tasks(tab):
    tab.click("td a[href='#task-3']")
    tab.until("document.getElementById('task-3').open")
    assert text(tab, "#task-3 summary b") == "supertux/igloo"


def test_clips_play(tab):
    if not importlib.util.find_spec("av"):
        pytest.skip("needs av, which is not installed")
    if not tab.evaluate(PLAYS):
        pytest.skip("this Chromium plays no H.264")
    assert tab.evaluate("document.querySelectorAll('video[src]').length") == 0  # not yet wanted
    tab.evaluate("document.getElementById('task-3').open = true")
    tab.until("document.querySelectorAll('video[src]').length === 2")
    captions = tab.evaluate(
        "[...document.querySelectorAll('#task-3 figcaption')].map((f) => f.innerText)"
    )
    assert captions == ["A success: episode 0, seed 100.", "A failure: episode 1, seed 101."]
    for number in range(2):
        video = f"document.querySelectorAll('video[src]')[{number}]"
        assert tab.evaluate(f"{video}.play().then(() => true)")
        tab.until(f"{video}.currentTime > 0.2")
        assert tab.evaluate(f"[{video}.videoWidth, {video}.videoHeight]") == [480, 240]
        assert tab.evaluate(f"{video}.duration") == pytest.approx(2, abs=0.2)


def test_confirming_overriding_exporting(tab, folder, tmp_path):
    say(tab, "supertux/igloo", 0, True)
    assert text(tab, f"{row('supertux/igloo', 0)} output") == "confirmed"
    say(tab, "supertux/igloo", 1, True)
    assert text(tab, f"{row('supertux/igloo', 1)} output") == "overridden"
    say(tab, "ale/pong", 0, True)
    say(tab, "ale/pong", 3, False)
    say(tab, "procgen/maze", 2, False)
    assert text(tab, f"{row('procgen/maze', 2)} output") == "the judge has none"
    say(tab, "ale/pong", 1, False)
    say(tab, "ale/pong", 2, True)
    say(tab, "ale/pong", 2, True)  # again: taken back
    note = f"{row('ale/pong', 1)} input"
    tab.click(note)
    tab.call("Input.insertText", text='it "missed" </script>')
    tab.key("Tab")
    shown = text(tab, "#agreement")
    file = exported(tab, tmp_path)
    said = agreement.read(file, results.read(folder).about["created"])
    assert said == [
        Said("ale/pong", 0, True),
        Said("ale/pong", 1, False, 'it "missed" </script>'),
        Said("ale/pong", 3, False),
        Said("procgen/maze", 2, False),
        Said("supertux/igloo", 0, True),
        Said("supertux/igloo", 1, True),
    ]
    outcomes = {(one.task, one.episode): one.outcome for one in results.read(folder).episodes}
    found = agreement.agreement(said, outcomes)
    assert (found.agreed, found.count, found.unjudged) == (3, 5, 1)
    # The page and the command say the same.
    assert shown == found.sentence()
    live = tab.evaluate("report.verdicts.agreement()")
    assert live == {**found.to_json(), "kappa": pytest.approx(found.kappa)}
    ids = ("both_success", "judge_only", "person_only", "both_failure")
    assert [int(text(tab, f"#{one}")) for one in ids] == [getattr(found, one) for one in ids]

    # Back into a fresh page, by its button and from the start.
    tab.open(folder / "report.html")
    load(tab, file)
    tab.until("document.body.dataset.said === '6'")
    assert text(tab, "#agreement") == shown
    assert tab.evaluate("report.verdicts.export()") == file.read_text()
    out = eval_page.write(folder, said=said, out=tmp_path / "again.html")
    tab.open(out)
    assert text(tab, "#agreement") == shown
    assert tab.evaluate(f'document.querySelector("{note}").value') == 'it "missed" </script>'
    assert tab.evaluate("report.verdicts.export()") == file.read_text()


def test_the_page_counts_as_the_command_does(tab, folder):
    """Whatever a person says of whichever episodes."""
    outcomes = {(one.task, one.episode): one.outcome for one in results.read(folder).episodes}
    rng = random.Random(0)
    for _ in range(60):
        some = rng.sample(sorted(outcomes), rng.randint(0, len(outcomes)))
        share = rng.choice((0, 0.5, 1))
        said = [Said(*key, rng.random() < share) for key in some]
        listed = json.dumps([vars(one) for one in said])
        live = tab.evaluate(
            f"new Verdicts({{...report.verdicts.data, verdicts: {listed}}}).agreement()"
        )
        assert live == pytest.approx(agreement.agreement(said, outcomes).to_json())


def test_leaving_with_verdicts_that_are_not_exported(tab, folder, tmp_path):
    tab.open(folder / "report.html")
    assert tab.dialogs == []
    say(tab, "ale/pong", 0, True)
    exported(tab, tmp_path)
    tab.open(folder / "report.html")
    assert tab.dialogs == []
    say(tab, "ale/pong", 0, True)
    tab.open(folder / "report.html")
    assert tab.dialogs == ["beforeunload"]


GOOD = {"task": "ale/pong", "episode": 0, "success": True}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "holds no verdicts"),
        ({"format": "other"}, "its format"),
        ({"format": agreement.FORMAT}, "no list"),
        ({"format": agreement.FORMAT, "created": "1970", "verdicts": []}, "of 1970"),
        ({"format": agreement.FORMAT, "verdicts": [GOOD | {"episode": 4}]}, "its verdict 0"),
        ({"format": agreement.FORMAT, "verdicts": [GOOD, GOOD | {"success": 1}]}, "its verdict 1"),
    ],
)
def test_other_files_are_not_loaded(tab, tmp_path, content, says):
    say(tab, "ale/pong", 1, True)
    file = tmp_path / "other.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    load(tab, file)
    tab.until("document.getElementById('message').textContent.includes('holds no verdicts')")
    assert says in text(tab, "#message")
    assert tab.evaluate("document.body.dataset.said") == "1"


@pytest.mark.parametrize(("pixels", "scheme"), [(1200, "dark"), (380, "light"), (380, "dark")])
def test_narrow_and_dark(tab, folder, pixels, scheme):
    width(tab, pixels, scheme)
    try:
        tab.open(folder / "report.html")
        tab.click("[data-do=open]")
        # Wide tables scroll within themselves: the page itself does not.
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        least = tab.evaluate(
            "Math.min(...[...document.querySelectorAll('td, th')]"
            ".filter((c) => c.innerText.length > 8).map((c) => c.clientWidth))"
        )
        assert least >= 40  # no cell is squeezed to a letter a line
        contrast = tab.evaluate(CONTRAST)
        assert contrast["page"] > 7
        assert min(contrast["plots"]) > 4
    finally:
        width(tab, 1200)


# Of text and of the text of plots to what is behind them, as WCAG defines it.
CONTRAST = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => {
      const c = v / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(document.body), paper = light(style.backgroundColor);
  const to = (colour) => {
    const one = light(colour);
    return (Math.max(one, paper) + 0.05) / (Math.min(one, paper) + 0.05);
  };
  return {
    page: to(style.color),
    plots: [...document.querySelectorAll("svg text")].map((t) => to(getComputedStyle(t).fill)),
  };
})()"""
