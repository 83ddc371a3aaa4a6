"""Puts samples together out of scenes: pairs of frames, their template, and the truth."""

from __future__ import annotations

import numpy as np

from nitrogen_jax.labeling.parser.grounds import Grounds
from nitrogen_jax.labeling.parser.mosaic import faded
from nitrogen_jax.labeling.parser.scenes import OPACITY, POSITIONS, TRIGGERS, Drawn, Recorded
from nitrogen_jax.labeling.parser.slots import (
    CLICKS,
    PRESS,
    PRESS_CORNERS,
    PRESS_READ,
    READ,
    SIDE,
    STICK,
    STICK_CORNERS,
)
from nitrogen_jax.labeling.planes import Colours

Samples = dict[str, np.ndarray]

PRESSED = 0.25  # share of the buttons that are pressed where states are random
CHANGES = 0.15  # share of the buttons that change between two frames
NOISE = np.random.default_rng(7).normal(0, 1, (4, 3 * SIDE, 3 * SIDE, 3)).astype(np.float32)


def from_drawn(
    scene: Drawn, rng: np.random.Generator, number: int, grounds: Grounds, template_error=0.1
) -> Samples:
    """Samples of random states on random backgrounds, all of one opacity.

    Args:
        template_error: by what share the opacity may be mistaken.
    """
    opacity = 1.0 if rng.random() < 0.4 else float(rng.uniform(*OPACITY))
    buttons, partly, knobs = _states(scene, rng, number)
    shown = np.empty((number, 2, SIDE, SIDE, 4), np.float32)
    for at in range(number):
        for time in range(2):
            shown[at, time] = _composed(scene, buttons[at, time], partly[at, time], knobs[at, time])
    # A frame may show what was before it, too.
    mixed = np.where(rng.random(number) < 0.3, rng.uniform(0, 0.35, number), 0)
    mixed = mixed.astype(np.float32)[:, None, None, None]
    shown[:, 1] += mixed * (shown[:, 0] - shown[:, 1])
    matrix, offset = Colours(int(scene.colours[0]), bool(scene.colours[1])).weights()
    ground = grounds.windows(rng, number, SIDE).astype(np.float32) @ matrix.T.astype(np.float32)
    ground += offset.astype(np.float32)
    clear = 1 - shown[..., 3:] * (opacity / 255)
    frames = shown[..., :3] * opacity + clear * ground
    _disturb(frames, rng)
    known = opacity * (1 + template_error * rng.uniform(-1, 1))
    template = faded(scene.template, min(known, 1.0))
    occupied = _occupied(scene.sticks, scene.presses)
    return _samples(
        scene,
        np.rint(frames.clip(0, 255)).astype(np.uint8) * occupied,
        template,
        np.stack([scene.positions[side, knobs[:, 1, side]] for side in range(2)], 1),
        buttons[:, 1],
    )


def from_recorded(scene: Recorded, rng: np.random.Generator, number: int) -> Samples:
    """Random frames of a clip, brighter or darker than they were."""
    at = rng.integers(1, len(scene.frames), number)
    frames = np.stack([scene.frames[at - 1], scene.frames[at]], 1).astype(np.float32)
    gain = rng.uniform(0.93, 1.07, (number, 1, 1, 1, 1)).astype(np.float32)
    frames = gain * frames + (rng.uniform(-5, 5, (number, 1, 1, 1, 1))).astype(np.float32)
    frames[..., 1:] += (1 - gain) * 128
    frames = np.rint(frames.clip(0, 255)).astype(np.uint8)
    frames *= _occupied(scene.sticks, scene.presses)
    return _samples(scene, frames, scene.template, scene.positions[at], scene.buttons[at])


def in_order(scene: Recorded) -> Samples:
    """All frames of a clip but the first, each with the one before."""
    frames = np.stack([scene.frames[:-1], scene.frames[1:]], 1)
    return _samples(scene, frames, scene.template, scene.positions[1:], scene.buttons[1:])


def _samples(scene, frames, template, positions, buttons) -> Samples:
    number = len(frames)

    def repeated(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (number, *array.shape))

    return {
        "frames": frames,
        "template": repeated(template),
        "sticks": positions.astype(np.float32),
        "travel": repeated(scene.travel),
        "has_sticks": repeated(scene.sticks),
        "buttons": buttons & scene.presses,
        "has_buttons": repeated(scene.presses),
        "valid": np.ones(number, bool),
    }


def _states(scene: Drawn, rng: np.random.Generator, number: int):
    """Buttons (N, 2, 17), triggers drawn some of the way (N, 2, 2), stick positions (N, 2, 2).

    The second axis is time: the frame before, and the frame.
    """
    often = rng.choice([0.05, PRESSED, 0.5], (number, 1, 1), p=[0.3, 0.5, 0.2])
    buttons = rng.random((number, 2, len(READ))) < often
    same = rng.random((number, len(READ))) >= CHANGES
    buttons[:, 0] = np.where(same, buttons[:, 1], buttons[:, 0])
    # Opposite ways of a d-pad cancel each other.
    for one, other in (("LEFT", "RIGHT"), ("UP", "DOWN")):
        buttons[..., READ.index(f"DPAD_{one}")] &= ~buttons[..., READ.index(f"DPAD_{other}")]
    partly = rng.random((number, 2, 2)) < 0.25
    for side, name in enumerate(TRIGGERS):
        at = READ.index(name)
        buttons[..., at] = np.where(partly[..., side], scene.partly_pressed[side], buttons[..., at])
    knobs = rng.integers(0, POSITIONS, (number, 2, 2))
    knobs[rng.random((number, 2, 2)) < 0.12] = 0
    still = rng.random((number, 2)) < 0.6
    knobs[:, 0] = np.where(still, knobs[:, 1], knobs[:, 0])
    for side, at in enumerate(CLICKS):
        buttons[..., at] = scene.clicked[side, knobs[..., side]]
    return buttons, partly, knobs


def _composed(scene: Drawn, buttons, partly, knobs) -> np.ndarray:
    """(96, 96, 4) uint8 of one state."""
    look = scene.rest.copy()
    for at in np.flatnonzero(buttons[PRESS_READ]):
        place = _press(at)
        look[place] = scene.pressed[place]
    for side, name in enumerate(TRIGGERS):
        if partly[side]:
            place = _press(_SLOT_OF[name])
            look[place] = scene.partly[place]
    for side, (x, y) in enumerate(STICK_CORNERS):
        if scene.sticks[side]:
            look[y : y + STICK, x : x + STICK] = scene.knobs[side, knobs[side]]
    return look


_SLOT_OF = {READ[at]: slot for slot, at in enumerate(PRESS_READ)}


def _press(slot: int) -> tuple[slice, slice]:
    x, y = PRESS_CORNERS[slot]
    return slice(y, y + PRESS), slice(x, x + PRESS)


def _occupied(sticks: np.ndarray, presses: np.ndarray) -> np.ndarray:
    """(96, 96, 1) uint8: 1 in slots that show something."""
    found = np.zeros((SIDE, SIDE, 1), np.uint8)
    for side, (x, y) in enumerate(STICK_CORNERS):
        found[y : y + STICK, x : x + STICK] = sticks[side]
    for slot, there in enumerate(presses[PRESS_READ]):
        found[_press(slot)] = there
    return found


def _disturb(frames: np.ndarray, rng: np.random.Generator) -> None:
    """Contrast, brightness, tint and noise of pairs of frames (N, 2, 96, 96, 3), in place."""
    number = len(frames)
    gain = rng.uniform(0.92, 1.08, (number, 1, 1, 1, 1)).astype(np.float32)
    shift = rng.normal(0, (5, 2, 2), (number, 1, 1, 1, 3)).astype(np.float32)
    frames *= gain
    frames += shift + np.array([0, 128, 128], np.float32) * (1 - gain)
    for pair in frames:
        strong = np.float32(rng.choice([0.5, 2.0, 4.0]))
        for frame in pair:
            which, (y, x) = rng.integers(len(NOISE)), rng.integers(0, 2 * SIDE, 2)
            frame += strong * NOISE[which, y : y + SIDE, x : x + SIDE]
