"""What elements show, of which each frame is told by itself and by those before and after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nitrogen_jax.labeling.fit import habits
from nitrogen_jax.labeling.fit.model import AXIS, GRID, REST
from nitrogen_jax.labeling.fit.over_time import told
from nitrogen_jax.labeling.fit.read import DPAD_WAYS, Reading, peak
from nitrogen_jax.labeling.fit.said import Said
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element

STICK_TEMPER, BUTTON_TEMPER = 3.0, 6.0
CAUTION = 5.0  # log-likelihood that a press must have more than no press
CLEAREST = 12.0  # log-likelihood that some frame of a press must have by itself
NEAR = 0.25  # travels around a stick's place whose probability is that of the place

BETWEEN = AXIS[1] - AXIS[0]  # travels by which a position may differ from a grid's
_PLACES = np.stack([part.ravel() for part in np.meshgrid(AXIS, AXIS)], -1)  # x and y, rows of y


def together(
    elements: Sequence[Element],
    readings: Sequence[Reading],
    odds: Sequence[np.ndarray],
    seconds: float,
) -> list[Said]:
    """What elements show in consecutive frames; their readings have scores.

    Args:
        odds: (N,) of each, by which all log-likelihoods of a frame are divided.
        seconds: between frames.
    """
    scores = [
        _cautious(element, reading.scores / odd[:, None])
        for element, reading, odd in zip(elements, readings, odds, strict=True)
    ]
    clicks = _two_states(scores, elements, seconds)
    sticks = [at for at, element in enumerate(elements) if element.kind == "stick"]
    said: list[Said | None] = [None] * len(elements)
    own = [readings[at].value[:, :2] for at in sticks]
    for at, one in zip(sticks, _sticks([scores[at] for at in sticks], own, seconds), strict=True):
        said[at] = _clicked(one, clicks.get(at))
    for at, element in enumerate(elements):
        if element.kind == "dpad":
            said[at] = _dpad(scores[at], seconds)
        elif element.kind == "trigger" and scores[at].shape[1] > 2:
            said[at] = _bar(scores[at], readings[at], odds[at], seconds)
        elif said[at] is None:
            press, sure = clicks[at]
            said[at] = Said(~press, press[:, None].astype(np.float32), press[:, None], sure)
    return said  # type: ignore[return-value]


def _cautious(element: Element, scores: np.ndarray) -> np.ndarray:
    """Scores (N, K) against rest; presses have less.

    A background that is like a press stays so for a while; frames in which nothing speaks for it
    must end it.
    """
    if element.kind == "stick":
        return scores - scores[:, REST, None]
    apart = scores - scores[:, :1] - CAUTION
    apart[:, 0] = 0
    return apart


def _two_states(
    scores: Sequence[np.ndarray],
    elements: Sequence[Element],
    seconds: float,
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Of each element with two states, and of each stick whose click can be seen: (N,) whether it
    is pressed, and how sure that is."""
    ratios = {}
    for at, (element, score) in enumerate(zip(elements, scores, strict=True)):
        if element.kind == "stick":
            if score.shape[1] == 2 * GRID * GRID:
                ratios[at] = score[:, GRID * GRID :].max(1) - score[:, : GRID * GRID].max(1)
        elif score.shape[1] == 2:
            ratios[at] = score[:, 1] - score[:, 0]
    if not ratios:
        return {}
    ratio = np.stack(list(ratios.values()), 1)
    sure = told(np.stack([np.zeros_like(ratio), ratio], -1), habits.button(seconds), BUTTON_TEMPER)
    found = {}
    for column, at in enumerate(ratios):
        chance = sure.sure[:, column, 1]
        press = clear_ones(chance > 0.5, ratio[:, column])
        found[at] = press, np.where(press, chance, 1 - chance)
    return found


def clear_ones(pressed: np.ndarray, ratio: np.ndarray, least: float = CLEAREST) -> np.ndarray:
    """(N,) presses of which some frame speaks clearly for itself.

    What a background does for half a second looks a little like a press in every frame of it.
    """
    edges = np.diff(np.concatenate([[False], pressed, [False]]).astype(np.int8))
    kept = pressed.copy()
    for start, end in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
        if ratio[start:end].max() < least:
            kept[start:end] = False
    return kept


def _sticks(scores: Sequence[np.ndarray], own: Sequence[np.ndarray], seconds: float) -> list[Said]:
    """Sticks, whether they are clicked or not.

    Args:
        own: (N, 2) where each frame by itself has them, between the positions that have scores.
    """
    if not scores:
        return []
    number = GRID * GRID
    places = [score.reshape(len(score), -1, number).max(1) for score in scores]
    stacked = np.stack(places, 1)
    found = told(stacked, habits.stick(seconds), STICK_TEMPER)
    said = []
    for at in range(len(scores)):
        sure, likely = found.sure[:, at], stacked[:, at] + STICK_TEMPER * found.others[:, at]
        best = sure.argmax(1)
        rests = best == REST
        agrees = np.abs(own[at] - _PLACES[best]).max(1) < BETWEEN
        position = np.where(agrees[:, None], own[at], peak(likely.reshape(-1, GRID, GRID)))
        final = np.where(rests[:, None], 0, position)
        near = sum((_PLACES[None, :, axis] - final[:, axis, None]) ** 2 for axis in (0, 1))
        mass = (sure * (near < NEAR**2)).sum(1)
        click = np.zeros((len(sure), 1), np.float32)
        value = np.concatenate([position, click], 1)
        said.append(Said(rests, value, np.zeros((len(sure), 1), bool), np.minimum(mass, 1)))
    return said


def _clicked(stick: Said, click: tuple[np.ndarray, np.ndarray] | None) -> Said:
    if click is None:
        return stick
    return stick._replace(press=click[0][:, None], sure=np.minimum(stick.sure, click[1]))


def _dpad(scores: np.ndarray, seconds: float) -> Said:
    sure = told(scores[:, None], habits.dpad(seconds), BUTTON_TEMPER).sure[:, 0]
    best = sure.argmax(1)
    ways = np.array(DPAD_STATES)
    press = np.stack([ways[best, axis] * sign > 0 for axis, sign in DPAD_WAYS], 1)
    away = clear_ones(best != 0, scores.max(1) - scores[:, 0])
    chance = np.where(away, sure.max(1), sure[:, 0])
    return Said(~away, ways[best].astype(np.float32), press & away[:, None], chance)


def _bar(scores: np.ndarray, reading: Reading, odd: np.ndarray, seconds: float) -> Said:
    levels = np.linspace(0, 1, scores.shape[1])
    sure = told(scores[:, None], habits.bar(len(levels), seconds), BUTTON_TEMPER).sure[:, 0]
    best = levels[sure.argmax(1)]
    # The level between two that the frame itself tells, unless the others say another one.
    own = reading.value[:, 0]
    value = np.where(np.abs(own - best) <= levels[1], own, best).astype(np.float32)
    half = sure[:, levels >= 0.5].sum(1)
    press = clear_ones(half > 0.5, reading.press[:, 0] / odd)
    away = (best > 0) & (press | (half <= 0.5))
    chance = np.where(press, half, 1 - half)
    return Said(~away, value[:, None], press[:, None], chance)
