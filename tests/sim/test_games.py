"""Every game's description, and every game that is installed."""

from __future__ import annotations

import importlib.util
from pathlib import PurePosixPath

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sim import catalogue, check, games, play, spaces
from nitrogen_jax.sim.game import GAME_FOLDERS, MOST_SEED, Setup, plain_copy

SETUP = {"size": (640, 480), "seed": 3, "fps": 60.0}


@pytest.fixture(params=games.slugs())
def game(request):
    return games.get(request.param)


def test_the_first_two_are_found_and_ids_are_distinct():
    assert {"supertux", "freedoom"} <= set(games.slugs())
    everything = [catalogue.get(slug) for slug in catalogue.slugs()]
    ids = [one.env_id for one in everything]
    assert len(set(ids)) == len(ids)
    assert [one.slug for one in everything] == list(catalogue.slugs())


def test_a_description_is_complete(game):
    assert game.packages
    assert game.install.startswith("sudo apt-get install -y ")
    assert len(set(game.levels)) == len(game.levels) > 0
    assert game.script, "without a script nothing of it can be shown"
    assert game.title
    assert game.name
    assert game.fps > 0


def test_what_a_description_makes_of_a_setup(game):
    for level in game.levels:
        setup = Setup(program="/usr/games/it", level=level, **SETUP)
        words = list(game.command(setup))
        assert "/usr/games/it" in words
        assert all(isinstance(word, str) and word for word in words)
        for name, text in game.home(setup).items():
            path = PurePosixPath(name)
            assert not path.is_absolute()
            assert ".." not in path.parts
            assert isinstance(text, str)
        assert all(isinstance(v, str) for v in game.environment(setup).values())


def test_seeds_and_levels_are_checked(game):
    with pytest.raises(NitrogenError, match=f"{game.slug} has no level"):
        game.check_level("no-such-level-anywhere")
    assert game.check_level(None) == game.levels[0]
    if game.missing():
        pytest.skip(game.missing())
    assert game.setup(seed=MOST_SEED).seed == MOST_SEED
    with pytest.raises(NitrogenError, match="seed is"):
        game.setup(seed=MOST_SEED + 1)


def test_it_comes_into_play_and_obeys(game):
    """Its script changes what is seen; the picture is no black one."""
    if game.missing():
        pytest.skip(game.missing())
    with catalogue.make(game.slug, size=(64, 64)) as env:
        first, info = env.reset(seed=1)
        assert first.std() > 5
        stream = play.script(game, env.fps)
        frames = [first]
        for _ in range(20):
            frame, _, terminated, truncated, info = env.step(spaces.to_action(next(stream)))
            assert not terminated
            assert not truncated, info["reason"]
            frames.append(frame)
        assert info["frames"] == 20
    changed = [np.abs(frame.astype(int) - first).mean() for frame in frames]
    assert max(changed) > 0.2


@pytest.mark.long
def test_it_keeps_all_promises_beside_a_busy_process(game):
    if game.missing():
        pytest.skip(game.missing())
    found = check.check(game.slug, steps=600, load=True)
    broken = [one for one in found if one.kept is False]
    assert broken == []
    if game.repeats:
        assert [one.kept for one in found if one.promise == "repeats bit by bit"] == [True]


def test_a_program_that_runs_as_somebody_else_is_copied(tmp_path, monkeypatch):
    program = tmp_path / "game"
    program.write_text("#!/bin/sh\necho played\n")
    program.chmod(0o2755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copy = plain_copy(str(program))
    from pathlib import Path

    assert Path(copy).read_text() == program.read_text()
    assert Path(copy).stat().st_mode & 0o7777 == 0o755
    assert plain_copy(str(program)) == copy
    program.write_text("#!/bin/sh\necho played better\n")
    assert plain_copy(str(program)) != copy


def test_where_debian_keeps_games_is_looked_at(monkeypatch):
    assert "/usr/games" in GAME_FOLDERS
    doom = games.get("freedoom")
    if doom.missing():
        pytest.skip(doom.missing())
    monkeypatch.setenv("PATH", "/nowhere")
    assert doom.find() == "/usr/games/chocolate-doom"


def test_keys_without_xlib_are_told_of(game, monkeypatch):
    """A game that takes typed keys says what is missing before it is started."""
    if game.missing():
        pytest.skip(game.missing())
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "Xlib" else found(name)
    )
    assert bool(game.missing()) == game.typed
    assert "[sim]" in (game.missing() or "[sim]")
