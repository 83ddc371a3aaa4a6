"""Reads the states of elements from a block of frames, by which template explains the pixels best.

Each block is read twice: the first reading tells what stays of the pictures once their best
templates are taken away, a mean picture (a static display below the overlay, small errors of colour
and place) and how far pixels scatter around it; the second takes both into account.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nitrogen_jax.labeling.fit.model import GRID, PIECE, REACH, ElementModel, Precision, rest
from nitrogen_jax.labeling.fit.scene import Scene, displayed, unknown
from nitrogen_jax.labeling.planes import Planes, pooled
from nitrogen_jax.labeling.skins.draw import Region

TOLD = 400  # frames from which a scene is told, at most
ROUNDS = 2  # of telling a scene
STEP_SHARE = 70.0  # percentile of the differences between states that is a usual one
LEAST_STEP = 4.0  # standard deviations
FILLED = 0.4  # of a sprite's pixels that are opaque; one with fewer is lines
OPEN = 0.3  # of the background seen anywhere, from which on its edges matter
FEW = 13  # states that have a covariance of their own each


@dataclass(frozen=True, eq=False)
class Reading:
    """What one element shows in N frames.

    Attributes:
        value: (N, v) as `ElementModel.values`; sticks and bars between their grid positions.
        gap: (N,) log-likelihood of the best state above that of rest.
        energy: (N,) what the best state leaves unexplained, relative to the noise.
        press: (N, b) log-likelihood ratio of each button that it shows, positive where pressed.
        amiss: mean of what stays unexplained where the element is opaque, in levels, which tells
            skins of the same layout apart.
        scores: (N, K) log-likelihoods of all states, up to a constant of each frame; None where
            they are not told.
    """

    value: np.ndarray
    gap: np.ndarray
    energy: np.ndarray
    press: np.ndarray
    amiss: float
    scores: np.ndarray | None = None


def vectors(model: ElementModel, crops: Planes, crop: Region) -> np.ndarray:
    """(N, n) float32 of an element, out of crops (N, ...) of the region `crop`."""
    left, top = model.region.left - crop.left, model.region.top - crop.top
    height, width = model.region.shape
    y = crops.y[:, top : top + height, left : left + width]
    half = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
    return pooled(Planes(y, crops.uv[:, :, half[0], half[1]]), model.block)


def read_element(
    model: ElementModel, frames: np.ndarray, opacity: float, without: Collection[str] = ()
) -> Reading:
    """One element in a block of frames (N, n).

    Args:
        without: steps that are left out, see `options.STEPS`.
    """
    sample = frames[:: max(1, len(frames) // TOLD)]
    plain = {"scene", "display"} & set(without)
    scene = unknown(model) if plain else displayed(model, sample, opacity)
    for _ in range(0 if "scene" in without else ROUNDS):
        scores, _ = _scores(model, sample, opacity, scene, False)
        scene = _told(model, sample, scores.argmax(1), opacity, scene)
    scores, reference = _scores(model, frames, opacity, scene, "edges" not in without)
    return _reading(model, frames, scores, reference, opacity, scene, "between" not in without)


def _clear(
    model: ElementModel, opacity: float, state: int | slice, open_: np.ndarray | float = 1.0
) -> np.ndarray:
    """How much of the background is seen in a state, or in any of several."""
    clear = (1 - opacity * model.alpha[state]) * open_
    return clear.max(0) if clear.ndim == 2 else clear


def _scores(
    model: ElementModel, frames: np.ndarray, opacity: float, scene: Scene, robust: bool = True
) -> tuple[np.ndarray, Precision]:
    """(N, K) log-likelihoods of the states, up to a constant of each frame.

    With few states each has its own covariance, because the background may be seen in one and not
    in another; the many positions of a stick or bar share one.
    """
    templates, noise = scene.templates(model, opacity), scene.noise
    few = len(templates) <= FEW
    shared = Precision(
        model,
        _clear(model, opacity, slice(None), scene.open),
        noise if few else replace(noise, shared=0.0),
    )
    if few:
        columns = []
        for state, template in enumerate(templates):
            own = Precision(model, _clear(model, opacity, state, scene.open), noise)
            columns.append(-0.5 * (own.energy(frames - template) + own.log_determinant))
        return np.stack(columns, 1), shared
    return _many(model, frames, opacity, templates, shared, scene, robust), shared


def _many(
    model: ElementModel,
    frames: np.ndarray,
    opacity: float,
    templates: np.ndarray,
    shared: Precision,
    scene: Scene,
    robust: bool,
) -> np.ndarray:
    """(N, K) log-likelihoods of many states that share a covariance.

    The level of the background, one number for each plane and frame, is whatever suits a state
    best: through a state's own clear pixels it changes the contrast of everything drawn there.
    Edges of the background are much rarer than its covariance would have them, and then much
    stronger: what differs by more than states differ among each other counts as that much only.
    """
    clear, noise = (1 - opacity * model.alpha) * scene.open, scene.noise
    still = rest(model)
    looks = shared.whitened(templates - templates[still])
    seen = shared.whitened(clear)
    most = _usual_step(looks) if robust and _thin(model, opacity) else np.inf
    np.clip(looks, -most, most, out=looks)
    total = np.empty((len(frames), len(templates)), np.float32)
    for start in range(0, len(frames), PIECE):
        white = shared.whitened(frames[start : start + PIECE] - templates[still])
        if np.isfinite(most):
            for part, kind in zip(shared.parts, (0, 1, 1), strict=True):
                # A level, here the one that suits rest, is no edge.
                calm = seen[still, part]
                level = white[:, part] @ calm / (calm @ calm + 1 / noise.ground[kind] ** 2)
                plain = level[:, None] * calm
                white[:, part] = np.clip(white[:, part] - plain, -most, most) + plain
        score = white @ looks.T - 0.5 * (looks**2).sum(1)
        for part, kind in zip(shared.parts, (0, 1, 1), strict=True):
            level = white[:, part] @ seen[:, part].T - (looks[:, part] * seen[:, part]).sum(1)
            loose = (seen[:, part] ** 2).sum(1) + 1 / noise.ground[kind] ** 2
            score += 0.5 * level**2 / loose - 0.5 * np.log(loose)
        total[start : start + PIECE] = score
    return total


def _thin(model: ElementModel, opacity: float) -> bool:
    """Whether an element is lines over an open background, of which edges make more than lines.

    What is filled stands out by itself, and its own steps are larger than those of a background.
    """
    filled = float(model.element.sprites[0][..., 3].mean()) / 255
    return filled < FILLED and _clear(model, opacity, slice(None)).max() > OPEN


def _usual_step(looks: np.ndarray) -> float:
    """How far whitened states (K, n) differ from rest where they do."""
    apart = np.abs(looks)
    apart = apart[apart > 1.0]
    return max(float(np.percentile(apart, STEP_SHARE)), LEAST_STEP) if apart.size else np.inf


def _left(
    model: ElementModel, frames: np.ndarray, best: np.ndarray, opacity: float, scene: Scene
) -> tuple[np.ndarray, np.ndarray]:
    """What the best states leave of frames, the background's level taken away, and their clear."""
    clear = (1 - opacity * model.alpha)[best] * scene.open
    left = frames - scene.templates(model, opacity)[best]
    for part in model.parts():
        weight = (clear[:, part] ** 2).sum(1) + 1.0
        level = (left[:, part] * clear[:, part]).sum(1) / weight
        left[:, part] -= level[:, None] * clear[:, part]
    return left, clear


def _told(
    model: ElementModel, frames: np.ndarray, best: np.ndarray, opacity: float, scene: Scene
) -> Scene:
    """The scene that a reading tells.

    Frames are taken together by what they show, and each kind counts about the same: a stick that
    is held in one direction for most of the time must not become a part of the background.
    """
    noise = scene.noise
    left, clear = _left(model, frames, best, opacity, scene)
    kinds = np.round(model.values[best]).astype(int)
    _, kind_of = np.unique(kinds, axis=0, return_inverse=True)
    kind_of = kind_of.ravel()
    least = max(3, len(frames) // 100)
    middles, seen, weights = [], [], []
    for one in range(kind_of.max() + 1):
        rows = kind_of == one
        if rows.sum() >= least:
            middles.append(np.median(left[rows], 0))
            seen.append(clear[rows].mean(0))
            weights.append(np.sqrt(rows.sum()))
    if not middles:
        return scene
    middle, see = np.stack(middles), np.stack(seen)
    weight = np.array(weights)[:, None] / np.sum(weights)
    shift = (weight * see * middle).sum(0) / ((weight * see**2).sum(0) + 0.02)
    error = (weight * (middle - see * shift)).sum(0)
    for part in model.parts():  # levels belong to frames
        whole = see.mean(0)[part] > 0.5
        if whole.any():
            shift[part] -= np.median(shift[part][whole])
    spread = 1.4826 * np.median(np.abs(left - np.median(left, 0)), 0)
    coding, ground = list(noise.coding), list(noise.ground)
    parts = model.parts()
    parts = parts[0], slice(parts[1].start, None)
    half = np.median((1 - opacity * model.alpha)[best], 0)
    for kind, part in enumerate(parts):
        opaque, open_ = half[part] < 0.1, (half[part] > 0.5) & (scene.open[part] > 0)
        if opaque.sum() > 20:
            found = float(np.median(spread[part][opaque]))
            coding[kind] = float(np.clip(1.5 * found, 2.0 - 0.5 * kind, 10.0))
        if open_.sum() > 20:
            found = float(np.median(spread[part][open_] / half[part][open_]))
            least = (10.0, 4.0)[kind]
            ground[kind] = float(np.clip(1.5 * found, least, 60.0))
    return Scene(
        (scene.ground + shift).astype(np.float32),
        (scene.error + error).astype(np.float32),
        scene.open,
        replace(noise, coding=tuple(coding), ground=tuple(ground)),
    )


def _reading(
    model: ElementModel,
    frames: np.ndarray,
    scores: np.ndarray,
    shared: Precision,
    opacity: float,
    scene: Scene,
    between: bool,
) -> Reading:
    best = scores.argmax(1)
    templates = scene.templates(model, opacity)
    left, clear = _left(model, frames, best, opacity, scene)
    opaque = 1 - clear
    # What the scene takes for an error of colour is a sign of another skin.
    amiss = np.abs(left + scene.error) * opaque
    amiss = float(amiss.sum() / max(opaque.sum(), 1.0))
    energy = shared.energy(left) / max(left.shape[1], 1)
    kind = model.element.kind
    value = model.values[best].astype(np.float32)
    gap = scores.max(1) - scores[:, rest(model)]
    if kind == "stick":
        place, press = _stick(scores)
        value[:, :2] = place if between else value[:, :2]
    elif kind == "dpad":
        pressed = [model.values[:, axis] * sign > 0 for axis, sign in DPAD_WAYS]
        press = np.stack([_ratio(scores, one) for one in pressed], 1)
    elif kind == "trigger" and len(templates) > 2:
        value = _between(scores, model.values[:, 0])[:, None] if between else value
        press = _ratio(scores, model.values[:, 0] >= 0.5)[:, None]
    else:
        press = _ratio(scores, model.values[:, 0] > 0)[:, None]
    return Reading(value, gap, energy, press, amiss, scores)


# Axis and sign of a d-pad's value for each of `Element.buttons`.
DPAD_WAYS = ((0, -1), (0, 1), (1, -1), (1, 1))


def _ratio(scores: np.ndarray, pressed: np.ndarray) -> np.ndarray:
    """(N,) by how much the best state with a button pressed beats the best without."""
    return scores[:, pressed].max(1) - scores[:, ~pressed].max(1)


def _between(scores: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(N,) the level at the top of a parabola through the best one and its neighbours."""
    best = np.clip(scores.argmax(1), 1, len(levels) - 2)
    rows = np.arange(len(scores))
    low, mid, high = (scores[rows, best + step] for step in (-1, 0, 1))
    bend = low - 2 * mid + high
    shift = np.where(bend < -1e-9, 0.5 * (low - high) / np.minimum(bend, -1e-9), 0)
    shift = np.clip(shift, -1, 1)
    return np.clip(levels[best] + shift * (levels[1] - levels[0]), 0, 1).astype(np.float32)


def _stick(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) positions and (N, 1) log-likelihood ratios of the click, if it can be seen."""
    number = GRID * GRID
    if scores.shape[1] == number:
        return peak(scores.reshape(-1, GRID, GRID)), np.full((len(scores), 1), -np.inf)
    press = scores[:, number:].max(1) - scores[:, :number].max(1)
    scores = np.where(press[:, None] > 0, scores[:, number:], scores[:, :number])
    return peak(scores.reshape(-1, GRID, GRID)), press[:, None]


def peak(scores: np.ndarray) -> np.ndarray:
    """(N, 2) x and y of the top of a paraboloid through each best grid point and its neighbours.

    Args:
        scores: (N, GRID, GRID), rows are y.
    """
    best = scores.reshape(len(scores), -1).argmax(1)
    row = np.clip(best // GRID, 1, GRID - 2)
    column = np.clip(best % GRID, 1, GRID - 2)
    at = np.arange(len(scores))
    near = np.stack(
        [
            np.stack([scores[at, row + dy, column + dx] for dx in (-1, 0, 1)], -1)
            for dy in (-1, 0, 1)
        ],
        1,
    )
    gx = (near[:, :, 2] - near[:, :, 0]).mean(1) / 2
    gy = (near[:, 2] - near[:, 0]).mean(1) / 2
    xx = (near[:, :, 0] - 2 * near[:, :, 1] + near[:, :, 2]).mean(1)
    yy = (near[:, 0] - 2 * near[:, 1] + near[:, 2]).mean(1)
    xy = (near[:, 0, 0] + near[:, 2, 2] - near[:, 0, 2] - near[:, 2, 0]) / 4
    determinant = xx * yy - xy**2
    good = (xx < 0) & (determinant > 1e-12)
    determinant = np.where(good, determinant, 1)
    dx = np.where(good, -(yy * gx - xy * gy) / determinant, 0)
    dy = np.where(good, -(xx * gy - xy * gx) / determinant, 0)
    step = 2 * REACH / (GRID - 1)
    x = -REACH + step * (column + np.clip(dx, -1, 1))
    y = -REACH + step * (row + np.clip(dy, -1, 1))
    return np.stack([x, y], -1).astype(np.float32)


def read(
    models: Sequence[ElementModel],
    crops: Planes,
    crop: Region,
    opacity: float,
    without: Collection[str] = (),
) -> list[Reading]:
    """All elements in a block of crops."""
    return [read_element(model, vectors(model, crops, crop), opacity, without) for model in models]
