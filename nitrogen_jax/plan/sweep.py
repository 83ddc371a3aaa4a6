"""Many plans and the best of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan.worker import Request


def meshes(devices: int, most: int = 16) -> list[str]:
    """ "DATA,FSDP" for every power of two up to `most` that divides the devices."""
    ways = [1 << power for power in range(most.bit_length()) if 1 << power <= most]
    return [f"{devices // fsdp},{fsdp}" for fsdp in ways if devices % fsdp == 0]


def requests(
    base: Request,
    devices: int,
    *,
    ways: Sequence[str] = (),
    batches: Sequence[int] = (),
    accumulates: Sequence[int] = (),
    remats: Sequence[bool] = (False, True),
) -> Iterator[Request]:
    """Every combination; what is fixed in `base` stays, what is not listed is chosen."""
    for mesh, batch, accumulate, remat in itertools.product(
        [base.mesh] if base.mesh else ways or meshes(devices),
        batches or [base.batch],
        accumulates or [base.accumulate],
        remats if base.remat is None else [base.remat],
    ):
        yield dataclasses.replace(base, mesh=mesh, batch=batch, accumulate=accumulate, remat=remat)


def best(plans: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The one with most samples a second of those that fit; the smaller one of equals."""
    fitting = [plan for plan in plans if plan["fits"] and plan["samples_per_s"]]
    return max(
        fitting, key=lambda plan: (plan["samples_per_s"], -plan["memory"]["peak"]), default=None
    )


def numbers(text: str | None, option: str) -> list[int]:
    """ "1,4,16" -> numbers of at least 1."""
    if text is None:
        return []
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() and int(word) for word in words):
        raise NitrogenError(f"{option} is {text!r}, where numbers such as 1,4,16 are needed")
    return [int(word) for word in words]
