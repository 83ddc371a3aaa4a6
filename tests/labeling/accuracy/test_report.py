"""What bench.json holds, and the rows of the table."""

from __future__ import annotations

import json

import pytest

from nitrogen_jax.labeling.accuracy.report import COLUMNS, report, rows, rows_of_each

METRICS = {
    *("clips", "coverage", "localisation_recall", "false_accepts", "stick_r2", "stick_r2_p10"),
    *("stick_r2_bestlag", "button_macro_f1", "onset_f1", "button_accuracy", "idle_accuracy"),
}


def scored(r2: float, kept=50) -> dict:
    stick = {"r2": r2, "r2_bestlag": r2 + 0.01, "lag": 1, "mae": 0.1}
    return {
        "frames": 60,
        "kept": kept,
        "sticks": {"left": stick, "right": {**stick, "r2": None, "r2_bestlag": None}},
        "buttons": {"SOUTH": [5, 1, 1, 2, 2, 2]},
        "right": 48,
        "idle": 44,
        "cells": 50,
    }


def result(kind="known", skin="a", r2=0.9, core=True, read=True) -> dict:
    """A clip as `run.clip` returns it."""
    return {
        "name": "clip",
        "kind": kind,
        "skin": skin,
        "core": core,
        "frames": 60,
        "accepted": read,
        "located": read,
        "score": scored(r2) if read else None,
        "score_all": scored(r2 - 0.1, 60) if read else None,
        **({"video_seconds": 2.0, "cpu_seconds": {"locate": 1.0, "read": 3.0}} if read else {}),
    }


CLIPS = [
    result(r2=0.9),
    result(skin="b", r2=0.8),
    result(skin="b", r2=0.6, core=False),
    result("unknown", "generated-1", read=False),
    result("none", None, read=False),
]


def test_every_group_holds_every_metric_with_its_interval():
    found = report(CLIPS)
    groups = [found[name] for name in ("overall", "core", "all_frames", "unknown")]
    assert set(found["skins"]) == {"a", "b"}
    for group in (*groups, *found["skins"].values()):
        assert set(group) == METRICS | {"intervals"}
        assert set(group["intervals"]) == METRICS - {"clips"}
    # It is plain JSON, without NaN.
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    assert len(found["clips"]) == 5


def test_who_belongs_to_which_group():
    found = report(CLIPS)
    assert found["overall"]["clips"] == 4
    assert found["core"]["clips"] == 3
    assert found["unknown"]["clips"] == 1
    assert {name: one["clips"] for name, one in found["skins"].items()} == {"a": 1, "b": 2}
    assert found["overall"]["stick_r2"] == (0.9 + 0.8 + 0.6) / 3
    assert found["core"]["stick_r2"] == (0.9 + 0.8) / 2
    assert abs(found["skins"]["b"]["stick_r2"] - 0.7) < 1e-9
    assert found["overall"]["coverage"] == 150 / 180
    assert found["overall"]["localisation_recall"] == 1
    # Without dropping unsure frames, there are more of them and they are worse.
    assert found["all_frames"]["coverage"] == 1
    assert abs(found["all_frames"]["stick_r2"] - (0.9 + 0.8 + 0.6 - 0.3) / 3) < 1e-9
    assert found["unknown"]["localisation_recall"] == 0
    assert found["unknown"]["stick_r2"] is None


def test_where_no_skin_is_known_overall_is_everything():
    clips = [result("unknown", "a", 0.5), result("unknown", "b", 0.7), result("none", None)]
    found = report(clips)
    assert found["overall"]["clips"] == 3
    assert set(found["skins"]) == {"a", "b"}
    assert found["unknown"]["clips"] == 2
    assert found["overall"]["false_accepts"] == 1


def test_cpu_seconds_are_per_hour_of_video():
    cpu = report(CLIPS)["cpu_seconds_per_hour"]
    # Three clips of two seconds each.
    assert cpu == pytest.approx({"locate": 3 / 6 * 3600, "read": 9 / 6 * 3600})
    assert report([result(read=False)])["cpu_seconds_per_hour"] == {}


def test_groups_without_clips_are_none():
    found = report([result(core=False)])
    assert found["core"] is None
    assert found["unknown"] is None
    nothing = report([result(read=False)])
    assert nothing["overall"]["stick_r2"] is None
    assert nothing["overall"]["coverage"] == 0


def test_rows_of_the_table():
    found = rows(report(CLIPS))
    assert [row[0] for row in found] == ["overall", "core", "all_frames", "unknown", "a", "b"]
    names = [name for name, _ in COLUMNS]
    assert set(names) == METRICS
    for row in found:
        assert len(row) == len(COLUMNS) + 1
    cells = dict(zip(names, found[0][1:], strict=True))
    assert cells["clips"] == "4"
    assert cells["stick_r2"] == "0.767"
    assert dict(zip(names, found[3][1:], strict=True))["stick_r2"] == "-"
    assert [row[0] for row in rows(report([result()]))] == ["overall", "core", "all_frames", "a"]


def test_reliability_is_of_all_clips_that_were_read():
    one = {**result(), "reliability": [[0] * 9 + [10], [0] * 9 + [9]]}
    other = {**result(), "reliability": [[4] + [0] * 8 + [10], [1] + [0] * 8 + [10]]}
    found = report([one, other, result(read=False)])["reliability"]
    assert found[0] == {"from": 0.0, "to": 0.1, "frames": 4, "right": 0.25}
    assert found[5]["right"] is None
    assert (found[9]["frames"], found[9]["right"]) == (20, 0.95)
    assert report([result(read=False)])["reliability"] == []


def test_one_thing_at_a_time():
    worse = {"score": scored(0.5), "score_all": scored(0.4, 60), "located": True}
    lost = {"score": None, "score_all": None, "located": False, "accepted": False}
    clips = [{**result(), "each": {"without scene": one}} for one in (worse, lost)]
    clips.append(result("none", None, read=False))
    found = report(clips)
    each = found["each"]["without scene"]
    assert each["overall"]["stick_r2"] == 0.5
    assert each["all_frames"]["stick_r2"] == 0.4
    assert each["overall"]["localisation_recall"] == 0.5
    names = [row[0] for row in rows_of_each(found)]
    assert names == ["as it is", "without scene"]
    assert rows_of_each(report([result()]))[1:] == []
