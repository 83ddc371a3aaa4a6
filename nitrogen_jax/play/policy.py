"""Where a policy is, and how an episode gets a player of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nitrogen_jax import gamepad
from nitrogen_jax.serving.client import Client
from nitrogen_jax.serving.facts import Facts, Player

SCHEMES = ("tcp://", "ipc://")


@dataclass(frozen=True)
class Policy:
    """A policy that can be played with.

    Attributes:
        facts: about it.
        make: a player that begins with a seed.
        about: what a reader of a recording wants to know, plain data.
    """

    facts: Facts
    make: Callable[[int], Player]
    about: Mapping[str, Any] = field(default_factory=dict)


def is_address(text: str) -> bool:
    """Whether it names a server rather than a checkpoint."""
    return text.startswith(SCHEMES)


def remote(
    address: str,
    *,
    forbid: frozenset[str] = gamepad.NO_MENUS,
    game: str | None = None,
    token: str | None = None,
    curve: Path | None = None,
    timeout: float = 10.0,
) -> Policy:
    """The policy of a server, which must answer now; see `Client` for the rest."""

    def make(seed: int | None) -> Client:
        return Client(
            address,
            seed=seed,
            forbid=sorted(forbid),
            game=game,
            token=token,
            curve=curve,
            timeout=timeout,
        )

    with make(None) as client:
        return Policy(client.facts, make, client.info())
