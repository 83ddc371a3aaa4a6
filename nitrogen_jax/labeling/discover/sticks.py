"""The sticks of an overlay: what moves a little, in any direction, and comes back to its place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nitrogen_jax.labeling.discover import levels, track
from nitrogen_jax.labeling.discover.track import Track

# In widths of the overlay.
REACH = 0.075
RADII = (0.05, 0.075)  # of a sprite that is looked for
FIRST_RADIUS = 0.06
APART = 0.2  # centres of two sticks, at least
TRIED = 14  # places
BESIDE = 7  # places beside which others are tried, too
DIAGONAL = ((-1, -1), (1, -1), (-1, 1), (1, 1))
FOLLOWED = 5  # places that are looked at again
RIM = 92.0  # percentile of the shifts of a stick away from rest that is its travel
LEAST_WORTH = 0.15
LEAST_REST = 0.12  # share of frames at rest below which a stick is doubtful


@dataclass(frozen=True, eq=False)
class Stick:
    """A stick that was found.

    Attributes:
        track: in the sampled frames; its centre is where the window was.
        rest: (2,) shift at which it rests.
        travel: pixels.
        worth: 0..1, how much it is like a stick.
    """

    track: Track
    rest: np.ndarray
    travel: float
    worth: float

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the sprite at rest, pixels of the crop."""
        rows, columns = np.nonzero(self.track.mask)
        middle = np.array([columns.mean(), rows.mean()]) - self.track.half
        return tuple(np.array(self.track.centre) + middle + self.rest)

    @property
    def radius(self) -> float:
        """Of the sprite, pixels."""
        return float(np.sqrt(self.track.mask.sum() / np.pi))


def find(values: np.ndarray, width: float) -> list[Stick]:
    """Sticks, the best first.

    Args:
        values: (N, h, w) of `levels.steady`, in pairs of neighbours.
        width: of the overlay, pixels.
    """
    noise = levels.scatter(values)
    places = _places(values, noise, width)
    fine = np.stack([levels.detail(one).clip(-track.GAME, track.GAME) for one in values])
    noise, reach = min(noise, 4.0), round(REACH * width) + 1
    found: list[Stick] = []
    for place in places:
        one = track.follow(fine, place, FIRST_RADIUS * width, reach, noise)
        if one is not None:
            found.append(_stick(one, width, reach))
    found.sort(key=lambda one: -one.worth)
    for one in found[:FOLLOWED]:
        for radius in RADII:
            found += _again(fine, one, radius * width, reach, noise, width)
    found.sort(key=lambda one: -one.worth)
    chosen: list[Stick] = []
    for one in found:
        if one.worth < LEAST_WORTH:
            break
        far = [np.hypot(*np.subtract(one.centre, other.centre)) for other in chosen]
        if min(far, default=np.inf) > APART * width:
            chosen.append(one)
    return chosen


def _again(fine, stick: Stick, radius: float, reach: int, noise: float, width: float):
    """The same stick with its rest in the middle of the window."""
    place, resting, found = stick.track.centre, None, []
    for _ in range(3):
        one = track.follow(fine, place, radius, reach, noise, 2, resting)
        if one is None or not one.mask.any():
            break
        found.append(_stick(one, width, reach))
        centre, rest = found[-1].centre, found[-1].rest
        if np.abs(np.subtract(centre, place)).max() < 1.5:
            break
        place = round(centre[0]), round(centre[1])
        resting = np.hypot(*(one.shift - rest).T) < 1.5
        if resting.sum() < track.FEWEST or (~resting).sum() < track.FEWEST:
            break
    return found


def _stick(one: Track, width: float, reach: int) -> Stick:
    rest = track.rest_of(one.shift)
    moved = one.shift - rest
    far = np.hypot(*moved.T)
    away = far >= track.FAR
    travel = float(np.percentile(far[away], RIM)) if away.any() else 0.0
    return Stick(one, rest, travel, _worth(one, moved, away, travel, width, reach))


def _worth(one: Track, moved, away, travel: float, width: float, reach: int) -> float:
    """How much it is like a stick: it explains the frames, it is held, it does not go far.

    Neighbouring frames show it at nearly the same place, however it has moved meanwhile.
    """
    both = away[::2] & away[1::2]
    if away.sum() < track.FEWEST or not one.mask.any():
        return 0.0
    step = np.abs(moved[::2] - moved[1::2]).max(1)
    held = float((step[both] <= 1).mean()) if both.sum() > 3 else 0.3
    edge = float((np.abs(one.shift[one.far]).max(1) >= reach).mean()) if one.far.any() else 0.0
    near = np.clip((0.09 * width - travel) / (0.015 * width), 0, 1)
    rests = min(1.0, float((~away).mean()) / LEAST_REST)
    often = min(1.0, float(away.mean()) / 0.03)
    # A bar that fills goes one way only; what is very small is the corner of something.
    ways = moved[away] / np.hypot(*moved[away].T)[:, None]
    round_ = float(np.clip((1 - np.hypot(*ways.mean(0))) / 0.12, 0, 1))
    large = np.clip((np.sqrt(one.mask.sum() / np.pi) / width - 0.02) / 0.015, 0, 1)
    likely = round_ * large * held
    return float(min(one.explained, 1.0) * likely * max(0.0, 1 - 3 * edge) * near * rests * often)


def _places(values: np.ndarray, noise: float, width: float) -> list[tuple[int, int]]:
    """(x, y) around which much changes that stays for at least a frame, and less around that."""
    moved = np.clip(values - np.median(values, 0), -60, 60)
    lasting = np.sqrt(np.clip((moved[::2] * moved[1::2]).mean(0), 0, None))
    inner, small = (
        cv2.GaussianBlur(lasting, (0, 0), sigma * width, borderType=cv2.BORDER_REFLECT)
        for sigma in (0.04, 0.03)
    )
    height, wide = lasting.shape
    around = []
    for angle in np.arange(8) * np.pi / 4:
        shift = 0.13 * width * np.array([np.cos(angle), np.sin(angle)])
        matrix = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        around.append(
            cv2.warpAffine(
                small, matrix, (wide, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
        )
    score = inner / (np.sort(np.stack(around), 0)[3] + 0.4 * noise)
    places, beside, aside = [], [], round(0.045 * width)
    for _ in range(TRIED):
        y, x = np.unravel_index(score.argmax(), score.shape)
        if score[y, x] < 0.6:
            break
        places.append((int(x), int(y)))
        if len(places) < BESIDE:  # its middle may lie beside what changes most
            beside += [(int(x) + i * aside, int(y) + j * aside) for i, j in DIAGONAL]
        cv2.circle(score, (int(x), int(y)), round(0.055 * width), -1.0, -1)
    return places + [(x, y) for x, y in beside if 0 <= x < wide and 0 <= y < height]
