"""OpenArena's judges: its log is read right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.evaluation.judges.openarena import LOG, Arena, Log, log_of
from nitrogen_jax.evaluation.tasks import openarena
from nitrogen_jax.sim import games

TASKS = {task.name: task for task in openarena.TASKS}

installed = pytest.mark.skipif(
    games.get("openarena").missing() is not None, reason=str(games.get("openarena").missing())
)

TEXT = """\
  0:00 ClientUserinfoChanged: 0 n\\Sarge\\t\\0\\model\\sarge
  0:00 ClientUserinfoChanged: 1 n\\nitrogen\\t\\0\\model\\sarge
  0:03 Item: 0 weapon_grenadelauncher
  0:03 Item: 1 weapon_plasmagun
  0:09 Kill: 1 0 3: nitrogen killed Sarge by MOD_MACHINEGUN
  0:11 Kill: 0 1 3: Sarge killed nitrogen by MOD_MACHINEGUN
  0:12 Kill: 1 1 7: nitrogen killed nitrogen by MOD_ROCKET_SPLASH
  0:13 Kill: 1022 1 22: <world> killed nitrogen by MOD_TRIGGER_HURT
  0:14 Kill: 0 0 7: Sarge killed Sarge by MOD_ROCKET_SPLASH
  0:15 say: nitrogen: Kill: 1 0 3: nitrogen killed Sarge by MOD_MACHINEGUN
"""


@given(cut=st.integers(0, len(TEXT)), more=st.integers(0, len(TEXT)))
def test_a_log_is_read_in_pieces_as_at_once(tmp_path_factory, cut, more):
    home = tmp_path_factory.mktemp("home")
    path = home / LOG
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    log = Log(home)
    for end in (*sorted((cut, more)), len(TEXT)):
        path.write_text(TEXT[:end])
        log.update()
    assert log.player == 1
    # Neither the other's mistakes nor one's own are frags, and nothing that somebody only says.
    assert (log.frags(), log.deaths()) == (1, 2)
    assert log.items == [(0, "weapon_grenadelauncher"), (1, "weapon_plasmagun")]


@installed
def test_memory_tells_the_same_as_the_log_and_the_map():
    task = TASKS["openarena/first-frag"]
    with task.make() as env:
        env.reset(seed=0)
        arena, log = Arena(env), log_of(env)
        assert log.player == 1
        me, bot = arena.fighter(1), arena.fighter(0)
        # A fresh player has 125 of health and loses one each second; the bot is handicapped.
        assert 100 < me.health <= 125
        assert 0 < bot.health <= 100
        assert abs(me.place - bot.place).max() > 100
        names = [name for name, _, here in arena.items() if here]
    assert names.count("item_armor_shard") == 8
    assert "weapon_lightning" in names
