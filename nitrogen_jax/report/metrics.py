"""Action metrics as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nitrogen_jax import terminal


def metric_tables(metrics: Mapping[str, Any]) -> list[Any]:
    """What `action_metrics.summarize` returns, as rich tables: overall, and button by button."""
    buttons, sticks = metrics["buttons"], metrics["sticks"]
    rows = [
        ("button accuracy", _number(buttons["accuracy"]), _number(buttons["accuracy_of_idle"])),
        ("button F1, all presses", _number(buttons["micro_f1"]), ""),
        ("button F1, mean of buttons", _number(buttons["macro_f1"]), ""),
    ]
    for name, stick in sticks.items():
        rows += [
            (f"{name} stick R2", _number(stick["r2"]), ""),
            (f"{name} stick mean absolute error", _number(stick["mae"]), ""),
            (f"{name} stick angle error, degrees", _number(stick["angle_error_degrees"]), ""),
        ]
    title = f"agreement with the truth over {metrics['steps']:,} steps"
    tables = [terminal.table(title, ("metric", "policy>", "idle>"), rows)]
    rows = [
        (name, *(_number(one[key]) for key in ("precision", "recall", "f1")), one["support"])
        for name, one in buttons["per_button"].items()
        if one["support"] or one["precision"] is not None
    ]
    if rows:
        columns = ("button", "precision>", "recall>", "F1>", "pressed steps>")
        tables.append(terminal.table("", columns, rows))
    return tables


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
