"""OpenArena: its log of kills and items, and who is where, read from the memory of its rules.

The log says what counts. Places come from the library of the rules, qagame, which names its tables.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nitrogen_jax.evaluation.judges.builds import known
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv

LOG = ".openarena/baseoa/games.log"
NAME = "nitrogen"  # of the player
LIBRARY = "qagamex86_64.so"


class Layout(NamedTuple):
    """Where the tables are, from the library's start, and how far apart their rows."""

    clients: int
    client_size: int
    entities: int
    entity_size: int
    level: int
    items: int
    item_size: int


LAYOUTS = {
    # OpenArena 0.8.8 of Debian 12.
    "6c7816ba437e98fbe2186d91da6d366faff761c6128847ec5ccdf52cfd2c454e": Layout(
        0xCEA00, 2128, 0xEFE00, 952, 0x1DDE00, 0xC2820, 96
    )
}
IS_ITEM, NOT_DRAWN = 2, 0x80  # an entity's type, and the flag of items that were taken


class Fighter(NamedTuple):
    """One who plays: standing at `place`, looking along yaw and pitch (degrees, down +)."""

    place: np.ndarray  # (3,)
    velocity: np.ndarray  # (3,) a second
    weapon: int
    pitch: float
    yaw: float
    health: int
    hits: int


class Arena:
    """Who and what is where; made after each reset."""

    def __init__(self, env: PadEnv):
        self._pid = session_of(env).game_pid
        with Memory(self._pid) as memory:
            self._base, self._at = known(memory, LIBRARY, LAYOUTS)

    def fighter(self, number: int) -> Fighter:
        """The client of that number."""
        row = self._base + self._at.clients + number * self._at.client_size
        with Memory(self._pid) as memory:
            told = memory.unpack(row, "<20x6f100xi4x2f24xi64xi")
        place, velocity = np.array(told[:3]), np.array(told[3:6])
        return Fighter(place, velocity, *told[6:])

    def items(self) -> list[tuple[str, np.ndarray, bool]]:
        """Name, place (3,) and whether it lies there now, of every item."""
        start, size = self._base + self._at.entities, self._at.entity_size
        found = []
        with Memory(self._pid) as memory:
            (count,) = memory.unpack(self._base + self._at.level + 20, "<i")
            table = memory.bytes(start, count * size)
            for row in range(0, count * size, size):
                kind, flags, x, y, z = struct.unpack_from("<4x2i12x3f", table, row)
                if kind == IS_ITEM:
                    (index,) = struct.unpack_from("<i", table, row + 160)
                    name = self._item_name(memory, index)
                    found.append((name, np.array((x, y, z)), not flags & NOT_DRAWN))
        return found

    def _item_name(self, memory: Memory, index: int) -> str:
        row = self._base + self._at.items + index * self._at.item_size
        return memory.bytes(memory.pointer(row), 64).partition(b"\0")[0].decode()


class Log:
    """What the log has told so far: the player's number, kills and items."""

    def __init__(self, home: Path):
        """
        Args:
            home: folder of the running game.
        """
        self._path = home / LOG
        self._read = 0
        self.player = -1
        self.kills: list[tuple[int, int]] = []  # (killer, victim)
        self.items: list[tuple[int, str]] = []  # (who, what)
        self.update()

    def update(self) -> None:
        """Reads the lines that were added; a half line waits for the rest of it."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            text, newline, _ = file.read().rpartition(b"\n")
        self._read += len(text) + len(newline)
        for line in text.decode("latin-1").splitlines():
            self._tell(line.split(maxsplit=1)[-1].strip())

    def _tell(self, line: str) -> None:
        kind, _, rest = line.partition(": ")
        words = rest.replace(":", " ").split()
        if kind == "Kill":
            self.kills.append((int(words[0]), int(words[1])))
        elif kind == "Item":
            self.items.append((int(words[0]), words[1]))
        elif kind == "ClientUserinfoChanged" and f" n\\{NAME}\\" in f" {' '.join(words[1:])}":
            self.player = int(words[0])

    def mine(self) -> list[str]:
        """Items that the player has taken."""
        return [what for who, what in self.items if who == self.player]

    def frags(self) -> int:
        """Others that the player has killed."""
        return sum(killer == self.player != victim for killer, victim in self.kills)

    def deaths(self) -> int:
        """How often the player was killed by another."""
        return sum(victim == self.player != killer for killer, victim in self.kills)


@dataclass
class Frags:
    """Success once the player has killed others so often.

    Attributes:
        needed: kills.
        deaths: as often killed, other than by oneself, makes it a failure; 0: it does not matter.
    """

    needed: int
    deaths: int = 0

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._log = log_of(env)

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        self._log.update()
        frags, deaths = self._log.frags(), self._log.deaths()
        decided = None
        if frags >= self.needed:
            decided = True
        elif self.deaths and deaths >= self.deaths:
            decided = False
        progress = min(1.0, frags / self.needed)
        return Verdict(decided, progress, {"frags": float(frags), "deaths": float(deaths)})


@dataclass
class Items:
    """Success once the player has taken so many different items whose names begin so.

    Progress counts them; for a single one it is the share of the way to the nearest that was gone.
    """

    prefix: str = ""
    needed: int = 1

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._log, self._arena = log_of(env), Arena(env)
        self._first = self._near = self._nearest()

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        self._log.update()
        taken = len({what for what in self._log.mine() if what.startswith(self.prefix)})
        facts = {"taken": float(taken)}
        if taken >= self.needed:
            return Verdict(True, 1.0, facts)
        self._near = min(self._near, self._nearest())
        way = max(0.0, 1 - self._near / self._first) if self.needed == 1 else 0.0
        return Verdict(None, min(0.99, (taken + way) / self.needed), facts)

    def _nearest(self) -> float:
        """How far away the nearest one lies, taken or not."""
        me = self._arena.fighter(self._log.player).place
        places = [place for what, place, _ in self._arena.items() if what.startswith(self.prefix)]
        return max(1.0, min(float(np.linalg.norm(place - me)) for place in places))


def log_of(env: PadEnv) -> Log:
    """The log of a running game."""
    return Log(Path(session_of(env).home))
