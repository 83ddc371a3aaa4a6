"""How chunks continue each other in what was played in real time."""

from __future__ import annotations

from typing import Any

import numpy as np

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.serving import continuity
from nitrogen_jax.serving.realtime import Report

SHORT = 3  # slots; a button's state that lasts less was cut short
_CLEAR = 6  # slots from the beginning and from the end that are not looked at


def figures(pads: Pad, report: Report, short: int = SHORT) -> dict[str, Any]:
    """Jerk of the sticks at borders of chunks and elsewhere, flicker of buttons per border.

    Args:
        pads: (N,) that the policy asked for, one for each slot.
        report: of the same slots.
        short: see SHORT.
    """
    slots = pads.shape[0]
    borders = [one for one in report.borders[1:] if _CLEAR <= one < slots - _CLEAR]
    found: dict[str, Any] = {
        "slots": report.slots,
        "chunks": report.chunks,
        "before_first": report.before_first,
        "starved": report.starved,
        "failed": report.failed,
        "late": report.late,
        "delay_slots": _spread(report.delays),
        "delay_ms": _spread([1e3 * one for one in report.seconds]),
        "borders": len(borders),
    }
    if not borders:
        return found
    jerk, flicker = continuity.stick_jerk(pads), continuity.button_flicker(pads, short)
    near = np.unique(np.concatenate([np.arange(one - 3, one + 1) for one in borders]))
    far = np.setdiff1d(np.arange(report.before_first + 3, len(jerk)), near)
    return found | {
        "jerk_at_borders": round(float(jerk[near].mean()), 4),
        "jerk_elsewhere": round(float(jerk[far].mean()), 4) if len(far) else None,
        "flicker_per_border": round(float(flicker.sum()) / len(borders), 4),
    }


def _spread(values: list[Any]) -> dict[str, float] | None:
    if not values:
        return None
    return {"median": round(float(np.median(values)), 3), "most": round(float(max(values)), 3)}
