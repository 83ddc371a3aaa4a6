"""Weak scaling on paper: a plan's program on more or fewer chips, each with as much work as before.

What a chip computes, and what it exchanges along an axis whose size stays, is the same. Along
`data` the shares change: of a whole of S bytes among n a ring passes S (n-1)/n on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan.chips import Chip
from nitrogen_jax.plan.estimate import Estimate
from nitrogen_jax.plan.report import number

COLUMNS = (
    "chips>",
    "data x fsdp",
    "batch>",
    "compute ms>",
    "memory ms>",
    "link ms>",
    "network ms>",
    "largest",
    "samples/s>",
    "of linear>",
)


@dataclass(frozen=True)
class Scaled:
    """A plan on another number of chips."""

    devices: int
    mesh: Mapping[str, int]
    batch: int
    estimate: Estimate

    @property
    def samples_per_s(self) -> float:
        return self.batch / self.estimate.seconds


def scaled(plan: Mapping[str, Any], chip: Chip, devices: int) -> Scaled:
    """A plan, as `worker.plain` gives it, on `devices` chips with its fsdp and batch per chip."""
    mesh = dict(plan["mesh"])
    if devices % mesh["fsdp"]:
        raise NitrogenError(
            f"{devices} chips cannot be divided in groups of {mesh['fsdp']} (fsdp), as the plan is"
        )
    other = {**mesh, "data": devices // mesh["fsdp"]}
    link = network = 0.0
    for row in plan["collectives"]:
        sent = row["sent"] * _change(row, mesh, other)
        # NOTE: hosts are filled along fsdp first, as devices are numbered in the mesh.
        spread = math.prod(other.values()) if "data" in row["axis"] else other["fsdp"]
        if chip.network is not None and chip.per_host is not None and spread > chip.per_host:
            network += sent / chip.network
        else:
            link += sent / chip.link
    old = plan["estimate"]
    return Scaled(
        devices,
        other,
        plan["batch"] * devices // plan["devices"],
        Estimate(old["compute"], old["memory"], link, network),
    )


def rows(plan: Mapping[str, Any], chip: Chip, devices: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """A row of COLUMNS for each number of chips; `of linear` compares with the first."""
    first = scaled(plan, chip, devices[0])
    for count in devices:
        one = scaled(plan, chip, count)
        linear = first.samples_per_s * count / first.devices
        yield (
            str(count),
            " x ".join(str(size) for size in one.mesh.values()),
            str(one.batch),
            *(number(1e3 * value) for value in one.estimate.terms.values()),
            one.estimate.largest,
            f"{one.samples_per_s:.0f}",
            f"{100 * one.samples_per_s / linear:.0f} %",
        )


def _change(row: Mapping[str, Any], old: Mapping[str, int], new: Mapping[str, int]) -> float:
    """By how much what a chip sends changes with the mesh."""
    if row["kind"] in ("collective-permute", "collective-broadcast"):
        return 1.0
    before, after = (
        math.prod(size for name, size in mesh.items() if name in row["axis"].split("+"))
        for mesh in (old, new)
    )
    if before <= 1:
        return 1.0
    return ((after - 1) / after) / ((before - 1) / before)
