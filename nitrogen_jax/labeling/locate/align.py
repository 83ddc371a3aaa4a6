"""How well a picture agrees with a skin at rest at some place, and the place at which it does best.

Only detail counts: both are compared after what is smooth was taken away. There, an overlay of
opacity O over a background of level g is O * detail(colour) - O g * detail(alpha), so that two
numbers, found by least squares, tell its opacity and the background, and the correlation of the two
pictures tells how well they agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region
from nitrogen_jax.labeling.skins.reduce import suited
from nitrogen_jax.labeling.skins.resample import placed
from nitrogen_jax.labeling.skins.skin import Skin, States

SMOOTH = 4.0  # pixels; wider structures are no detail
MARGIN = 10  # pixels around a skin
MOVING = 0.3  # weight of pixels that sticks may leave or cover
GREY = np.array([0.299, 0.587, 0.114], np.float32)
SHRINKS = (4, 2)  # by which pictures are made smaller to find the way from further off
LEAST_WIDTH = 16  # pixels of a skin in a smaller picture
HOPELESS = 0.25  # score near the best place below which no small step makes it a good one
CANVAS = 1.6  # pixels at which a skin is drawn once, for one of the picture


@dataclass(frozen=True)
class Agreement:
    """How well a picture agrees with a skin.

    Attributes:
        score: correlation of their details, 0..1.
        opacity: that suits best.
        visible: share of the skin that is inside of the picture.
    """

    score: float
    opacity: float
    visible: float


class Drawn:
    """A skin at rest, drawn once, to be compared at many places of about one scale."""

    def __init__(self, skin: Skin, scale: float):
        self.skin = skin
        self.width = max(32, min(skin.size[0], round(CANVAS * scale * skin.size[0])))
        fine = self.width / skin.size[0]
        small, at = suited(skin, Placement(fine, 0, 0))
        whole = Region(0, 0, self.width, max(1, round(skin.size[1] * fine)))
        rgba = next(iter(Painter(small, at, whole).states(States.idle()))) / 255
        weight = np.ones(rgba.shape[:2], np.float32)
        for element in skin.elements:
            if element.kind == "stick":
                left, top, right, bottom = (int(edge * fine) for edge in element.extent)
                weight[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = MOVING
        self.layers = np.concatenate(
            [rgba[..., :3] * 255, rgba[..., 3:], weight[..., None] * (rgba[..., 3:] > 0.02)], -1
        )

    def at(self, place: Placement, region: Region) -> np.ndarray:
        """(h, w, 5) of a region: premultiplied RGB, alpha in 0..1, weight."""
        scale = place.scale * self.skin.size[0] / self.width
        patch, (left, top) = placed(self.layers, scale, place.x, place.y)
        canvas = np.zeros((*region.shape, 5), np.float32)
        x0, y0 = max(left, region.left), max(top, region.top)
        x1 = min(left + patch.shape[1], region.right)
        y1 = min(top + patch.shape[0], region.bottom)
        if x0 < x1 and y0 < y1:
            canvas[y0 - region.top : y1 - region.top, x0 - region.left : x1 - region.left] = patch[
                y0 - top : y1 - top, x0 - left : x1 - left
            ]
        return canvas


def detail(picture: np.ndarray) -> np.ndarray:
    """What is not smooth of (h, w) or (h, w, C) float32."""
    return picture - cv2.GaussianBlur(picture, (0, 0), SMOOTH, borderType=cv2.BORDER_REFLECT)


def region_of(skin: Skin, at: Placement, size: tuple[int, int]) -> tuple[Region, float]:
    """The pixels around a skin that lie in a picture of (height, width), and what share of it."""
    x, y, wide, high = at.box(skin)
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + wide, size[1]), min(y + high, size[0])
    visible = max(right - left, 0) * max(bottom - top, 0) / max(wide * high, 1e-6)
    region = Region(
        max(int(left) - MARGIN, 0),
        max(int(top) - MARGIN, 0),
        min(int(right) + MARGIN + 1, size[1]),
        min(int(bottom) + MARGIN + 1, size[0]),
    )
    return region, visible


def compare(colours: np.ndarray, drawn: Drawn, at: Placement, colour: bool = False) -> Agreement:
    """How well a picture agrees with a skin at a place.

    Args:
        colours: (H, W, 3) uint8 RGB.
        colour: whether all three channels are compared, or grey levels.
    """
    region, visible = region_of(drawn.skin, at, colours.shape[:2])
    if visible < 0.2 or min(region.shape) < 8:
        return Agreement(0.0, 1.0, visible)
    part = colours[region.top : region.bottom, region.left : region.right].astype(np.float32)
    layers = drawn.at(at, region)
    score, opacity = _score(part, layers, colour)
    return Agreement(score, opacity, visible)


def _columns(part: np.ndarray, layers: np.ndarray, colour: bool) -> tuple[np.ndarray, ...]:
    """Details of the picture, of the skin's colours and of its alpha, and the weights."""
    weight = cv2.dilate(layers[..., 4], np.ones((5, 5), np.uint8))
    clear = detail(layers[..., 3])
    if not colour:
        return detail(part @ GREY), detail(layers[..., :3] @ GREY), clear, weight
    return detail(part), detail(layers[..., :3]), clear, weight


def _score(part: np.ndarray, layers: np.ndarray, colour: bool) -> tuple[float, float]:
    seen, wanted, clear, weight = _columns(part, layers, colour)
    if not colour:
        seen, wanted = seen[..., None], wanted[..., None]
    weight = weight[..., None]
    opacity, levels = _fit(seen, wanted, clear[..., None], weight)
    expected = opacity * wanted - levels * clear[..., None]
    top = (weight * seen * expected).sum()
    bottom = np.sqrt((weight * seen**2).sum() * (weight * expected**2).sum())
    return float(max(top / max(bottom, 1e-6), 0)), opacity


def _fit(
    seen: np.ndarray, wanted: np.ndarray, clear: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    """The opacity, and opacity times level of each channel: seen = O wanted - levels clear."""
    cc = (weight * clear**2).sum() + 1e-9
    wc = (weight * wanted * clear).sum((0, 1))
    sc = (weight * seen * clear).sum((0, 1))
    ww = (weight * wanted**2).sum((0, 1))
    sw = (weight * seen * wanted).sum((0, 1))
    # Levels eliminated: levels = (O wc - sc) / cc.
    top, bottom = (sw - sc * wc / cc).sum(), (ww - wc**2 / cc).sum()
    opacity = float(np.clip(top / max(bottom, 1e-9), 0.1, 1.0))
    levels = (opacity * wc - sc) / cc
    return opacity, np.clip(levels, 0, 255 * opacity)


def refine(colours: np.ndarray, drawn: Drawn, at: Placement) -> Placement:
    """The placement near another at which a picture agrees best.

    Details guide from no further than their own width: the way is sought in smaller pictures first,
    from up to some 5 % of scale off.

    Args:
        colours: (H, W, 3) uint8 RGB.
    """
    start = at = Placement(*map(float, at))
    for shrink in SHRINKS:
        if at.scale * drawn.skin.size[0] >= LEAST_WIDTH * shrink:
            height, width = (side // shrink * shrink for side in colours.shape[:2])
            small = colours[:height, :width]
            small = cv2.resize(small, None, None, 1 / shrink, 1 / shrink, cv2.INTER_AREA)
            near = _climbed(small, drawn, Placement(*(number / shrink for number in at)))
            at = Placement(*(number * shrink for number in near))
    scores = [compare(colours, drawn, one).score for one in (at, start)]
    if scores[0] < scores[1]:
        at = start
    return at if max(scores) < HOPELESS else _climbed(colours, drawn, at)


def _climbed(colours: np.ndarray, drawn: Drawn, at: Placement, rounds: int = 8) -> Placement:
    """`refine` in one picture, by Gauss-Newton steps."""
    best = compare(colours, drawn, at).score
    centre = np.array(drawn.skin.size) / 2
    step = 1.0
    for _ in range(rounds):
        region, visible = region_of(drawn.skin, at, colours.shape[:2])
        if visible < 0.2 or min(region.shape) < 8:
            return at
        part = colours[region.top : region.bottom, region.left : region.right].astype(np.float32)
        seen, wanted, clear, weight = _columns(part, drawn.at(at, region), False)
        opacity, levels = _fit(*(layer[..., None] for layer in (seen, wanted, clear, weight)))
        base = opacity * wanted - levels[0] * clear
        slopes = []
        # A step of a third of a pixel each: along x, y, and in size at the skin's border.
        moves = (_moved(at, centre, dx=0.33), _moved(at, centre, dy=0.33))
        grown = 0.33 / max(centre.max() * at.scale, 1)
        for there in (*moves, _moved(at, centre, grow=grown)):
            _, other, thin, _ = _columns(part, drawn.at(there, region), False)
            slopes.append((opacity * other - levels[0] * thin - base).ravel())
        slope = np.stack(slopes, 1)
        root = np.sqrt(weight.ravel())
        normal = (slope * root[:, None]).T @ (slope * root[:, None])
        if np.trace(normal) < 1e-6:  # nothing to be seen of the skin
            return at
        right = (slope * root[:, None]).T @ (root * (seen - base).ravel())
        move = np.linalg.solve(normal + 1e-3 * np.trace(normal) / 3 * np.eye(3), right)
        move = np.clip(move, -6, 6) * step
        there = _moved(at, centre, *(0.33 * move[:2]), grown * move[2])
        score = compare(colours, drawn, there).score
        if score <= best:
            step /= 2
            if step < 0.2:
                break
            continue
        at, gained = there, score - best
        best = score
        if gained < 1e-5 and np.abs(move).max() < 0.1:
            break
    return at


def _moved(
    at: Placement, centre: np.ndarray, dx: float = 0.0, dy: float = 0.0, grow: float = 0.0
) -> Placement:
    """A placement moved by pixels and grown around the skin's centre."""
    scale = at.scale * (1 + grow)
    shift = centre * (at.scale - scale)
    return Placement(float(scale), float(at.x + dx + shift[0]), float(at.y + dy + shift[1]))
