"""The page of an evaluation, as text: what it says is what was played, and nothing is outside."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import results
from nitrogen_jax.evaluation.agreement import Said
from nitrogen_jax.evaluation.statistics import wilson
from nitrogen_jax.report import eval_page, eval_plots, eval_tables
from nitrogen_jax.report.eval_plots import Dot, Share

_spec = importlib.util.spec_from_file_location(
    "eval_folders", Path(__file__).with_name("eval_folders.py")
)
folders = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(folders)


class Page(HTMLParser):
    """Its tables as text, its tags, its scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.inside: list[str] = []
        self.feed(text)
        self.close()
        assert self.inside == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "input", "img", "br"):
            self.inside.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if {"td", "th"} & set(self.inside):
            self.tables[-1][-1][-1] += data
        self.words.append(data)

    def table(self, head: str) -> list[dict[str, str]]:
        """The rows of the table whose first heading this is."""
        found = next(one for one in self.tables if one[0][0] == head)
        return [dict(zip(found[0], row, strict=True)) for row in found[1:]]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    folder = folders.make(tmp_path_factory.mktemp("eval") / "results")
    return results.read(folder)


@pytest.fixture(scope="module")
def weaker(tmp_path_factory):
    root = tmp_path_factory.mktemp("others")
    return results.read(folders.make(root / "weak", folders.WEAKER, "hold"))


def test_the_table_of_tasks_is_what_was_played(read):
    rows = Page(eval_page.page(read)).table("task")
    assert len(rows) == len(folders.HAND)  # skipped ones are elsewhere
    for row, (task, played) in zip(rows, sorted(folders.HAND.items()), strict=True):
        category, dimensions, procedural, goal = folders.TASKS[task]
        assert row["task"].startswith(task)
        place = "procedural" if procedural else "fixed"
        assert goal in row["task"]
        assert f"({category}, {dimensions}D, {place})" in row["task"]
        good = sum(outcome == "success" for outcome, _ in played)
        judged = [progress for outcome, progress in played if outcome in ("success", "failure")]
        assert row["success"] == (f"{good}/{len(judged)}" if judged else "\u2013")
        if judged:
            low, high = wilson(good, len(judged))
            assert row["with its 95 % interval"].endswith(f"({low:.0%} to {high:.0%})")
            assert float(row["progress"]) == pytest.approx(sum(judged) / len(judged), abs=0.006)
        for column, outcome in (
            ("crashes", "crash"),
            ("time-outs", "time-out"),
            ("policy errors", "policy error"),
        ):
            count = sum(one == outcome for one, _ in played)
            assert row[column] == (str(count) if count else "\u2013")
        assert (row["time each"], row["time"]) == ("4.5 s", "18.0 s")


def test_groups(read):
    found = Page(eval_page.page(read))
    rows = {row["group"]: row for row in found.table("")}
    assert list(rows) == [
        *("all tasks", "combat", "navigation", "game-specific", "2D", "3D", "fixed", "procedural")
    ]
    assert rows["all tasks"]["success"] == "5/10"
    assert rows["navigation"]["success"] == "2/3"
    assert rows["3D"]["success"] == "0/3"
    assert rows["procedural"]["success"] == "\u2013"


def test_what_it_is_of(read):
    found = Page(eval_page.page(read))
    text = " ".join(found.words)
    about = read.about
    for words in (about["command"], about["created"], "a processor", "numpy: 2.3", "b>7</b>"):
        assert words in text
    assert "1 crash, 1 time-out, 4 policy errors" in text
    assert "Skipped: 1 task." in text
    (skipped,) = [row for table in found.tables for row in table if row[0] == "etr/finish"]
    assert skipped[1] == folders.SKIPPED["etr/finish"]


def test_others_beside_it(read, weaker):
    found = Page(eval_page.page(read, [weaker]))
    column = [row["hold: success"] for row in found.table("task")]
    assert column == ["0/4", "\u2013", "\u2013", "1/4"]
    rows = {row["group"]: row for row in found.table("group")}
    # Episode 3 of SuperTux was a crash for one of them: 3 + 4 pairs.
    assert rows["all tasks"]["pairs"] == "7"
    assert rows["ale/pong"]["checkpoint <b>7</b>: success"] == "75%"
    assert rows["ale/pong"]["hold: success"] == "0%"
    assert rows["ale/pong"]["difference in points"].startswith("+75 (")
    assert rows["ale/pong"]["relative improvement"] == "\u2013"  # nothing to be relative to
    assert rows["navigation"]["relative improvement"].startswith("+100%")
    assert rows["ale/pong"]["difference"].startswith("+0.44 (")
    assert "combat" not in rows
    legend = [words for words in found.words if words == "hold"]
    assert len(legend) >= 2  # below both plots


def test_others_that_share_nothing(read, tmp_path):
    other = folders.make(tmp_path / "other", {"procgen/maze": [("success", 1.0)]}, "expert")
    text = eval_page.page(read, [results.read(other)])
    assert "expert has no episode that both have played" in text


def test_two_of_the_same_name_are_told_apart(read, tmp_path):
    other = results.read(folders.make(tmp_path / "again"))
    names = eval_tables.names([read, other])
    assert names == ["checkpoint <b>7</b> (results)", "checkpoint <b>7</b> (again)"]


def test_other_seeds_are_no_pairs(read, tmp_path):
    folder = folders.make(tmp_path / "other")
    lines = (folder / "episodes.jsonl").read_text().replace('"seed": 10', '"seed": 20')
    (folder / "episodes.jsonl").write_text(lines)
    with pytest.raises(NitrogenError, match="seed"):
        eval_page.page(read, [results.read(folder)])


def test_nothing_outside(read, weaker):
    text = eval_page.page(read, [weaker])
    found = Page(text)
    for tag, attributes in found.tags:
        for name in ("src", "data-src", "srcset", "action", "poster"):
            assert attributes.get(name, "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#"), tag
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import", text)
    links = {one["href"][1:] for tag, one in found.tags if tag == "a"}
    assert links == {one["id"] for tag, one in found.tags if tag == "details"}


def test_text_stays_text(tmp_path):
    nasty = '</script><script>alert(1)</script><img src=x onerror="y">\x00'
    folder = folders.make(
        tmp_path / "n",
        {"ale/pong": [("failure", 0.0)]},
        nasty,
        command=nasty,
        suite=nasty,
        created=nasty,
        machine={nasty: nasty},
        skipped={"ale/pong": nasty, "etr/finish": nasty},
    )
    row = json.loads((folder / "episodes.jsonl").read_text())
    row |= {"why": nasty, "facts": {nasty: nasty}}
    (folder / "episodes.jsonl").write_text(json.dumps(row) + "\n")
    read = results.read(folder)
    text = eval_page.page(read, said=[Said("ale/pong", 0, True, nasty)])
    found = Page(text)
    tags = [tag for tag, _ in found.tags]
    assert tags.count("script") == 2
    assert "img" not in tags
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert data["verdicts"][0]["note"] == data["created"] == nasty


def test_nothing_played_yet(tmp_path):
    read = results.read(folders.make(tmp_path / "none", {}, skipped={}))
    text = eval_page.page(read)
    assert "Nothing was judged yet." in text
    assert "Not played yet: 16 episodes." in text
    assert "Skipped" not in text
    Page(text)


def test_clips_lie_in_the_page(tmp_path):
    pytest.importorskip("av")
    folder = folders.make(tmp_path / "results", clips=[("supertux/igloo", 1), ("ale/pong", 0)])
    read = results.read(folder)
    found = [one for tag, one in Page(eval_page.page(read)).tags if tag == "video"]
    packed = [base64.b64decode(one["data-src"].partition("base64,")[2]) for one in found]
    wanted = ["ale__pong-0", "supertux__igloo-1"]  # in the order of their tasks
    assert packed == [(folder / "clips" / f"{name}.mp4").read_bytes() for name in wanted]
    assert "No clip lies" not in eval_page.page(read)
    for path in (folder / "clips").iterdir():
        path.unlink()
    assert "No clip lies" in eval_page.page(read)


def test_it_is_written_at_once(tmp_path):
    folder = folders.make(tmp_path / "results")
    out = eval_page.write(folder)
    assert out == folder / "report.html"
    assert out.read_text(encoding="utf-8") == eval_page.page(results.read(folder))
    assert sorted(one.name for one in folder.iterdir()) == [
        *("episodes.jsonl", "eval.json", "report.html")
    ]


def test_verdicts_in_the_folder_are_kept(tmp_path):
    folder = folders.make(tmp_path / "results")
    said = [{"task": "ale/pong", "episode": 1, "success": False, "note": "seen twice"}]
    (folder / "verdicts.json").write_text(
        json.dumps({"format": "nitrogen verdicts 1", "verdicts": said})
    )
    assert "seen twice" in eval_page.write(folder).read_text()
    assert "seen twice" not in eval_page.write(folder, said=()).read_text()


def test_it_needs_neither_networks_nor_plots(run_python, tmp_path):
    folder = folders.make(tmp_path / "results")
    code = "import sys; from nitrogen_jax.report import eval_page; eval_page.write(sys.argv[1])\n"
    code += "assert not {'jax', 'flax', 'av', 'matplotlib'} & sys.modules.keys()"
    done = run_python("-c", code, str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").exists()


# ---------------------------------------------------------------------------------------------
# Plots


def test_a_bar_is_as_long_as_its_share():
    text = eval_plots.bar(Share(0.25, 0.1, 0.5))
    assert f'class="fill" width="{0.25 * eval_plots.BAR_WIDTH:.1f}"' in text
    assert f"M{0.1 * eval_plots.BAR_WIDTH:.1f} " in text
    assert f"H{0.5 * eval_plots.BAR_WIDTH:.1f}" in text
    assert 'aria-label="25% (10% to 50%)"' in text
    assert eval_plots.bar(None) == ""


def test_points_are_where_their_values_are():
    text = eval_plots.shares(
        "t", ["a", "<b>"], [("one", [Share(0, 0, 1), None]), ("two", [None, Share(1, 0.5, 1)])]
    )
    places = [float(x) for x in re.findall(r'circle cx="([\d.]+)"', text)]
    left = eval_plots.start(["a", "<b>"])
    assert places == [left, left + eval_plots.AXIS]
    assert "<b>" not in text
    assert text.count('class="key') == 2
    assert "key" not in eval_plots.shares("t", ["a"], [("one", [None])])


def test_the_mean_is_of_what_counts():
    dots = [Dot(0.2, "failure", ""), Dot(0.6, "success", ""), Dot(0.0, "lost", "")]
    text = eval_plots.dots("t", ["a", "b"], [dots, []], "progress")
    (mean,) = re.findall(r'class="mean" d="M([\d.]+) ', text)
    left = eval_plots.start(["a", "b"])
    assert float(mean) == pytest.approx(left + 0.4 * eval_plots.AXIS, abs=0.1)
    assert text.count("<circle") == 3
