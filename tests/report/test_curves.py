"""The page of a run: all that was logged, of runs of every length and in every state."""

from __future__ import annotations

import base64
import html
import json
import re

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError

pytest.importorskip("matplotlib")
from nitrogen_jax.evaluation import action_metrics
from nitrogen_jax.report import curves, plots


def train(step, **metrics):
    return {"kind": "train", "step": step, "time": f"2026-01-01T00:{step % 60:02}:00Z"} | metrics


def summary(seed):
    """Action metrics of random pads."""
    rng = np.random.default_rng(seed)
    pads = [gamepad.decode(rng.random((9, 25)).astype(np.float32)) for _ in range(2)]
    return action_metrics.action_metrics(*pads)


def validation(step):
    return {
        "kind": "validation",
        "step": step,
        "time": "2026-01-01T01:00:00Z",
        "loss": 1 / step,
        "overall": summary(step),
        "majority": summary(step + 1),
        "games": {"Celeste": summary(step + 2), "Hades": summary(step + 3)},
    }


START = {
    "kind": "event",
    "step": 0,
    "time": "2026-01-01T00:00:00Z",
    "text": "started",
    "command": ["nitrogen", "train", "--name=a b"],
    "machine": {"device_kind": "NVIDIA H100", "devices": 8},
    "versions": {"jax": "0.10.2"},
}


def write(folder, lines, config=None):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "log.jsonl").write_text(text)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    path = curves.write_curves(folder)
    assert path == folder / "curves.html"
    return path.read_text()


def titles(page):
    """What plots the page has."""
    return [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="(.*?) over steps"', page)]


def cells(page):
    """Rows of all tables."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    return [tuple(map(html.unescape, re.findall(r"<td[^>]*>(.*?)</td>", row))) for row in rows]


@pytest.fixture
def drawn(monkeypatch):
    """The lines of every plot, which is not really drawn: that takes a third of a second each."""
    drawn = []

    def lines(members, *rest, **options):
        drawn.append(members)
        return plots.Plot(b"", "<svg/>")

    monkeypatch.setattr(plots, "lines", lines)
    return drawn


def test_a_run(tmp_path, drawn):
    lines = [START]
    lines += [train(i, loss=1 / i, grad_norm=2.0, rate=1e-4, part=i) for i in range(1, 41)]
    lines += [validation(20), validation(40)]
    page = write(tmp_path, lines, {"task": {"depth": 12}, "steps": [1, 2], "none": None})
    assert page.startswith("<!DOCTYPE html>")
    assert {"loss", "norm of the gradient", "learning rate", "part"} <= set(titles(page))
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    found = cells(page)
    assert ("loss", "40", "0.025", "0.025", "1") in found
    assert ("loss", "40", "0.025", "0.025", "0.05") in found  # of the validations
    assert ("task.depth", "12") in found
    assert ("none", "null") in found
    assert ("command", "nitrogen train '--name=a b'") in found
    assert ("machine.device_kind", "NVIDIA H100") in found
    assert ("versions.jax", "0.10.2") in found
    assert {"overall", "majority"} in [members.keys() for members in drawn]
    for game in ("Celeste", "Hades"):
        assert any(row[0] == f"games/{game}/buttons/per_button/SOUTH/f1" for row in found if row)


def test_curves_are_really_drawn(tmp_path):
    lines = [train(i, loss=1 / i) for i in range(1, 41)]
    games = {"A": {"f1": 0.25}, "B": {"f1": 0.5}}
    lines.append({"kind": "validation", "step": 40, "games": games})
    page = write(tmp_path, lines)
    svgs = [
        base64.b64decode(data).decode()
        for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    ]
    assert len(svgs) == len(titles(page)) == 2
    assert "games/f1" in svgs[1]
    for game in games:
        assert f">{game}</text>" in svgs[1]


def test_one_step_and_nothing_else(tmp_path):
    page = write(tmp_path, [train(1, loss=0.5)])
    assert titles(page) == ["loss"]
    assert ("last loss", "0.5") in cells(page)
    assert "Validation" not in page


def test_an_empty_log(tmp_path):
    assert "No step has been logged" in write(tmp_path, [])


def test_gaps_and_nulls(tmp_path):
    lines = [train(i, loss=None if i == 3 else 1.0, late=i) for i in range(1, 6)]
    lines += [train(6), train(7, loss=2.0, never=None), {"kind": "train", "step": 8, "loss": None}]
    page = write(tmp_path, lines)
    assert {"loss", "late"} == set(titles(page))
    assert ("loss", "7", "2", "1", "2") in cells(page)
    assert ("last loss", "-") in cells(page)


def test_nothing_finite(tmp_path):
    lines = [train(1, loss=0.5), train(2, grad_norm=float("inf"))]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    page = curves.page("x", [train(1, loss=None), train(2, loss=None)], {})
    assert titles(page) == []
    assert titles(curves.write_curves(tmp_path).read_text()) == ["loss"]


def test_a_folder_without_a_log(tmp_path):
    with pytest.raises(NitrogenError, match=r"cannot read the log .*log\.jsonl"):
        curves.write_curves(tmp_path)
    write(tmp_path, [train(1, loss=1.0)])
    (tmp_path / "config.json").write_text("{half")
    curves.write_curves(tmp_path)


NAMES = ["<script>alert(1)</script>", '"&', "$x$", "a/b", "ゼルダ", "\x1b[0m", "", "_x"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name(tmp_path, name):
    lines = [train(i, loss=1.0, **{name: i}) for i in (1, 2)]
    games = {name: {"f1": 0.5}, "other": {"f1": 0.25}}
    lines += [{"kind": "validation", "step": i, "games": games, name: i} for i in (1, 2)]
    lines.append({**START, "text": name, "command": [name], "machine": {name: name}})
    page = write(tmp_path, lines, {name: name})
    assert "<script" not in page
    assert "\x1b" not in page


def test_metrics_that_are_alike_share_a_plot():
    found = curves.series([validation(1), validation(2)])
    groups = dict(curves.grouped(found))
    assert groups["loss"].keys() == {"loss"}
    assert groups["buttons/micro_f1"].keys() == {"overall", "majority"}
    assert groups["overall/buttons/per_button/f1"].keys() == set(gamepad.BUTTONS)
    assert groups["overall/sticks/r2"].keys() == {"left", "right"}
    assert groups["games/buttons/micro_f1"].keys() == {"Celeste", "Hades"}
    assert len(groups) < curves.PLOTS
    values = found["games/Hades/buttons/micro_f1"]
    assert groups["games/buttons/micro_f1"]["Hades"] == values


def test_every_metric_of_a_plain_validation_is_in_one_plot():
    lines = [
        {"kind": "validation", "step": 1, "loss": 1.0, "a": {"x": 1, "y": {"z": 2}}, "b": {"x": 1}}
    ]
    found = curves.series(lines)
    names = [
        title if len(lines) == 1 else f"{title}:{name}"
        for title, lines in curves.grouped(found)
        for name in lines
    ]
    assert sorted(names) == sorted(found)


def test_a_name_that_is_a_number_here_and_a_group_there():
    lines = [
        {"kind": "validation", "step": 1, "a": 1.0},
        {"kind": "validation", "step": 2, "a": {"b": 2.0}},
        {"kind": "validation", "step": 3, "a": 3.0},
    ]
    assert list(curves.grouped(curves.series(lines)))
    assert "a/b" in curves.page("x", lines, {})


def test_lines_of_one_step_count_together():
    lines = [train(1, loss=1.0, old=1), train(2, loss=2.0), train(1, loss=3.0)]
    assert curves.series(lines) == {"loss": ([1, 2], [3.0, 2.0]), "old": ([1, 2], [1, None])}


def test_there_are_not_too_many_plots(drawn):
    found = [
        {"kind": "validation", "step": step, **{f"m{i}": i + step for i in range(200)}}
        for step in (1, 2)
    ]
    page = curves.page("x", found, {})
    assert len(drawn) == curves.PLOTS
    assert f"{200 - curves.PLOTS} more plots were left out" in page
    assert ("m199", "2", "201", "200", "201") in cells(page)
    drawn.clear()
    flat = [{"kind": "validation", "step": step, "loss": step, "count": 7} for step in (1, 2)]
    curves.page("x", flat, {})
    assert [list(members) for members in drawn] == [["loss"]]
