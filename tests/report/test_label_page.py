"""A summary of labels as tables, plots and a page."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax import gamepad

pytest.importorskip("pyarrow")
pytest.importorskip("matplotlib")
from nitrogen_jax.data.label_summary import BINS, GameSum, LabelSummary
from nitrogen_jax.report import label_page


def a_summary(**changes):
    buttons = np.zeros(21, np.int64)
    buttons[[gamepad.BUTTON_INDEX["SOUTH"], gamepad.BUTTON_INDEX["NORTH"]]] = 30, 60
    fields = {
        **{"chunks": 4, "rows": 100, "seconds": 7200.0, "idle": 25, "buttons": buttons},
        "games": {f"game {i}": GameSum(1, 1800.0 - i, 25, 5 * i) for i in range(4)},
        **{"rates": {60.0: 3, 59.9: 1}, "controllers": {"ps4": 4}, "with_processed": 1},
        **{"left": np.ones((BINS, BINS), np.int64), "right": np.zeros((BINS, BINS), np.int64)},
    }
    return LabelSummary(**(fields | changes))


def named(tables):
    return {table.title: table.rows for table in tables}


def test_games_beyond_the_first_are_one():
    games = label_page.games(a_summary(), 2)
    assert games == [
        ("game 0", GameSum(1, 1800.0, 25, 0)),
        ("game 1", GameSum(1, 1799.0, 25, 5)),
        ("2 other games", GameSum(2, 3595.0, 50, 25)),
    ]
    assert [name for name, _ in label_page.games(a_summary(), 4)] == [f"game {i}" for i in range(4)]


def test_tables():
    rows = named(label_page.tables(a_summary()))
    assert ("hours", "2.00") in rows[""]
    assert ("idle rows", "25.0%") in rows[""]
    assert ("chunks with actions_processed", "25.0%") in rows[""]
    assert rows["buttons"] == [("NORTH", "60.0%"), ("SOUTH", "30.0%")]
    assert rows["rates"] == [("60.0", "3", "75.0%"), ("59.9", "1", "25.0%")]
    assert rows["games"][1] == ("game 1", "0.50", "1", "20.0%")
    assert "chunks that cannot be read" not in rows  # no empty tables


def test_long_lists_end():
    rates = {float(i): 100 - i for i in range(1, 11)}
    rows = named(label_page.tables(a_summary(rates=rates), top=3))["rates"]
    assert [row[0] for row in rows] == ["1.0", "2.0", "3.0", "7 others"]
    assert rows[-1][1] == f"{sum(100 - i for i in range(4, 11)):,}"


@pytest.mark.parametrize(
    ("shares", "median"), [({}, "-"), ({7: 1}, "7 to 8 %"), ({2: 3, 50: 2}, "2 to 3 %")]
)
def test_the_median_overlay(shares, median):
    counts = np.zeros(101, np.int64)
    for share, count in shares.items():
        counts[share] = count
    facts = dict(label_page.tables(a_summary(overlay_shares=counts))[0].rows)
    assert facts["part of the frame that the overlay covers, median"] == median
    assert ("overlays" in label_page.draw(a_summary(overlay_shares=counts))) == bool(shares)


def test_nothing_at_all():
    nothing = LabelSummary()
    assert label_page.draw(nothing) == {}
    assert dict(label_page.tables(nothing)[0].rows)["idle rows"] == "-"
    assert "<h1>Labels of &lt;x&gt;</h1>" in label_page.page(nothing, "<x>", {})


def test_the_page_shows_every_plot_once():
    summary = a_summary()
    drawn = label_page.draw(summary)
    page = label_page.page(summary, "tree", drawn)
    assert page.count("<img ") == len(drawn) == 6
    for name in drawn:
        assert f'alt="{name.replace("_", " ")}"' in page
