"""How far along a route something has come: what progress is where a place is to be reached."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """Places on the way to a goal, of which only the goal must be reached.

    Whoever comes to a place has come as far as if all places before it had been passed.

    Attributes:
        places: (x, y) of the start, of places on the way, and of the goal.
        within: how near to a place one is there.
    """

    places: tuple[tuple[float, float], ...]
    within: float

    def walk(self) -> Callable[[float, float], float]:
        """A function of where one is now that says how much of the route is done.

        It is to be asked again and again on the way: it keeps what was passed. 1 is the goal.
        """
        legs = [math.dist(*pair) for pair in itertools.pairwise(self.places)]
        passed, best = 0, 0.0

        def walked(x: float, y: float) -> float:
            nonlocal passed, best
            here = (x, y)
            there = [math.dist(here, place) <= self.within for place in self.places]
            passed = max([passed, *(index for index, is_there in enumerate(there) if is_there)])
            if passed == len(legs):
                return 1.0
            left = math.dist(here, self.places[passed + 1]) - self.within
            done = sum(legs[:passed]) + max(0.0, legs[passed] - self.within - left)
            best = max(best, done / sum(legs))
            return min(best, 1.0)

        return walked
