"""What an element of a skin can look like at its place in a video, and how far pixels may differ.

Every element is a list of states with a template each: a button released and pressed, a d-pad in
nine ways, a trigger at several levels, a stick on a grid of positions, clicked and not. A template
is the vector of `planes.pooled` over the element's region, the other elements at rest.

The background is seen through what is not opaque. It is unknown and smooth: noise whose covariance
falls with distance. Coding noise is independent. Where other elements may change a pixel, it counts
less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.planes import Colours, Painted, aligned, painted, pooled
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region, around
from nitrogen_jax.labeling.skins.reduce import suited
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element, Skin, States

GRID = 13  # stick positions along an axis
REACH = 1.1  # of the outermost positions, in travels
AXIS = np.linspace(-REACH, REACH, GRID)  # of stick positions, travels
REST = GRID * GRID // 2  # the stick position in the middle
LEVELS = 13  # of a trigger's bar
MOST_PIXELS = {
    "stick": 1200,
    "dpad": 500,
    "trigger": 280,
}  # of luma in a region; larger ones are averaged
OTHER_PIXELS = 420  # the same for elements of other kinds
REACH_OF_GROUND = 40.0  # pixels over which the background stays similar
MARGIN = 2.0  # pixels around an element
PIECE = 512  # frames that are multiplied at a time


@dataclass(frozen=True, eq=False)
class ElementModel:
    """One element at its place.

    Attributes:
        region: of the picture; its edges are multiples of 2 and of `block`.
        colour: (K, n) float32 of the states, premultiplied.
        alpha: (K, n) float32 in 0..1.
        values: (K, v) what the states mean: a stick's x, y, click; a trigger's level; a d-pad's
            x, y; a button's 0 or 1.
        other: (n,) variance that other elements bring into a pixel.
        where: (n, 2) x and y of each entry, in luma pixels.
        luma: entries that are luma; the rest is chroma, first all of U.
        alike: correlations of the background between entries of luma, and of chroma.
    """

    element: Element
    region: Region
    block: int
    colour: np.ndarray
    alpha: np.ndarray
    values: np.ndarray
    other: np.ndarray
    where: np.ndarray
    luma: int
    alike: tuple[np.ndarray, np.ndarray]

    def parts(self) -> tuple[slice, slice, slice]:
        """Where Y, U and V are in a vector."""
        chroma = (len(self.where) - self.luma) // 2
        return (
            slice(0, self.luma),
            slice(self.luma, self.luma + chroma),
            slice(self.luma + chroma, None),
        )


def build(
    skin: Skin,
    at: Placement,
    size: tuple[int, int],
    colours: Colours,
    names: Collection[str] | None = None,
) -> list[ElementModel]:
    """The models of all elements that move and can be seen.

    Args:
        size: (height, width) of the picture.
        names: of the elements; None: all.
    """
    skin, at = suited(skin, at)
    models = []
    for element in skin.elements:
        if names is not None and element.name not in names:
            continue
        if element.moves and (model := _model(skin, element, at, size, colours)) is not None:
            models.append(model)
    return models


def _model(
    skin: Skin, element: Element, at: Placement, size: tuple[int, int], colours: Colours
) -> ElementModel | None:
    region = around(element.extent, at, MARGIN)
    pixels = region.shape[0] * region.shape[1]
    most = MOST_PIXELS.get(element.kind, OTHER_PIXELS)
    block = next(b for b in (1, 2, 4, 8, 16) if pixels <= most * b * b or b == 16)
    region = _whole_blocks(aligned(region, size, max(block, 2)), max(block, 2))
    if min(region.shape) < 4:
        return None
    near = [one for one in skin.elements if _meet(around(one.extent, at, 1), region)]
    painter = Painter(replace(skin, elements=tuple(near)), at, region)
    values, looks = [], []
    for value, state in _states(element):
        values.append(value)
        looks.append(painted(next(iter(painter.states(state))), colours))
    colour = np.stack([pooled(look.colour, block) for look in looks])
    alpha = np.stack([pooled(look.alpha, block) for look in looks])
    other = _others(painter, near, element, colours, block, looks[0])
    where, luma = _where(region, block)
    chroma = where[luma : luma + (len(where) - luma) // 2]
    alike = _alike(where[:luma]), _alike(chroma)
    return ElementModel(
        element, region, block, colour, alpha, np.array(values), other, where, luma, alike
    )


def _alike(where: np.ndarray) -> np.ndarray:
    """(n, n) how alike the background is between places (n, 2)."""
    far = np.sqrt(sum((where[:, None, axis] - where[None, :, axis]) ** 2 for axis in (0, 1)))
    return np.exp(-far / REACH_OF_GROUND)


def _states(element: Element) -> Iterator[tuple[tuple[float, ...], States]]:
    """(value, state of the pad) of each state; the first is at rest."""
    if element.kind == "stick":
        clicks = (0, 1) if element.buttons else (0,)
        for click in clicks:
            for y in AXIS:
                for x in AXIS:
                    state = States.idle()
                    stick = state.left if element.side == "left" else state.right
                    stick[0] = x, y
                    if click:
                        state.buttons[0, BUTTON_INDEX[element.button]] = True
                    yield (x, y, click), state
    elif element.kind == "trigger":
        for level in np.linspace(0, 1, LEVELS if element.bar else 2):
            state = States.idle()
            state.triggers[0, 0 if element.side == "left" else 1] = level
            yield (level,), state
    elif element.kind == "dpad":
        for x, y in DPAD_STATES:
            state = States.idle()
            for way, on in (("LEFT", x < 0), ("RIGHT", x > 0), ("UP", y < 0), ("DOWN", y > 0)):
                state.buttons[0, BUTTON_INDEX[f"DPAD_{way}"]] = on
            yield (x, y), state
    else:
        for pressed in (False, True):
            state = States.idle()
            state.buttons[0, BUTTON_INDEX[element.button]] = pressed
            yield (float(pressed),), state


def rest(model: ElementModel) -> int:
    """Which state is that of a pad that nobody touches."""
    return REST if model.element.kind == "stick" else 0


def _others(
    painter: Painter,
    near: list[Element],
    element: Element,
    colours: Colours,
    block: int,
    idle: Painted,
) -> np.ndarray:
    """Mean squared change that the other elements can make to each entry."""
    total = np.zeros_like(pooled(idle.colour, block))
    calm = pooled(idle.colour, block)
    for one in near:
        if one is element or not one.moves:
            continue
        states = [state for _, state in _states(one)]
        step = max(1, len(states) // 8)
        for state in states[1::step]:
            look = painted(next(iter(painter.states(state))), colours)
            total = np.maximum(total, (pooled(look.colour, block) - calm) ** 2)
    return total


def _meet(one: Region, other: Region) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def _whole_blocks(region: Region, to: int) -> Region:
    """Cut off to multiples of blocks, which a picture's edge may have broken."""
    height, width = region.shape
    return Region(
        region.left,
        region.top,
        region.left + width // to * to,
        region.top + height // to * to,
    )


def _where(region: Region, block: int) -> tuple[np.ndarray, int]:
    """(n, 2) x and y of a vector's entries, and how many of them are luma."""
    height, width = region.shape
    places = []
    for step in (block, max(block, 2)):
        y, x = np.mgrid[0 : height // step, 0 : width // step].astype(np.float32)
        places.append(np.stack([x.ravel(), y.ravel()], -1) * step + step / 2)
    return np.concatenate([places[0], places[1], places[1]]), len(places[0])


@dataclass(frozen=True)
class Noise:
    """How much pixels differ from their templates, in levels of 0..255.

    Attributes:
        coding: standard deviation of luma and chroma from coding, in single pixels.
        ground: of the background around its mean, luma and chroma.
        shared: share of the background's variance that is the same all over an element.
    """

    coding: tuple[float, float] = (5.0, 3.0)
    ground: tuple[float, float] = (45.0, 14.0)
    shared: float = 0.3


class Precision:
    """The inverse of a covariance: independent noise plus a background seen through `clear`."""

    def __init__(self, model: ElementModel, clear: np.ndarray, noise: Noise):
        """
        Args:
            clear: (n,) how much of the background is seen, 0..1.
        """
        self.parts = model.parts()
        self._solvers, logs = [], 0.0
        for part, kind in zip(self.parts, (0, 1, 1), strict=True):
            own = noise.coding[kind] ** 2 + model.other[part] + 0.5
            seen = clear[part] * noise.ground[kind]
            if (seen**2).max(initial=0) < 0.05 * own.min():
                own = (own + seen**2).astype(np.float32)
                self._solvers.append(own)
                logs += float(np.log(own).sum())
                continue
            alike = noise.shared + (1 - noise.shared) * model.alike[kind]
            covariance = alike * np.outer(seen, seen)
            covariance[np.diag_indices(len(own))] += own
            factor = cholesky(
                covariance.astype(np.float32), lower=True, check_finite=False, overwrite_a=True
            )
            self._solvers.append(factor)
            logs += 2 * float(np.log(np.diag(factor)).sum())
        self.log_determinant = logs

    def whitened(self, vectors: np.ndarray) -> np.ndarray:
        """(N, n) vectors in which noise is independent and of variance 1."""
        result = np.empty(vectors.shape, np.float32)
        for part, solver in zip(self.parts, self._solvers, strict=True):
            if solver.ndim == 2:
                solved = solve_triangular(
                    solver, vectors[:, part].T, lower=True, check_finite=False
                )
                result[:, part] = solved.T
            else:
                result[:, part] = vectors[:, part] / np.sqrt(solver)
        return result

    def times(self, vectors: np.ndarray) -> np.ndarray:
        """(N, n) vectors times the inverse."""
        result = np.empty(vectors.shape, np.float32)
        for part, solver in zip(self.parts, self._solvers, strict=True):
            if solver.ndim == 2:
                solved = cho_solve((solver, True), vectors[:, part].T, check_finite=False)
                result[:, part] = solved.T
            else:
                result[:, part] = vectors[:, part] / solver
        return result

    def energy(self, vectors: np.ndarray) -> np.ndarray:
        """(N,) of vectors (N, n): v' P v."""
        energies = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), PIECE):
            white = self.whitened(vectors[start : start + PIECE])
            energies[start : start + PIECE] = np.einsum("ij,ij->i", white, white)
        return energies


__all__ = ["ElementModel", "Noise", "Precision", "build", "rest"]
