"""Tables, means over seeds, the best run, the files and the page."""

from __future__ import annotations

import csv
import json
import math

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sweep import page, plan, results

LOSS = "validation.loss"


def finished(out, run, loss, **more):
    folder = out / run.name
    folder.mkdir(parents=True)
    metrics = {"validation": {"loss": loss, "note": "x", **more}, "train": {"loss": loss / 2}}
    text = {"state": "finished", "step": 1000, "metrics": metrics, "seconds": 90.0}
    (folder / "result.json").write_text(json.dumps(text))


@pytest.fixture
def rows(tmp_path):
    """rate 0.1 and 1 with seeds 0 and 1; the last one has not finished."""
    runs = plan.make_runs(["rate=0.1,1"], [], seeds=2)
    for run, loss in zip(runs[:3], (1.0, 3.0, 2.5), strict=True):
        finished(tmp_path, run, loss)
    (tmp_path / runs[3].name).mkdir()
    return results.collect(tmp_path, runs)


def test_rows_tell_how_far_each_run_is(tmp_path, rows):
    assert [row.state for row in rows] == ["finished"] * 3 + ["unfinished"]
    assert rows[0].metrics == {LOSS: 1.0, "train.loss": 0.5}
    assert (rows[0].step, rows[0].seconds) == (1000, 90.0)
    assert rows[3].metrics == {}
    known = {rows[3].name: "failed"}
    runs = plan.make_runs(["rate=0.1,1"], [], seeds=2)
    assert results.collect(tmp_path, runs, known)[3].state == "failed"
    assert results.collect(tmp_path / "other", runs)[0].state == "not started"


def test_seeds_are_averaged(rows):
    low, high = results.settings(rows, LOSS)
    assert (low.overrides, low.mean) == ({"rate": "0.1"}, 2.0)
    assert math.isclose(low.deviation, math.sqrt(2))
    assert (high.values, high.deviation) == ((2.5,), None)


@pytest.mark.parametrize(("which", "rate"), [("min", "0.1"), ("max", "1")])
def test_the_best_is_that_of_the_means(rows, which, rate):
    assert results.best(results.settings(rows, LOSS), which).overrides == {"rate": rate}


def test_a_loss_that_is_not_finite_is_never_the_best():
    found = [results.Setting({"a": str(v)}, (v,)) for v in (math.nan, -math.inf, 1.0, math.inf)]
    for which in ("min", "max"):
        assert results.best(found, which).values == (1.0,)
    assert results.best(found[:1], "min") is None


@pytest.mark.parametrize(
    ("metric", "which"),
    [(LOSS, "min"), ("sticks.left.angle_error_degrees", "min"), ("buttons.micro_f1", "max")],
)
def test_which_way_is_better(metric, which):
    assert results.better(metric) == which


def test_metrics_are_chosen(rows):
    assert results.choose_metric(rows, None) == LOSS
    assert results.choose_metric(rows, "train.loss") == "train.loss"
    assert results.choose_metric(rows[3:], "anything") is None
    with pytest.raises(NitrogenError, match=r"did you mean 'validation\.loss'"):
        results.choose_metric(rows, "validation.los")


def test_files_hold_everything(tmp_path, rows):
    results.write_csv(tmp_path / "table.csv", rows)
    with (tmp_path / "table.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [line["state"] for line in read] == [row.state for row in rows]
    assert (read[0]["rate"], read[0]["seed"], float(read[0][LOSS])) == ("0.1", "0", 1.0)
    assert read[3][LOSS] == ""
    results.write_json(tmp_path / "table.json", rows, LOSS, "min")
    whole = json.loads((tmp_path / "table.json").read_text())
    assert whole["best_setting"] == {"overrides": {"rate": "0.1"}, "mean": 2.0}
    assert [run["metrics"].get(LOSS) for run in whole["runs"]] == [1.0, 3.0, 2.5, None]


def test_the_table_has_a_line_a_run(rows):
    columns, cells = page.table(rows, LOSS)
    assert columns == ["run", "state", "rate>", "seed>", "steps>", "minutes>", f"{LOSS}>"]
    assert cells[0] == [rows[0].name, "finished", "0.1", "0", "1,000", "1.5", "1"]
    assert cells[3][4:] == ["-", "-", "-"]
    assert all(len(line) == len(columns) for line in cells)


def test_the_best_is_said(rows):
    line = page.best_line(results.settings(rows, LOSS), LOSS, "min")
    assert line == "best (min) validation.loss: 2 (mean of 2 runs) with rate=0.1"


def test_the_axis_is_the_first_number_that_differs(tmp_path):
    runs = plan.make_runs(["a=x,y", "b=3", "c=1e-4,3"], [], seeds=2)
    for at, run in enumerate(runs):
        finished(tmp_path, run, at)
    found = results.collect(tmp_path, runs)
    assert page.numeric_axis(found) == "c"
    assert page.numeric_axis(found[:2]) is None
    svg = page.plot(found, LOSS).svg
    assert ">a=x, b=3<" in svg
    assert ">a=y, b=3<" in svg


def test_without_an_axis_each_run_has_a_point(tmp_path):
    runs = plan.make_runs(["name=x,y"])
    for run, loss in zip(runs, (-1.0, 2.0), strict=True):
        finished(tmp_path, run, loss)
    svg = page.plot(results.collect(tmp_path, runs), LOSS).svg
    assert ">name=x<" in svg
    assert "-1<" in svg.replace("\N{MINUS SIGN}", "-")


def test_the_page_is_whole(tmp_path, rows):
    page.write(tmp_path, rows, LOSS, "min", "Config <x>.")
    text = (tmp_path / page.PAGE).read_text()
    assert "Config &lt;x&gt;." in text
    assert "means over seeds" in text
    assert text.count("<img ") == 1
    assert "http" not in text.replace("http-equiv", "")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")


def test_a_sweep_without_results_has_a_page_without_a_plot(tmp_path):
    found = results.collect(tmp_path, plan.make_runs(["a=1,2"]))
    page.write(tmp_path, found, None, "max", "")
    assert "<img" not in (tmp_path / page.PAGE).read_text()
    assert not (tmp_path / "plot.png").exists()
