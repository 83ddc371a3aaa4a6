"""The controller's side of virtual time: modes, and what time it is in the game."""

from __future__ import annotations

import time

import numpy as np

from nitrogen_jax.sim import shared

START_NS = 1_000 * 10**9  # monotonic time at the start of every program
EPOCH_NS = 1_700_000_000 * 10**9  # wall clock at monotonic time 0
NEVER_NS = 2**63

MODES = {"real": shared.REAL, "speed": shared.SPEED, "lock": shared.LOCK}


def prepare(page: np.void, fps: float) -> None:
    """Sets the clocks of a program that has not started."""
    page["virtual_ns"] = page["anchor_virtual_ns"] = START_NS
    page["epoch_ns"] = EPOCH_NS
    page["frame_ns"] = round(1e9 / fps)
    page["speed"], page["limit_ns"] = 1.0, NEVER_NS
    page["anchor_real_ns"] = time.monotonic_ns()


def now(page: np.void) -> int:
    """Virtual monotonic time in ns, by the same rule as the shim's."""
    mode = int(page["mode"])
    if mode == shared.LOCK:
        return int(page["virtual_ns"])
    passed = max(0, time.monotonic_ns() - int(page["anchor_real_ns"]))
    if mode == shared.SPEED:
        passed = int(passed * float(page["speed"]))
    virtual = int(page["anchor_virtual_ns"]) + passed
    return min(virtual, int(page["limit_ns"])) if mode == shared.SPEED else virtual


def set_mode(page: np.void, mode: str, speed: float = 1.0, limit_ns: int = NEVER_NS) -> None:
    """Goes on in another mode from this very moment of virtual time."""
    virtual = now(page)
    # NOTE: the game reads these one by one. It is parked or asleep as a rule; where it runs, one
    # of its reads may be off by what passes during these few assignments, and never goes back
    # further than that.
    page["anchor_real_ns"] = time.monotonic_ns()
    page["anchor_virtual_ns"] = virtual
    page["virtual_ns"] = virtual
    page["speed"], page["limit_ns"] = speed, limit_ns
    if mode == "lock":
        page["granted"] = page["frames"]
    page["mode"] = MODES[mode]
