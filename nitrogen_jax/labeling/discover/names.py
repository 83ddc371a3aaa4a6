"""Which button a spot is, by where pads have them.

Lengths are in widths of the overlay, from its left top corner. The four face buttons, and the four
arms of a d-pad, stand around a centre; where it is, is told by the spots, by the sticks, and by
what is drawn there: four times about the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]
Drawn = Callable[[float, float, float], float]  # how much is drawn in a disc (u, v, radius)

WAYS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
FACE = {"up": "NORTH", "down": "SOUTH", "left": "WEST", "right": "EAST"}
DPAD = {way: f"DPAD_{way.upper()}" for way in WAYS}
OFF = 0.014  # by which a button lies beside its place
FAR = 0.036  # more is another button's
SAID = 1.2  # weight of what is drawn
MIDDLE = 0.55  # right of which a lone stick is the right one
BUSY, FAR_RIGHT = 0.3, 0.75  # the same of one that is moved for so much of the time
BAR = 0.15  # share of frames in which a trigger is pressed in part
ABOVE = 0.045  # of drawing above a shoulder: its trigger


@dataclass(frozen=True)
class Placed:
    """A spot, in widths.

    Attributes:
        at: its centre.
        size: width and height.
        partial: see `spots.Spot`.
    """

    at: Point
    size: Point
    partial: float = 0.0


def sides(centres: Sequence[Point], busy: float = 0.0) -> list[str]:
    """Which stick each of one or two is.

    Args:
        busy: share of the time in which a lone one is moved; what is moved much is the left one,
            unless it lies far to the right.
    """
    if len(centres) == 1:
        return ["left" if centres[0][0] < (MIDDLE if busy < BUSY else FAR_RIGHT) else "right"]
    first = centres[0][0] <= centres[1][0]
    return ["left", "right"] if first else ["right", "left"]


def buttons(spots: Sequence[Placed], sticks: Mapping[str, Point], drawn: Drawn) -> dict[int, str]:
    """The names of spots by their number; spots that are no button have none."""
    groups: dict[str, list[int]] = {"face": [], "dpad": [], "middle": [], "top": []}
    high = min([at[1] for at in sticks.values()], default=0.3)
    left = sticks.get("left", (0.25, 0.3))
    for at, spot in enumerate(spots):
        u, v = spot.at
        if v < min(0.16, high - 0.1) and abs(u - 0.5) > 0.08:
            groups["top"].append(at)
        elif u > 0.6:
            groups["face"].append(at)
        elif u > 0.38 or (u > 0.34 and v < left[1] - 0.02 and left[0] < 0.32):
            dpad = u < 0.46 and v > left[1] + 0.06 and left[0] < 0.32
            groups["dpad" if dpad else "middle"].append(at)
        else:
            groups["dpad"].append(at)
    names: dict[int, str] = {}
    for group, words, arm in (("face", FACE, 0.068), ("dpad", DPAD, 0.048)):
        centre = _usual_face(sticks) if group == "face" else _usual_dpad(sticks)
        spread = 0.05 if group == "face" else 0.09
        names |= _around([spots[i] for i in groups[group]], groups[group], words, arm, centre,
                         spread, drawn)  # fmt: skip
    names |= _middle(spots, groups["middle"])
    for right in (False, True):
        side = [i for i in groups["top"] if (spots[i].at[0] > 0.5) == right]
        names |= _top(spots, side, "RIGHT" if right else "LEFT", drawn)
    return names


def _usual_face(sticks: Mapping[str, Point]) -> Point:
    left, right = sticks.get("left"), sticks.get("right")
    if left is None:
        return 0.79, (right[1] - 0.18 if right else 0.32)
    if left[0] > 0.32:  # both sticks are low
        return 0.79, left[1] - 0.18
    if right is not None and right[0] > 0.74 and abs(right[1] - left[1]) < 0.06:
        return 0.76, left[1] + 0.2
    return 0.79, left[1]


def _usual_dpad(sticks: Mapping[str, Point]) -> Point:
    left = sticks.get("left")
    if left is None:
        return 0.25, 0.35
    if left[0] > 0.32:
        return 0.21, left[1] - 0.18
    return 0.33, left[1] + 0.2


def _around(
    spots: Sequence[Placed],
    numbers: Sequence[int],
    words: Mapping[str, str],
    arm: float,
    centre: Point,
    spread: float,
    drawn: Drawn,
) -> dict[int, str]:
    """Names of the spots around a centre, at the centre and arm that suit everything best."""
    if not spots:
        return {}
    points = np.array([spot.at for spot in spots])
    ways = np.array(list(WAYS.values()), float)
    best, result = np.inf, {}
    arms = arm * np.array([0.7, 0.85, 1.0, 1.15, 1.3])
    tried = {
        (round(float(x), 3), round(float(y), 3), float(length))
        for point in points
        for way in ways
        for length in arms
        for x, y in [point - length * way]
    }
    for u, v, length in sorted(tried):
        places = np.array([u, v]) + length * ways
        apart = np.hypot(*(points[:, None] - places[None]).transpose(2, 0, 1))
        choice, cost = _assigned(apart)
        cost += 0.5 * ((u - centre[0]) ** 2 + (v - centre[1]) ** 2) / spread**2
        cost += 0.5 * (np.log(length / arm) / 0.22) ** 2
        cost -= SAID * _fourfold(u, v, length, drawn)
        if cost < best:
            best = cost
            result = {
                numbers[row]: words[list(WAYS)[way]]
                for row, way in enumerate(choice)
                if way >= 0 and apart[row, way] < FAR
            }
    return result


def _assigned(apart: np.ndarray) -> tuple[tuple[int, ...], float]:
    """Which place each spot has, -1 for none, and what that costs."""
    lost = 6.0
    best, choice = np.inf, ()
    options = [
        [-1, *[way for way in range(4) if apart[row, way] < FAR]] for row in range(len(apart))
    ]
    if len(apart) > 6:  # more than there may be: each for itself
        options = [[int(row.argmin()) if row.min() < FAR else -1] for row in apart]
    for one in itertools.product(*options):
        taken = [way for way in one if way >= 0]
        if len(set(taken)) < len(taken):
            continue
        cost = sum(
            lost if way < 0 else 0.5 * (apart[row, way] / OFF) ** 2 for row, way in enumerate(one)
        )
        if cost < best:
            best, choice = cost, one
    if not choice:
        return (-1,) * len(apart), lost * len(apart)
    return choice, float(best)


def _fourfold(u: float, v: float, arm: float, drawn: Drawn) -> float:
    """How much more is drawn at the four places than between them, as a logarithm."""
    there = [drawn(u + arm * x, v + arm * y, 0.5 * arm) for x, y in WAYS.values()]
    between = [drawn(u + arm * x, v + arm * y, 0.3 * arm) for x in (-1, 1) for y in (-1, 1)]
    return float(np.clip(np.log((min(there) + 0.3) / (np.mean(between) + 0.3)), -2, 2))


def _middle(spots: Sequence[Placed], numbers: Sequence[int]) -> dict[int, str]:
    names = {}
    for number in sorted(numbers, key=lambda i: abs(spots[i].at[0] - 0.5)):
        u = spots[number].at[0]
        name = "GUIDE" if abs(u - 0.5) < 0.035 else "BACK" if u < 0.5 else "START"
        if name not in names.values():
            names[number] = name
    return names


def _top(
    spots: Sequence[Placed], numbers: Sequence[int], side: str, drawn: Drawn
) -> dict[int, str]:
    """A shoulder and a trigger; one alone is a shoulder where something is drawn above it."""
    ordered = sorted(numbers, key=lambda i: spots[i].at[1])[:2]
    if len(ordered) == 2:
        return {ordered[0]: f"{side}_TRIGGER", ordered[1]: f"{side}_SHOULDER"}
    if not ordered:
        return {}
    spot = spots[ordered[0]]
    upper = spot.at[1] - spot.size[1] / 2
    shoulder = spot.partial < BAR and upper > ABOVE
    return {ordered[0]: f"{side}_SHOULDER" if shoulder else f"{side}_TRIGGER"}
