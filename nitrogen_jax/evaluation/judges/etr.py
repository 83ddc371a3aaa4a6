"""Extreme Tux Racer: the race as the game keeps it in its memory.

The numbers are those that it shows after the race and writes into its list of high scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nitrogen_jax.evaluation.judges.builds import known
from nitrogen_jax.evaluation.judges.memory import Memory
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv

PROGRAM = "etr"
LENGTH = 470.0  # metres of Bunny Hill until the finish


class Layout(NamedTuple):
    """Offsets: of the game's data in the program, and of what is in it."""

    game: int
    finished: int
    player: int
    time: int
    aborted: int
    control: int  # of the player
    place: int  # of the control


LAYOUTS = {
    # Extreme Tux Racer 0.8.2 of Debian 12.
    "178538fdde97c72feb578be05b13c2ae26304ffba5dd65366daea647447fe917": Layout(
        game=0x8F3C0, finished=36, player=40, time=120, aborted=136, control=32, place=400
    )
}


class Race(NamedTuple):
    """How a race stands.

    Attributes:
        x: metres from the left edge.
        way: metres downhill.
        speed_x, speed_way: metres a second.
        time: seconds, which stands still from the finish on.
        herring: that were caught.
        finished: past the finish.
    """

    x: float
    way: float
    speed_x: float
    speed_way: float
    time: float
    herring: int
    finished: bool


class Reader:
    """Reads the race of a running game; made after each reset."""

    def __init__(self, env: PadEnv):
        self._pid = session_of(env).game_pid
        with Memory(self._pid) as memory:
            base, self._at = known(memory, PROGRAM, LAYOUTS)
        self._game = base + self._at.game

    def race(self) -> Race:
        """How the race stands now."""
        at = self._at
        with Memory(self._pid) as memory:
            finished, aborted = (
                memory.unpack(self._game + place, "<?")[0] for place in (at.finished, at.aborted)
            )
            time, _, herring = memory.unpack(self._game + at.time, "<f2i")
            control = memory.pointer(memory.pointer(self._game + at.player) + at.control)
            x, _, z, speed_x, _, speed_z = memory.unpack(control + at.place, "<6d")
        return Race(x, -z, speed_x, -speed_z, time, herring, finished and not aborted)


@dataclass
class Down:
    """Success at the finish, in time; or as soon as so many herring are caught.

    Attributes:
        seconds: of the race at most; None: any time.
        herring: if given it is these that count, and not the finish.
    """

    seconds: float | None = None
    herring: int = 0

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._reader = Reader(env)
        self._start = self._reader.race().way

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        race = self._reader.race()
        facts = {
            "metres": round(race.way, 1),
            "race_seconds": round(race.time, 2),
            "herring": float(race.herring),
        }
        if self.herring:
            done = min(1.0, race.herring / self.herring)
            ended = False if race.finished else None
            return Verdict(True if done == 1 else ended, done, facts)
        way = min(1.0, max(0.0, (race.way - self._start) / (LENGTH - self._start)))
        late = self.seconds is not None and race.time > self.seconds
        if late:
            return Verdict(False, min(way, 0.99), facts)
        return Verdict(True if race.finished else None, 1.0 if race.finished else way, facts)
