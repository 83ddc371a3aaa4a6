"""Follows a sprite that moves over a background, with neither of them known: a stick.

Around a place, the frames that are most alike show the stick at rest. With that as the sprite and
the other frames as the background, every frame's shift is the one that explains it best; then
sprite and background are told anew from frames that are moved back, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from nitrogen_jax.labeling.discover.levels import detail

CLIPPED = 16.0  # squared deviations beyond which a pixel tells nothing more
ALIKE = 16  # pixels of a side at which frames are compared
REST = 6  # a part of this of all frames is at rest at least
GAME = 50.0  # levels of detail; more is the game's
FAR = 1.5  # pixels; a sprite that is further off has moved
EXTENTS = (80, 87, 94)  # percentiles
OFTEN = 0.3  # of the frames in which it is held most, in which a stick rests at least
FEWEST = 5  # frames that have moved
SMALLEST = 12  # pixels of a sprite


@dataclass(frozen=True, eq=False)
class Track:
    """A sprite that was followed.

    Attributes:
        centre: (x, y) pixels of the crop, where it rests.
        half: pixels from its centre to the edges of its picture.
        sprite, spread: (s, s) levels and their scatter, s = 2 half + 1.
        mask: (s, s) 0 or 1, what belongs to it.
        shift: (N, 2) pixels from rest, x and y, whole ones.
        gain: (N,) log-likelihood of the shift above that of rest.
        explained: share of the change in its pixels that goes away when frames are moved back.
    """

    centre: tuple[int, int]
    half: int
    sprite: np.ndarray
    spread: np.ndarray
    mask: np.ndarray
    shift: np.ndarray
    gain: np.ndarray
    explained: float

    @property
    def far(self) -> np.ndarray:
        """(N,) bool: frames in which it is away from rest."""
        return np.hypot(*self.shift.T) >= FAR


def follow(
    values: np.ndarray,
    centre: tuple[int, int],
    radius: float,
    reach: int,
    noise: float,
    rounds: int = 1,
    resting: np.ndarray | None = None,
) -> Track | None:
    """The sprite around a place; None where nothing moves there.

    Args:
        values: (N, h, w) of `levels.steady`.
        radius: of a disc that is the sprite at first, pixels.
        reach: how far it may move, pixels.
        noise: least scatter of a pixel.
        resting: (N,) bool, frames in which it is known to rest; None: those most alike.
    """
    half = int(np.ceil(1.45 * radius))
    view = window(values, centre, half + reach)
    inner = slice(reach, reach + 2 * half + 1)
    if resting is None:
        resting = _resting(view[:, inner, inner])
    sprite, spread = _middle(view[resting][:, inner, inner], noise)
    ground, loose = _middle(view[~resting], noise)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    mask = (np.hypot(x, y) <= radius).astype(np.float32)
    transform = _Transform(view, mask.shape[0])
    result = None
    for _ in range(rounds):
        scores = _scores(transform, view, sprite, spread, ground, loose, mask)
        side = 2 * reach + 1
        best = scores.reshape(len(scores), -1).argmax(1)
        shift = np.stack([best % side - reach, best // side - reach], 1)
        gain = scores.reshape(len(scores), -1).max(1) - scores[:, reach, reach]
        back = moved_back(view, shift, half, reach)
        far = np.hypot(*shift.T) >= FAR
        if far.sum() < FEWEST or (~far).sum() < FEWEST:
            return None
        sprite, spread = _middle(back, noise)
        still = view[far][:, inner, inner]
        aligned = np.abs(back[far] - sprite).clip(0, 60).mean(0)
        unaligned = np.abs(still - sprite).clip(0, 60).mean(0)
        at_rest = np.abs(back[~far] - sprite).clip(0, 60).mean(0)
        weight = mask / spread**2
        misfit, fit, best = ((part * weight).sum() for part in (unaligned, aligned, at_rest))
        explained = (misfit - fit) / max(misfit - best, 0.2 * misfit)
        changes = np.abs(still - np.median(still, 0)).clip(0, 60).mean(0)
        moves = _belongs(aligned, np.minimum(unaligned, changes), noise, radius)
        mask = moves if moves.sum() >= SMALLEST else mask
        result = Track(centre, half, sprite, spread, mask, shift, gain, float(explained))
        if moves.sum() < SMALLEST:
            break
        ground, loose = uncovered(view, shift, mask, reach, noise)
    return result


def window(values: np.ndarray, centre: tuple[int, int], half: int) -> np.ndarray:
    """(N, 2 half + 1, 2 half + 1) around a place, edges repeated beyond the crop."""
    rows = np.clip(np.arange(centre[1] - half, centre[1] + half + 1), 0, values.shape[1] - 1)
    columns = np.clip(np.arange(centre[0] - half, centre[0] + half + 1), 0, values.shape[2] - 1)
    return values[:, rows[:, None], columns[None]]


def _resting(window: np.ndarray) -> np.ndarray:
    """(N,) bool: the frames that are most alike."""
    small = np.stack(
        [cv2.resize(detail(one), (ALIKE, ALIKE), interpolation=cv2.INTER_AREA) for one in window]
    ).reshape(len(window), -1)
    small = np.clip(small, -40, 40)
    norm = (small**2).sum(1)
    apart = norm[:, None] + norm[None] - 2 * small @ small.T
    near = np.partition(apart, len(window) // REST, axis=1)[:, len(window) // REST]
    seed = int(near.argmin())
    return apart[seed] <= near[seed]


def _middle(frames: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Median and scatter of each pixel."""
    middle = np.median(frames, 0)
    spread = 1.4826 * np.median(np.abs(frames - middle), 0)
    return middle, np.maximum(spread, noise)


class _Transform:
    """Correlations of windows with small pictures, by Fourier transforms."""

    def __init__(self, window: np.ndarray, small: int):
        self.side = cv2.getOptimalDFTSize(window.shape[-1])
        self.shifts = window.shape[-1] - small + 1
        self.plain, self.square = self.of(window), self.of(window**2)

    def of(self, pictures: np.ndarray) -> np.ndarray:
        return fft.rfft2(pictures, (self.side, self.side))

    def back(self, spectrum: np.ndarray) -> np.ndarray:
        n = self.shifts
        return fft.irfft2(spectrum, (self.side, self.side))[..., :n, :n]


def _scores(transform: _Transform, window, sprite, spread, ground, loose, mask) -> np.ndarray:
    """(N, shifts, shifts) log-likelihood of the sprite at each shift, above the background's."""
    behind = np.minimum((window - ground) ** 2 / loose**2, CLIPPED) + 2 * np.log(loose)
    weight = mask / spread**2
    spectrum = transform.of(behind) * np.conj(transform.of(mask))
    spectrum -= transform.square * np.conj(transform.of(weight))
    spectrum += transform.plain * np.conj(transform.of(2 * weight * sprite))
    constant = (weight * sprite**2).sum() + 2 * (mask * np.log(spread)).sum()
    return 0.5 * (transform.back(spectrum) - constant)


def moved_back(window: np.ndarray, shift: np.ndarray, half: int, reach: int) -> np.ndarray:
    """(N, s, s) what is around the sprite in each frame."""
    side = 2 * half + 1
    return np.stack(
        [
            one[reach + dy : reach + dy + side, reach + dx : reach + dx + side]
            for one, (dx, dy) in zip(window, shift, strict=True)
        ]
    )


def _belongs(aligned, unaligned, noise: float, radius: float) -> np.ndarray:
    """(s, s) the pixels that change less when frames are moved back."""
    one, other = (cv2.GaussianBlur(part, (0, 0), 1.0) for part in (aligned, unaligned))
    half = aligned.shape[0] // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    moves = (one < 0.75 * other) & (other > 1.5 * noise) & (np.hypot(x, y) <= 1.4 * radius)
    return moves.astype(np.float32)


def uncovered(window, shift, mask, reach: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scatter of the background where the sprite does not lie on it."""
    side = mask.shape[0]
    open_ = np.ones(window.shape, np.float32)
    for cover, (dx, dy) in zip(open_, shift, strict=True):
        cover[reach + dy : reach + dy + side, reach + dx : reach + dx + side] -= mask
    number = open_.sum(0)
    mean = (window * open_).sum(0) / np.maximum(number, 1)
    apart = np.sqrt(((window - mean) ** 2 * open_).sum(0) / np.maximum(number, 1))
    few = number < FEWEST
    mean[few] = np.median(window[:, few], 0)
    apart[few] = 60.0
    return mean, np.maximum(apart, noise)


def rest_of(shift: np.ndarray) -> np.ndarray:
    """(2,) the shift at which a stick rests: often met, and in the middle of all others.

    A stick that is pushed to one side for most of the time is met there more often than at rest;
    but from rest, nothing is further off than its travel.
    """
    values, counts = np.unique(shift, axis=0, return_counts=True)
    near = np.abs(values[:, None] - values[None]).max(-1) <= 1
    often = near @ counts
    usual = np.flatnonzero(often >= max(3, OFTEN * often.max()))
    if not len(usual):
        return values[often.argmax()]
    apart = np.hypot(*(shift[None] - values[usual][:, None]).transpose(2, 0, 1))
    # Several percentiles: some shifts are wrong, and some sides are seldom taken.
    extent = np.percentile(apart, EXTENTS, axis=1).mean(0)
    extent -= 1.5 * np.sqrt(often[usual] / len(shift))
    return values[usual][extent.argmin()]


def scores(view: np.ndarray, model) -> np.ndarray:
    """(N, shifts, shifts) log-likelihoods of a known stick's shifts.

    Args:
        view: (N, t, t) its window.
        model: has sprite, spread, ground, loose and mask, as `reader.StickModel`.
    """
    transform = _Transform(view, model.mask.shape[0])
    return _scores(
        transform, view, model.sprite, model.spread, model.ground, model.loose, model.mask
    )


def peak(values: np.ndarray, reach: int) -> np.ndarray:
    """(N, 2) shifts at the tops of parabolas through the best of each of (N, s, s) scores."""
    number, side = len(values), values.shape[1]
    best = values.reshape(number, -1).argmax(1)
    y, x = np.divmod(best, side)
    rows = np.arange(number)
    result = np.stack([x, y], 1).astype(np.float32) - reach
    for axis, (dy, dx) in enumerate(((0, 1), (1, 0))):
        low = values[rows, np.maximum(y - dy, 0), np.maximum(x - dx, 0)]
        high = values[rows, np.minimum(y + dy, side - 1), np.minimum(x + dx, side - 1)]
        mid = values[rows, y, x]
        bend = low - 2 * mid + high
        step = np.where(bend < -1e-6, 0.5 * (low - high) / np.minimum(bend, -1e-6), 0)
        result[:, axis] += np.clip(step, -0.5, 0.5)
    return np.clip(result, -reach, reach)
