"""How long a step would take at best: the longest of computing, memory traffic and links.

Nothing here is measured. Each term takes the data sheet's rate and assumes that the three overlap
perfectly; a real step is longer. The terms say what to change, and how plans compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nitrogen_jax.plan.chips import Chip
from nitrogen_jax.plan.collectives import Collective


@dataclass(frozen=True)
class Estimate:
    """Seconds of one step on one chip, by term."""

    compute: float
    memory: float
    link: float
    network: float = 0.0  # between hosts

    @property
    def terms(self) -> Mapping[str, float]:
        return {
            "compute": self.compute,
            "memory": self.memory,
            "link": self.link,
            "network": self.network,
        }

    @property
    def largest(self) -> str:
        """The term that decides."""
        return max(self.terms, key=lambda name: self.terms[name])

    @property
    def seconds(self) -> float:
        return max(self.terms.values())


def estimate(chip: Chip, flops: float, traffic: float, found: Sequence[Collective]) -> Estimate:
    """The terms of a program.

    Args:
        flops: of one chip, recomputation included.
        traffic: bytes that one chip reads and writes in its memory.
        found: the program's collectives; those between hosts go over the network.
    """
    link = network = 0.0
    for one in found:
        sent = one.times * one.sent
        if chip.network is not None and chip.per_host is not None and one.spans(chip.per_host):
            network += sent / chip.network
        else:
            link += sent / chip.link
    return Estimate(flops / chip.flops, traffic / chip.bandwidth, link, network)


def mfu(useful_flops: float, seconds: float, chip: Chip, devices: int) -> float:
    """Share of the chips' peak that goes into the network itself, recomputation not counted."""
    return useful_flops / (seconds * devices * chip.flops)
