"""X-Moto's judge: its database is read right."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.xmoto import DATABASE, counts


@pytest.fixture
def home(tmp_path):
    (tmp_path / DATABASE).parent.mkdir(parents=True)
    return tmp_path


def test_a_database_tells_what_was_completed_and_lost(home):
    assert counts(home, "tut1") is None, "the game has not made it yet"
    with closing(sqlite3.connect(home / DATABASE)) as database:
        database.execute(
            "CREATE TABLE stats_profiles_levels (id_level TEXT, nbCompleted INT, nbDied INT)"
        )
        database.commit()
        assert counts(home, "tut1") == (0, 0)
        database.execute("INSERT INTO stats_profiles_levels VALUES ('tut1', 2, 5), ('tut2', 0, 1)")
        database.commit()
        assert counts(home, "tut1") == (2, 5)
        assert counts(home, "tut2") == (0, 1)
        database.execute("BEGIN EXCLUSIVE")
        assert counts(home, "tut1") is None, "somebody writes"


def test_what_is_no_database_is_an_error(home):
    (home / DATABASE).write_bytes(b"no database at all" * 100)
    with pytest.raises(NitrogenError, match="cannot be read"):
        counts(home, "tut1")
