"""Plays OpenArena by what its memory tells: shoots at the other one, walks to items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nitrogen_jax.evaluation.judges.openarena import Arena, Fighter, log_of
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.sim.pad_env import PadEnv

TURN = np.array([200.0, 130.0])  # degrees a second at full deflection: yaw, pitch
DEAD = 0.16  # of the right stick
STUCK = 40.0  # units a second, slower than which one has run into something
FAR = 450.0  # units, from where on one comes nearer
FLOOR = 80.0  # units up or down to another floor
STRIDE = 60.0  # units between places that one step leads to
WIDE = 14.0  # units, half of a fighter
HARMFUL = (4, 5)  # grenades and rockets, which kill who shoots them at a wall
SEEN = 1.0  # seconds for which a hit tells that nothing is in between


def fight(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
    """Looks at the other one all the time, shoots while that may hit, goes where it has been."""
    arena, player = Arena(env), log_of(env).player
    walker, ways = _Walker(env, seed), _Ways()
    shots, hits, since = 0, 0, 10**6
    while True:
        me, other = arena.fighter(player), arena.fighter(1 - player)
        ways.see("me", me)
        ways.see("other", other)
        if me.health <= 0:
            yield _pad(("RIGHT_TRIGGER",))  # comes back
            yield _pad()
            continue
        there = other.place + (other.velocity - me.velocity) / walker.rate
        off = _off(me, there)
        right = _stick(walker.rate, off)
        missing = np.abs(np.array(off) - np.array(right) * TURN / walker.rate)
        away = float(np.linalg.norm(there - me.place))
        aimed = missing.max() < 1.0 + np.degrees(np.arctan2(WIDE, away)) and other.health > 0
        since = 0 if me.hits > hits else since + 1
        shots, hits = (0 if since == 0 else shots + aimed), me.hits
        # What has hit nothing for a while meets a wall: it is tried again now and then.
        sees = since < SEEN * walker.rate
        fire = aimed and (sees or shots % 30 < 5)
        goal = other.place if sees else ways.next(me, other.place)
        buttons, left = walker.step(me, None if sees and away < FAR else goal)
        if me.weapon in HARMFUL:
            tap, fire = walker.steps % 10 < 2, False
            buttons = (*buttons, *(("LEFT_SHOULDER",) if tap else ()))
        yield _pad((*buttons, *(("RIGHT_TRIGGER",) if fire else ())), left, right)


def collect(*prefixes: str):
    """An expert that walks to the nearest item of its floor that it has not taken yet.

    Args:
        prefixes: how names of items begin that are wanted.
    """

    def play(env: PadEnv, info: Mapping[str, Any], seed: int) -> Iterator[Pad]:
        arena, log, walker = Arena(env), log_of(env), _Walker(env, seed)
        while True:
            log.update()
            me, taken = arena.fighter(log.player), log.mine()
            wanted = [
                at
                for name, at, here in arena.items()
                if here and name.startswith(prefixes) and name not in taken
            ]
            goals = [at for at in wanted if abs(at[2] - me.place[2]) < FLOOR] or wanted
            if not goals:
                yield _pad()
                continue
            goal = min(goals, key=lambda at: float(np.linalg.norm(at - me.place)))
            yaw, _ = _off(me, goal)
            buttons, left = walker.step(me, goal)
            yield _pad(buttons, left, _stick(walker.rate, (yaw, -me.pitch)))

    return play


class _Ways:
    """Where anybody has walked, which is where one can walk: places and steps between them."""

    def __init__(self):
        self._places: list[np.ndarray] = []
        self._from: list[set[int]] = []  # place -> those from which one step leads to it
        self._last: dict[str, int] = {}

    def see(self, who: str, one: Fighter) -> None:
        """Somebody is here now, and was somewhere a moment ago."""
        if one.health <= 0:
            self._last.pop(who, None)
            return
        near = self._near(one.place)
        if not near.size or near.min() > STRIDE / 2:
            self._places.append(one.place)
            self._from.append(set(np.flatnonzero(near < STRIDE).tolist()))
            for place in self._from[-1]:
                self._from[place].add(len(self._places) - 1)
        here = int(self._near(one.place).argmin())
        last = self._last.get(who, here)
        if last != here and np.linalg.norm(self._places[last] - one.place) < 3 * STRIDE:
            self._from[here].add(last)
        self._last[who] = here

    def next(self, me: Fighter, goal: np.ndarray) -> np.ndarray:
        """The place to go to on the shortest known way to a goal."""
        target = int(self._near(goal).argmin())
        steps, wave = {target: (0, target)}, [target]
        while wave:
            here = wave.pop(0)
            for place in self._from[here] - steps.keys():
                steps[place] = (steps[here][0] + 1, here)
                wave.append(place)
        known = np.array(sorted(steps))
        near = self._near(me.place)[known]
        start = int(known[near.argmin()])
        if near.min() > STRIDE or start == target:
            return self._places[start]
        return self._places[steps[start][1]]

    def _near(self, place: np.ndarray) -> np.ndarray:
        """How far every place is from one, heights counting four times."""
        steps = np.array(self._places).reshape(-1, 3) - place
        return np.hypot(steps[:, 0], steps[:, 1]) + 4 * np.abs(steps[:, 2])


class _Walker:
    """Walks towards places whatever it looks at; where it is stuck, aside, at times by a jump."""

    def __init__(self, env: PadEnv, seed: int):
        self.rate = env.fps / env.frame_skip
        self._rng = np.random.default_rng(seed)
        self.steps = self._slow = self._escape = 0
        self._way, self._hop = 0.0, False

    def step(self, me: Fighter, goal: np.ndarray | None):
        """Buttons and the left stick; without a goal from side to side."""
        self.steps += 1
        if goal is None:
            return (), ((1.0 if self.steps // int(self.rate * 0.6) % 2 else -1.0), 0.0)
        x, y, _ = goal - me.place
        way = np.arctan2(y, x)
        slow = float(np.linalg.norm(me.velocity[:2])) < STUCK
        self._slow = self._slow + 1 if slow else 0
        if self._escape == 0 and self._slow > self.rate / 5:
            self._escape = int(self.rate * self._rng.uniform(0.3, 1.2))
            self._way = float(self._rng.choice((-1, 1)) * self._rng.uniform(1.0, 2.2))
            self._hop = bool(self._rng.random() < 0.3)
            self._slow = 0
        if self._escape:
            self._escape -= 1
            way += self._way
        hop = self._escape and self._hop and self._escape % 8 < 2
        turn = way - np.radians(me.yaw)
        return (("SOUTH",) if hop else ()), (-float(np.sin(turn)), -float(np.cos(turn)))


def _off(me: Fighter, goal: np.ndarray) -> tuple[float, float]:
    """Degrees by which a goal lies to the right and below of where one looks."""
    x, y, z = goal - me.place
    yaw = me.yaw - np.degrees(np.arctan2(y, x))
    pitch = -np.degrees(np.arctan2(z, np.hypot(x, y))) - me.pitch
    return float((yaw + 180) % 360 - 180), float((pitch + 180) % 360 - 180)


def _stick(rate: float, off: tuple[float, float]) -> tuple[float, float]:
    """The right stick that turns by degrees to the right and down, within the next step."""
    x, y = (float(push) for push in np.clip(np.array(off) * rate / TURN, -1, 1))
    return x if abs(x) > DEAD else 0.0, y if abs(y) > DEAD else 0.0


def _pad(buttons=(), left=(0.0, 0.0), right=(0.0, 0.0)) -> Pad:
    pressed = np.zeros(NUM_BUTTONS, bool)
    pressed[[BUTTON_INDEX[name] for name in buttons]] = True
    return Pad(pressed, left, right)
