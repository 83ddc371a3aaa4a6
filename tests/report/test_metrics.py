"""Metrics as tables: the figures are there, and undefined ones are dashes."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from nitrogen_jax.evaluation.action_metrics import action_metrics
from nitrogen_jax.gamepad import BUTTON_INDEX, Pad
from nitrogen_jax.report.metrics import metric_tables


def rendered(tables):
    console = Console(width=120)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return [line.split() for line in capture.get().replace("│", " ").splitlines()]


def make_pad(steps, pressed=0):
    buttons = np.zeros((steps, 21), bool)
    buttons[:pressed, BUTTON_INDEX["SOUTH"]] = True
    return Pad(buttons, np.zeros((steps, 2)), np.zeros((steps, 2)))


def test_figures():
    lines = rendered(metric_tables(action_metrics(make_pad(10, 4), make_pad(10, 5))))
    accuracy, idle = f"{1 - 1 / 210:.4f}", f"{1 - 5 / 210:.4f}"
    assert ["button", "accuracy", accuracy, idle] in lines
    assert ["button", "F1,", "all", "presses", f"{8 / 9:.4f}"] in lines
    assert ["left", "stick", "R2", "-"] in lines
    assert ["SOUTH", "1.0000", "0.8000", f"{8 / 9:.4f}", "5"] in lines
    assert not any("NORTH" in line for line in lines)


def test_without_any_press_there_is_no_table_of_buttons():
    metrics = action_metrics(make_pad(3), make_pad(3))
    assert len(metric_tables(metrics)) == 1
