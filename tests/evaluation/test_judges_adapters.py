"""Tasks of the games that come from pip: what proves each of them, and what their judges read."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import proof, tasks
from nitrogen_jax.evaluation.judges import doom_map
from nitrogen_jax.evaluation.judges.reward import Goal, Lasting, Told
from nitrogen_jax.sim import catalogue, spaces
from nitrogen_jax.sim.adapters import ADAPTERS
from nitrogen_jax.sim.adapters.workers import procgen_state

TASKS = [name for name, task in tasks.every().items() if task.game in ADAPTERS]
# Those that take a second; the others play for longer until they are decided.
QUICK = {
    "vizdoom/deadly-corridor",
    "vizdoom/predict-position",
    "procgen/maze",
    "ale/montezuma-key",
    "airstriker/score",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.long]) for name in TASKS],
)
def test_the_proof_passes_and_nobody_does_not(name):
    task = tasks.get(name)
    if task.missing():
        pytest.skip(task.missing())
    with task.make(size=(64, 64)) as env:
        proved = proof.prove(task, env)
        assert proved.holds, proved
        assert proved.reached.verdict.progress == 1
        assert proved.idle.verdict.progress < 1


def installed(slug: str) -> None:
    lacking = ADAPTERS[slug].missing()
    if lacking:
        pytest.skip(lacking)


def test_labels_change_nothing_and_tell_what_is_in_sight():
    installed("vizdoom")
    options = {"level": "defend_the_center", "size": (64, 64)}
    turning = spaces.idle() | {"sticks": np.array([0, 0, 1, 0], np.float32)}
    with (
        catalogue.make("vizdoom", labels=True, **options) as told,
        catalogue.make("vizdoom", **options) as silent,
    ):
        told.reset(seed=3), silent.reset(seed=3)
        monsters = []
        for _ in range(30):
            seen = told.step(turning)[0]
            np.testing.assert_array_equal(seen, silent.step(turning)[0])
            monsters += [one for one in told.labels() if one["name"] == "MarineChainsawVzd"]
        # They come from a circle of 735 units around the place where the player stands.
        assert monsters
        assert all(np.hypot(one["x"], one["y"]) < 800 for one in monsters)
        assert all(0 <= one["left"] < 320 and one["width"] > 0 for one in monsters)
        with pytest.raises(NitrogenError, match="made without labels"):
            silent.labels()


def test_the_state_of_a_level_follows_the_player():
    installed("procgen")
    options = {"level": "coinrun", "size": (64, 64)}
    right = spaces.idle() | {"sticks": np.array([1, 0, 0, 0], np.float32)}
    with (
        catalogue.make("procgen", state=True, **options) as told,
        catalogue.make("procgen", **options) as silent,
    ):
        told.reset(seed=0), silent.reset(seed=0)
        first = told.level_state().entities[0]
        for _ in range(6):
            seen = told.step(right)[0]
            np.testing.assert_array_equal(seen, silent.step(right)[0])
        state = told.level_state()
        assert state.entities[0].x > first.x + 0.5
        assert state.entities[0].speed_x > 0
        assert state.cells.shape == (64, 64)
        with pytest.raises(NitrogenError, match="made without state"):
            silent.level_state()


def packed(entities, width: int, cells) -> bytes:
    """A state as procgen2 saves it."""
    generator = " ".join(["4294967295"] * 625).encode()
    string = np.int32(len(generator)).tobytes() + generator
    words = [np.int32([7]).tobytes(), b"coinrun", bytes(21), string, bytes(4), string]
    words += [bytes(4 * 16), np.int32(len(entities)).tobytes()]
    for kind, theme, *floats in entities:
        words.append(np.float32(floats).tobytes() + np.int32([kind, 3, theme]).tobytes())
        words.append(bytes(4 * 22))
    words += [bytes(4 * 19), string, bytes(4 * 9)]
    grid = [width, len(cells) // width, len(cells), *cells]
    return b"".join([*words, np.int32(grid).tobytes(), bytes(40)])


def test_a_saved_state_is_read_and_a_strange_one_refused():
    things = [(0, 1, 1.5, 2.5, 0.25, -0.5, 0.5, 0.75), (51, 4, 8.0, 0.5, 0.0, 0.0, 1.0, 1.0)]
    state = packed(things, 3, [100, 1, 2, 3, 4, 5])
    told = procgen_state.read(state)
    assert told["entities"] == [[kind, *floats, theme] for kind, theme, *floats in things]
    assert (told["width"], told["height"]) == (3, 2)
    assert np.frombuffer(told["cells"], "<i2").tolist() == [100, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="0 random generators"):
        procgen_state.read(state[:4000])
    with pytest.raises(ValueError, match="a grid of 0 x 0 cells with"):
        procgen_state.read(state[:-76] + np.int32([0, 0, 7]).tobytes() + state[-64:])


# Judges

ALIVE, DEAD = {"hp": 1}, {"hp": 0}


def test_lasting_is_lost_once_and_for_all():
    judge = Lasting(2.0, lambda info: info["hp"] <= 0)
    judge.begin(None, {"time": 0.0, **ALIVE})
    assert judge.look(None, {"time": 1.0, **ALIVE}).progress == 0.5
    lost = judge.look(None, {"time": 2.0, **DEAD})
    assert (lost.success, lost.progress, lost.facts) == (False, 0.5, {"seconds": 1.0})
    judge.begin(None, {"time": 0.0, **ALIVE})
    assert judge.look(None, {"time": 2.0, **ALIVE}).success is True


def test_a_goal_keeps_the_best_progress():
    judge = Goal(lambda env, info: info["there"], lambda env, info: info["left"], "steps")
    judge.begin(None, {"there": False, "left": 8.0})
    ways = [judge.look(None, {"there": False, "left": left}) for left in (10.0, 2.0, 6.0)]
    assert [one.progress for one in ways] == [0.0, 0.75, 0.75]
    assert [one.success for one in ways] == [None] * 3
    there = judge.look(None, {"there": True, "left": 1.0})
    assert (there.success, there.progress, there.facts) == (True, 1.0, {"least steps": 1.0})


def test_a_number_is_told_from_where_it_began():
    judge = Told(lambda info: info["score"], 10, "points")
    judge.begin(None, {"score": 5})
    assert judge.look(None, {"score": 0}).progress == 0
    assert judge.look(None, {"score": 10}).progress == 0.5
    assert judge.look(None, {"score": 15}).success is True


# The map of a square room of 320 x 320 with a wall from the left side to two thirds of its width

ROOM = """
namespace = "zdoom";
thing // 0
{ x = 1.0; y = 2.0; type = 1; }
vertex { x = 0.0; y = 0.0; }
vertex { x = 320.0; y = 0.0; }
vertex { x = 320.0; y = 320.0; }
vertex { x = 0.0; y = 320.0; }
vertex { x = 0.0; y = 160.0; }
vertex { x = 208.0; y = 160.0; }
linedef { v1 = 0; v2 = 1; sidefront = 0; }
linedef { v1 = 1; v2 = 2; sidefront = 0; }
linedef { v1 = 2; v2 = 3; sidefront = 0; }
linedef { v1 = 3; v2 = 0; sidefront = 0; }
linedef { v1 = 4; v2 = 5; sidefront = 0; sideback = 0; blocking = true; }
linedef { v1 = 5; v2 = 1; sidefront = 0; sideback = 0; twosided = true; }
"""


def wad(path, name: bytes = b"TEXTMAP"):
    text = ROOM.encode()
    entry = np.array([12, len(text)], "<i4").tobytes() + name.ljust(8, b"\0")
    head = b"PWAD" + np.array([1, 12 + len(text)], "<i4").tobytes()
    path.write_bytes(head + text + entry)
    return path


def test_a_way_goes_round_walls_and_through_openings(tmp_path):
    ways = doom_map.ways(wad(tmp_path / "room.wad"), (40.0, 280.0), 20.0)
    assert ways.left(40, 280) == 0
    assert 64 <= ways.left(104, 280) <= 80
    # Up to the opening and back again, where the straight way is 240 long.
    assert ways.left(40, 40) > 400
    x, y = 40.0, 40.0
    for _ in range(60):
        before, (x, y) = ways.left(x, y), ways.ahead(x, y, 1)
        assert ways.left(x, y) < before or before == 0
        assert not (x < 208 and abs(y - 160) < 20)
    assert ways.left(x, y) == 0


def test_places_without_a_way_are_refused(tmp_path):
    path = wad(tmp_path / "room.wad")
    with pytest.raises(NitrogenError, match="nearer than 20 to a wall"):
        doom_map.ways(path, (8.0, 8.0), 20.0)
    with pytest.raises(NitrogenError, match="no way from x 900"):
        doom_map.ways(path, (40.0, 280.0), 20.0).left(900, 0)
    with pytest.raises(NitrogenError, match="no map in the format UDMF"):
        doom_map.text_map(wad(tmp_path / "other.wad", b"THINGS"))
