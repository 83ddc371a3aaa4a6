"""Scripted players of ViZDoom's scenarios, by its variables and by what is in sight.

Places are in map units, angles in degrees, counter-clockwise from the x axis as in Doom.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nitrogen_jax.evaluation.judges.doom_map import Ways, ways
from nitrogen_jax.evaluation.task import Expert
from nitrogen_jax.gamepad import DEAD_ZONE, Pad
from nitrogen_jax.sim.adapters.vizdoom import TURN, VizdoomEnv
from nitrogen_jax.sim.game import Press
from nitrogen_jax.sim.pad_env import PadEnv

Label = Mapping[str, Any]
FIRE = ("RIGHT_TRIGGER",)
MIDDLE = 160  # of the picture, in pixels; it is 90 degrees wide
PLACES = range(48, 640, 16)  # y of the room where cover is taken
WIDE = 60.0  # how far to keep from a ball's path, in map units
PACE = 8.0  # map units a frame that a player steps aside
ROCKET, LAUNCH = 20.0, 9.0  # map units a frame, and frames until it flies
WATCH = 25  # frames for which the monster is watched
TURNS_AT = 540.0  # y, on both sides
SCAN = 5.0  # degrees a frame, where nothing is in sight


def pad(*buttons: str, left=(0.0, 0.0), turn: float = 0.0) -> Pad:
    """A pad () that also turns by some degrees to the right in a frame, as far as that goes."""
    share = min(1.0, abs(turn) / TURN)
    push = math.copysign(DEAD_ZONE + (1 - DEAD_ZONE) * share, turn) if share > 0.02 else 0.0
    return Press(1.0, buttons, left, (push, 0.0)).pad


def place(info: Mapping[str, Any]) -> tuple[float, float]:
    """Where the player is, x and y."""
    return info["variables"]["POSITION_X"], info["variables"]["POSITION_Y"]


def bearing(info: Mapping[str, Any], x: float, y: float) -> float:
    """How far to turn to the right to look at a place, -180 to 180 degrees."""
    mine = place(info)
    way = math.degrees(math.atan2(y - mine[1], x - mine[0]))
    return (info["variables"]["ANGLE"] - way + 180) % 360 - 180


def far(info: Mapping[str, Any], label: Label) -> float:
    """The distance to something in sight."""
    return math.dist(place(info), (label["x"], label["y"]))


def seen(env: PadEnv, names: Collection[str]) -> list[Label]:
    """What is in sight, of some names."""
    assert isinstance(env, VizdoomEnv)
    return [label for label in env.labels() if label["name"] in names]


def scenario_ways(scenario: str, goal: tuple[float, float], room: float) -> Ways:
    """The ways to a place of a scenario's map."""
    import vizdoom

    return ways(Path(vizdoom.scenarios_path) / f"{scenario}.wad", goal, room)


def walk(info: Mapping[str, Any], x: float, y: float) -> Pad:
    """Towards a place, turning first where it is not ahead."""
    turn = bearing(info, x, y)
    return pad(left=(0, -1) if abs(turn) < 40 else (0, 0), turn=turn)


def sight(label: Label) -> float:
    """How far to turn to the right to look at the part of something that is in sight, degrees."""
    off = (label["left"] + label["width"] / 2 - MIDDLE) / MIDDLE
    return math.degrees(math.atan(off))


def gunner(monsters: Collection[str], within: float = 3.0) -> Expert:
    """An expert that turns to the nearest monster in sight, and fires.

    Args:
        monsters: their names.
        within: degrees by which the aim may be wrong.
    """

    def expert(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        while True:
            found = seen(env, monsters)
            if not found:
                yield pad(turn=SCAN)
                continue
            turn = sight(min(found, key=lambda one: far(info, one)))
            yield pad(*(FIRE if abs(turn) < within else ()), turn=turn)

    return expert


def raider(monsters: Collection[str], reach: float, x: float, y: float) -> Expert:
    """An expert that walks to a place, and on the way stops to shoot at everybody near.

    Args:
        monsters: their names.
        reach: how near they must be, in map units.
    """

    def expert(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        while True:
            found = [one for one in seen(env, monsters) if far(info, one) < reach]
            if not found:
                yield walk(info, x, y)
                continue
            turn = sight(min(found, key=lambda one: far(info, one)))
            yield pad(*(FIRE if abs(turn) < 4 else ()), turn=turn)

    return expert


def wanderer(scenario: str, x: float, y: float, room: float) -> Expert:
    """An expert that walks to a place of a scenario's map, around its walls."""

    def expert(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        ways = scenario_ways(scenario, (x, y), room)
        while True:
            yield walk(info, *ways.ahead(*place(info), cells=3))

    return expert


def gatherer(good: Collection[str]) -> Expert:
    """An expert that walks to the nearest good thing in sight, and looks around for the next."""

    def expert(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        stuck, last = 0, place(info)
        while True:
            found = seen(env, good)
            if stuck > 10:  # something is in the way
                yield from [pad(left=(0, -1), turn=4.0)] * 12
                stuck = 0
            elif found:
                one = min(found, key=lambda label: far(info, label))
                yield walk(info, one["x"], one["y"])
            else:
                yield pad(left=(0, -1), turn=SCAN)
            stuck = stuck + 1 if math.dist(place(info), last) < 0.5 else 0
            last = place(info)

    return expert


def dodger(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Goes to where the balls of fire will pass farthest from the player.

    The player looks along x and steps along y; how balls fly is seen from one step to the next.
    """
    before: dict[int, Label] = {}
    while True:
        x, y = place(info)
        balls = seen(env, ("DoomImpBall",))
        paths = [(before[ball["id"]], ball) for ball in balls if ball["id"] in before]
        before = {ball["id"]: ball for ball in balls}
        best = max(PLACES, key=lambda goal: (_clear(x, y, goal, paths), -abs(goal - y)))
        push = 0.0 if abs(best - y) < PACE / 2 else math.copysign(1.0, y - best)
        yield pad(left=(push, 0.0))


def _clear(x: float, y: float, goal: float, paths: Sequence[tuple[Label, Label]]) -> float:
    """By how much the next balls will miss a player who goes to a place, WIDE at most."""
    least = WIDE
    for old, new in paths:
        speed = new["x"] - old["x"]
        frames = (x - new["x"]) / speed if abs(speed) > 1 else -1.0
        if frames < -1:
            continue  # it has passed
        then = y + max(-PACE * frames, min(PACE * frames, goal - y))
        # NOTE: what comes late can be avoided later.
        off = abs(new["y"] + frames * (new["y"] - old["y"]) - then) + frames
        least = min(least, off)
    return least


def hunter(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Aims its only rocket at where the monster will be when it arrives."""
    path: list[Label] = []
    while True:
        found = seen(env, ("Cacodemon",))
        path = [*path, found[0]][-WATCH:] if found else []
        if len(path) < WATCH:
            yield pad(turn=sight(found[0]) if found else SCAN)
            continue
        old, new = path[0], path[-1]
        frames = far(info, new) / ROCKET + LAUNCH
        x, y = (new[axis] + frames * (new[axis] - old[axis]) / (WATCH - 1) for axis in ("x", "y"))
        turn = bearing(info, x, y)
        # NOTE: it turns round at the ends of its way, and goes there askew at times.
        sure = abs(turn) < 1 and abs(y) < TURNS_AT and abs(new["x"] - old["x"]) < 1
        yield pad(*(FIRE if sure else ()), turn=turn)
