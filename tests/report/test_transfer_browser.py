"""The page of a transfer study in a real browser: its plot is drawn, and nothing is fetched."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("websocket", reason="needs websocket, of the extra bake")
from nitrogen_jax.chain import transfer_results
from nitrogen_jax.chain.transfer import Study
from nitrogen_jax.evaluation.paired import paired_bootstrap
from nitrogen_jax.evaluation.statistics import Summary
from nitrogen_jax.report import transfer_page

spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)
if browser.executable() is None:
    pytest.skip("needs a Chromium, which the extra bake drives", allow_module_level=True)

STUDY = Study(played=("vizdoom/my-way-home",), near="vizdoom/defend-the-center", far="ale/breakout")


def cell(where, who, minutes, won):
    apart = {"crash": 0, "time-out": 0, "policy error": 0}
    share = won / 20
    summary = Summary("", 1, 20, won, 20, share, 0.0, 1.0, share, apart, 60.0, 9.0)
    category = "combat" if where == "near" else "game-specific"
    return transfer_results.Cell(
        where, STUDY.held_out(where), category, who, minutes, summary, 0.0, 1.0
    )


@pytest.fixture
def page(tmp_path):
    cells, compared = [], []
    for where in ("near", "far"):
        cells += [cell(where, "random", 0, 1), cell(where, "expert", 0, 20)]
        for at, minutes in enumerate(STUDY.minutes):
            cells += [
                cell(where, "pretrained", minutes, 9 + at),
                cell(where, "scratch", minutes, 5),
            ]
            made = paired_bootstrap(where, [1.0] * 9 + [0.0] * 11, [1.0] * 5 + [0.0] * 15)
            compared += [
                transfer_results.Compared(where, minutes, measure, made)
                for measure in ("success", "progress")
            ]
    found = transfer_results.Found(STUDY, tuple(cells), tuple(compared), (), {"cores": 2}, "", ())
    return transfer_page.write(found, tmp_path / "report")


def test_the_page_shows_its_plot_and_asks_for_nothing(page, tmp_path_factory):
    with browser.tab(tmp_path_factory.mktemp("browser")) as tab:
        tab.open(page)
        width = tab.evaluate("document.querySelector('img').naturalWidth")
        assert width > 400
        assert tab.evaluate("document.querySelectorAll('table').length") == 4
        assert tab.problems == []
        assert all(one.startswith(("file:", "data:")) for one in tab.requests)
