"""What is known of an element's surroundings: the background, a display of the game below it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nitrogen_jax.labeling.fit.model import ElementModel, Noise, rest

GROUND = (110.0, 128.0, 128.0)  # of a background nothing is known of: Y, U, V
CALM = 85.0  # percentile of a pixel's changes that is small where a display stays
LEAST_CHANGE = 10.0  # levels by which a background's level must change to tell that
STAYS = 6.0  # levels by which a display may change
FOLLOWS = 0.25, 0.7  # of the level's change: a pixel that follows it less stays, or wholly follows


@dataclass(frozen=True, eq=False)
class Scene:
    """What is known of an element's surroundings in a block of frames.

    Attributes:
        ground: (n,) the background's mean picture.
        error: (n,) what is added to every template: small errors of colour and place.
        open: (n,) 0 where a display of the game stays, which does not follow the background's
            level, 1 where nothing does.
        noise: how far pixels scatter.
    """

    ground: np.ndarray
    error: np.ndarray
    open: np.ndarray
    noise: Noise

    def templates(self, model: ElementModel, opacity: float) -> np.ndarray:
        """(K, n) what the states look like."""
        return opacity * model.colour + (1 - opacity * model.alpha) * self.ground + self.error


def unknown(model: ElementModel) -> Scene:
    """A scene of which nothing is known."""
    ground = np.zeros(model.colour.shape[1], np.float32)
    for part, level in zip(model.parts(), GROUND, strict=True):
        ground[part] = level
    return Scene(ground, np.zeros_like(ground), np.ones_like(ground), Noise())


def displayed(model: ElementModel, frames: np.ndarray, opacity: float) -> Scene:
    """A scene of which no more is known than where pixels stay while the level around changes.

    There a display lies below the overlay. Its contrast with the background, which changes with
    that, must not be taken for a state.
    """
    scene = unknown(model)
    still, luma = rest(model), model.parts()[0]
    clear = 1 - opacity * model.alpha[still]
    if not (clear[luma] > 0.5).any():
        return scene
    middle = np.median(frames, 0)
    level = frames[:, luma] @ clear[luma] / clear[luma].sum()
    changes = np.percentile(np.abs(level - np.median(level)), CALM)
    if changes < LEAST_CHANGE:
        return scene
    apart = np.percentile(np.abs(frames[:, luma] - middle[luma]), CALM, axis=0)
    follows = apart / (np.maximum(clear[luma], 0.5) * changes)
    low, high = FOLLOWS
    stays = (clear[luma] > 0.5) & (follows < low) & (apart < STAYS)
    if not stays.any():
        return scene
    # Its edges are mixed with what is around it.
    where = model.where[luma]
    far = np.abs(where[:, None] - where[stays][None]).max(-1).min(1)
    near = (clear[luma] > 0.5) & (far <= model.block)
    scene.open[luma] = np.where(near, np.clip((follows - low) / (high - low), 0, 1), 1)
    for part in model.parts():
        if part != luma:  # each entry of chroma lies over some of luma
            far = np.abs(model.where[part][:, None] - where[None]).max(-1)
            over = far < max(model.block, 2) / 2
            scene.open[part] = over @ scene.open[luma] / over.sum(1)
        usual = middle[part] @ clear[part] / max(clear[part].sum(), 1.0)
        below = (middle[part] - opacity * model.colour[still, part]) / np.maximum(clear[part], 0.5)
        below -= scene.open[part] * (usual - scene.ground[part])
        near = (scene.open[part] < 1) & (clear[part] > 0.5)
        scene.ground[part] = np.where(near, below, scene.ground[part])
    return scene
