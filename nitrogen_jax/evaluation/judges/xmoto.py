"""X-Moto: levels that were completed and lost, from the game's own database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.running import session_of
from nitrogen_jax.evaluation.task import Verdict
from nitrogen_jax.sim.pad_env import PadEnv

DATABASE = ".local/share/xmoto/xm.db"
QUERY = "SELECT nbCompleted, nbDied FROM stats_profiles_levels WHERE id_level = ?"


def counts(home: Path, level: str) -> tuple[int, int] | None:
    """How often a level was completed and lost; None while the game writes, or is about to."""
    uri = f"{(home / DATABASE).as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=0)) as database:
            found = database.execute(QUERY, (level,)).fetchone()
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError as error:
        raise NitrogenError(f"X-Moto's database {DATABASE} cannot be read: {error}") from None
    return (0, 0) if found is None else (int(found[0]), int(found[1]))


@dataclass
class Completed:
    """Success once the level is completed; there is nothing in between, so progress is 0 or 1."""

    def begin(self, env: PadEnv, info: Mapping[str, Any]) -> None:
        self._home = Path(session_of(env).home)
        self._counts = (0, 0)

    def look(self, env: PadEnv, info: Mapping[str, Any]) -> Verdict:
        self._counts = counts(self._home, env.level) or self._counts
        completed, lost = self._counts
        facts = {"completed": float(completed), "lost": float(lost)}
        return Verdict(True if completed else None, float(completed > 0), facts)
