"""The sticks of an overlay: what moves a little, in any direction, and comes back to its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from nitrogen_jax.labeling.discover import levels, track
from nitrogen_jax.labeling.discover.track import Track

# In widths of the overlay.
REACH = 0.075
RADII = (0.05, 0.075)  # of a sprite that is looked for
FIRST_RADIUS = 0.06
TRIED = 14  # places
BESIDE = 7  # places beside which others are tried, too
DIAGONAL = ((-1, -1), (1, -1), (-1, 1), (1, 1))
FOLLOWED = 6  # places that are looked at again
RIM = 92.0  # percentile of the shifts of a stick away from rest that is its travel
LEAST_WORTH = 0.04
LEAST_CLEAR = 1.0  # see `Stick.clear`
MOST_SPOTS, MOST_WAYS = 4, 6  # that are looked at more closely, and ways to see each of them
BESIDE_IT = 0.1  # widths, within which sticks are at one spot
SAME_PLACE = 1.5  # pixels
ROUNDS = 3  # of telling a sprite from the frames moved back
MOST_NOISE, PLAIN_NOISE = 4.0, 3.0  # levels by which a pixel scatters at least
SURELY = 20.0  # percentile of the gains of frames away from rest
LEAST_REST = 0.12  # share of frames at rest below which a stick is doubtful


@dataclass(frozen=True, eq=False)
class Stick:
    """A stick that was found.

    Attributes:
        track: in the sampled frames; its centre is where the window was.
        rest: (2,) shift at which it rests.
        travel: pixels.
        worth: 0..1, how much it is like a stick.
        plain: whether it was followed in the pictures as they are, and not in their details.
    """

    track: Track
    rest: np.ndarray
    travel: float
    worth: float
    plain: bool = False

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the sprite at rest, pixels of the crop."""
        rows, columns = np.nonzero(self.track.mask)
        middle = np.array([columns.mean(), rows.mean()]) - self.track.half
        return tuple(np.array(self.track.centre) + middle + self.rest)

    @property
    def clear(self) -> float:
        """What a pixel says for its being away from rest in nearly all frames in which it is."""
        return self._gain / max(float(self.track.mask.sum()), 1.0)

    @property
    def likely(self) -> float:
        """How likely it is a stick, of several: what all of it says, if it is like one."""
        return self.worth * self._gain

    @property
    def _gain(self) -> float:
        far = self.track.gain[self.track.far]
        return float(np.percentile(far, SURELY)) if len(far) else 0.0

    @property
    def radius(self) -> float:
        """Of the sprite, pixels."""
        return float(np.sqrt(self.track.mask.sum() / np.pi))


class _Looks(NamedTuple):
    """Pictures in which a sprite is followed, and how far their pixels scatter at least."""

    pictures: np.ndarray
    noise: float
    plain: bool


def find(frames: np.ndarray, width: float) -> list[Stick]:
    """What may be sticks, the likeliest first; one may be there several times, seen in other ways.

    Each is looked for in fine details, where the game is taken away that is seen through a thin
    skin, and in the pictures as they are, in which a solid one is plainer.

    Args:
        frames: (N, h, w) uint8 luma, in pairs of neighbours.
        width: of the overlay, pixels.
    """
    values = levels.steady(frames)
    noise = levels.scatter(values)
    places = _places(values, noise, width)
    fine = np.stack([levels.detail(one).clip(-track.GAME, track.GAME) for one in values])
    reach = round(REACH * width) + 1
    found: list[Stick] = []
    for looks in (
        _Looks(fine, min(noise, MOST_NOISE), False),
        _Looks(frames.astype(np.float32), PLAIN_NOISE, True),
    ):
        found += _followed(looks, places, reach, width)
    found = [one for one in found if one.worth >= LEAST_WORTH and one.clear >= LEAST_CLEAR]
    spots: list[list[Stick]] = []
    for one in sorted(found, key=lambda one: -one.likely):
        near = next((spot for spot in spots if _far(one, spot[0]) < BESIDE_IT * width), None)
        if near is None and len(spots) < MOST_SPOTS:
            spots.append([one])
        elif near is not None and len(near) < MOST_WAYS and all(_differ(one, i) for i in near):
            near.append(one)
    return [one for spot in spots for one in spot]


def _far(one: Stick, other: Stick) -> float:
    return float(np.hypot(*np.subtract(one.centre, other.centre)))


def _differ(one: Stick, other: Stick) -> bool:
    """Whether they are not one stick seen twice in the same way."""
    near = _far(one, other) < SAME_PLACE and abs(one.travel - other.travel) < SAME_PLACE
    return not near or one.plain != other.plain or one.track.half != other.track.half


def _followed(
    looks: _Looks, places: Sequence[tuple[int, int]], reach: int, width: float
) -> list[Stick]:
    """What moves around some places; the best of them looked at again."""
    found: list[Stick] = []
    for place in places:
        one = track.follow(looks.pictures, place, FIRST_RADIUS * width, reach, looks.noise)
        if one is not None:
            found.append(_stick(one, width, reach, looks.plain))
    spots: list[Stick] = []
    for one in sorted(found, key=lambda one: -one.worth):
        if all(_far(one, other) > BESIDE_IT * width / 2 for other in spots):
            spots.append(one)
    for one in spots[:FOLLOWED]:
        for radius in RADII:
            found += _again(looks, one, radius * width, reach, width)
    return found


def _again(looks: _Looks, stick: Stick, radius: float, reach: int, width: float) -> list[Stick]:
    """The same stick with its rest in the middle of the window."""
    place, resting, found = stick.track.centre, None, []
    for _ in range(3):
        one = track.follow(looks.pictures, place, radius, reach, looks.noise, ROUNDS, resting)
        if one is None or not one.mask.any():
            break
        found.append(_stick(one, width, reach, looks.plain))
        centre, rest = found[-1].centre, found[-1].rest
        if np.abs(np.subtract(centre, place)).max() < 1.5:
            break
        place = round(centre[0]), round(centre[1])
        resting = np.hypot(*(one.shift - rest).T) < 1.5
        if resting.sum() < track.FEWEST or (~resting).sum() < track.FEWEST:
            break
    return found


def _stick(one: Track, width: float, reach: int, plain: bool) -> Stick:
    rest = track.rest_of(one.shift)
    moved = one.shift - rest
    far = np.hypot(*moved.T)
    away = far >= track.FAR
    travel = float(np.percentile(far[away], RIM)) if away.any() else 0.0
    return Stick(one, rest, travel, _worth(one, moved, away, travel, width, reach), plain)


def within_reach(travel: float, width: float) -> float:
    """1..0: whether a stick may travel so far."""
    return float(np.clip((0.09 * width - travel) / (0.015 * width), 0, 1))


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
    near = within_reach(travel, width)
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
