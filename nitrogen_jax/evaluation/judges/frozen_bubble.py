"""Judges of Frozen-Bubble, from the lines that its settings, a piece of Perl, make it print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv

WORD = "told "  # what such a line begins with
STATES = ("game", "won", "lost")


@dataclass(frozen=True)
class Board:
    """What was told last.

    Attributes:
        angle: of the launcher, radians, pi / 2 straight up and more to the left.
        state: one of STATES.
        shots: that were fired.
        flying: whether a bubble is on its way.
        roof: rows that the roof has come down.
        colour: of the bubble that is fired next.
        bubbles: (column, row, colour) of each that hangs; odd rows are half a bubble to the right.
    """

    angle: float
    state: str
    shots: int
    flying: bool
    roof: int
    colour: int
    bubbles: tuple[tuple[int, int, int], ...]


def read(log: str) -> Board:
    """The board from what the game has printed; NitrogenError where it has told nothing."""
    lines = [line for line in log.split("\n")[:-1] if line.startswith(WORD)]
    if not lines:
        raise NitrogenError("the game has told nothing of its board: it cannot be judged")
    try:
        _, angle, state, *numbers = lines[-1].split()
        shots, flying, roof, colour = (int(number) for number in numbers[:4])
        hanging = [tuple(int(part) for part in one.split(",")) for one in numbers[4:]]
        found = Board(
            float(angle),
            state,
            shots,
            bool(flying),
            roof,
            colour,
            tuple(hanging),
        )
    except ValueError:
        raise NitrogenError(f"the game has told {lines[-1]!r}, which is no board") from None
    if found.state not in STATES or any(len(one) != 3 for one in found.bubbles):
        raise NitrogenError(f"the game has told {lines[-1]!r}, which is no board")
    return found


class Bubbles:
    """Judges by how much of the goal is done, 0 to 1; a game that is lost is failure.

    Args:
        done: given the board now, and the number of bubbles at the start.
    """

    def __init__(self, done: Callable[[Board, int], float]):
        self._done, self._best = done, 0.0

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._first = len(read(session_of(env).log_text()).bubbles)

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        return self.verdict(read(session_of(env).log_text()))

    def verdict(self, now: Board) -> Verdict:
        """Of a board; what hangs after a loss says nothing any more."""
        if now.state != "lost":
            self._best = max(self._best, min(1.0, self._done(now, self._first)))
        facts = {"bubbles": float(len(now.bubbles)), "shots": float(now.shots), "state": now.state}
        success = True if self._best >= 1 else (False if now.state == "lost" else None)
        return Verdict(success, self._best, facts)


def clears() -> Bubbles:
    """To clear the level: all bubbles are gone."""
    return Bubbles(
        lambda now, first: 1.0 if now.state == "won" else min(0.99, 1 - len(now.bubbles) / first)
    )


def thins(needed: int) -> Bubbles:
    """To have so many bubbles less than at the start."""
    return Bubbles(lambda now, first: (first - len(now.bubbles)) / needed)
