"""What people did with a pad over time: traces from files, and smoother ones that are made up.

A file of traces is an .npz with `sticks_NN` (T, 4): left x, y, right x, y in [-1, 1], y down;
`buttons_NN` (T, k) bool with `button_names` (k,); optional `triggers_NN` (T, 2) in [0, 1]; 60 Hz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS
from nitrogen_jax.labeling.skins.skin import PRESSED_TRIGGER, Skin, States

RATE = 60.0  # Hz
PRESSED_BAR = 0.5  # of an analog trigger whose value can be seen


@dataclass(frozen=True, eq=False)
class Trace:
    """A pad over time, at RATE."""

    name: str
    states: States

    @property
    def seconds(self) -> float:
        return self.states.number / RATE

    def at(self, times: np.ndarray) -> States:
        """The states that hold at some times in seconds; before the first and after the last,
        those."""
        rows = np.clip(np.floor(times * RATE + 1e-6).astype(int), 0, self.states.number - 1)
        return self.states.take(rows)


def read(paths: Sequence[Path]) -> tuple[list[Trace], list[str]]:
    """The traces of some files, and a sentence for each that is not usable.

    Raises:
        NitrogenError: a file cannot be read, or there is no usable trace in any.
    """
    traces, faults = [], []
    for path in paths:
        found, wrong = _read_file(Path(path))
        traces += found
        faults += wrong
    if not traces:
        why = f": {faults[0]}" if faults else ""
        raise NitrogenError(f"no usable trace in {', '.join(map(str, paths))}{why}")
    return traces, faults


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        # NOTE: arrays of objects would be unpickled: they are refused.
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            raise NitrogenError(f"traces {path} are a single array, where an .npz is needed")
        with content:
            return {name: content[name] for name in content.files}
    except NitrogenError:
        raise
    except Exception as error:  # whatever zipfile, zlib and NumPy make of damage
        why = str(error) or type(error).__name__
        raise NitrogenError(f"traces {path} cannot be read as .npz: {why}") from None


def _read_file(path: Path) -> tuple[list[Trace], list[str]]:
    arrays = _arrays(path)
    given = arrays.get("button_names", np.zeros(0, str))
    if given.ndim != 1 or given.dtype.kind not in "U":
        raise NitrogenError(
            f"traces {path}: button_names are {given.dtype} {given.shape}, where (k,) strings are "
            "needed"
        )
    names = given.tolist()
    unknown = [name for name in names if name not in BUTTON_INDEX]
    if unknown:
        raise NitrogenError(f"traces {path}: there is no button {', '.join(unknown)[:100]}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise NitrogenError(f"traces {path}: button {twice} is named twice")
    traces, faults = [], []
    for key in sorted(name for name in arrays if name.startswith("sticks_")):
        tail = key.removeprefix("sticks_")
        try:
            states = _states(arrays, tail, names)
        except NitrogenError as error:
            faults.append(f"trace {tail} of {path}: {error}")
            continue
        traces.append(Trace(f"{path.stem}/{tail}", states))
    return traces, faults


def _states(arrays: dict[str, np.ndarray], tail: str, names: list[str]) -> States:
    sticks = arrays[f"sticks_{tail}"]
    if sticks.ndim != 2 or sticks.shape[1] != 4:
        raise NitrogenError(f"sticks are {sticks.dtype} {sticks.shape}, where (T, 4) is needed")
    length = len(sticks)
    buttons = arrays.get(f"buttons_{tail}", np.zeros((length, len(names)), bool))
    if buttons.shape != (length, len(names)):
        raise NitrogenError(
            f"buttons have shape {buttons.shape}, where {(length, len(names))} is needed"
        )
    analog = arrays.get(f"triggers_{tail}", np.zeros((length, 2), np.float32))
    if analog.shape != (length, 2):
        raise NitrogenError(f"triggers have shape {analog.shape}, where {(length, 2)} is needed")
    for what, values in (("sticks", sticks), ("triggers", analog), ("buttons", buttons)):
        if values.dtype.kind not in "biuf":
            raise NitrogenError(f"{what} are {values.dtype}, where numbers are needed")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise NitrogenError(f"{what} hold a value that is not finite in row {row}")
    if length == 0:
        raise NitrogenError("it has no row")
    pressed = np.zeros((length, NUM_BUTTONS), bool)
    pressed[:, [BUTTON_INDEX[name] for name in names]] = buttons > 0.5
    # A trigger that is pressed as a button is drawn as pressed all the way.
    digital = pressed[:, [BUTTON_INDEX["LEFT_TRIGGER"], BUTTON_INDEX["RIGHT_TRIGGER"]]]
    triggers = np.maximum(np.clip(analog, 0, 1), digital).astype(np.float32)
    sticks = np.clip(sticks, -1, 1).astype(np.float32)
    return States(pressed, sticks[:, :2], sticks[:, 2:], triggers)


def shown(states: States, skin: Skin) -> States:
    """The states as a skin can show them: without what it does not draw, triggers as buttons.

    A trigger counts as pressed where its button lights up, or where its bar is at least half full.
    """
    buttons = np.zeros_like(states.buttons)
    for name in skin.buttons:
        buttons[:, BUTTON_INDEX[name]] = states.buttons[:, BUTTON_INDEX[name]]
    for element in skin.elements:
        if element.kind == "trigger" and element.shows:
            value = states.triggers[:, 0 if element.side == "left" else 1]
            least = PRESSED_BAR if element.bar else PRESSED_TRIGGER
            buttons[:, BUTTON_INDEX[element.buttons[0]]] = value >= least
        elif element.kind == "dpad":
            # Opposite directions cancel each other in what it shows.
            for one, other in (("LEFT", "RIGHT"), ("UP", "DOWN")):
                at = BUTTON_INDEX[f"DPAD_{one}"], BUTTON_INDEX[f"DPAD_{other}"]
                both = buttons[:, at[0]] & buttons[:, at[1]]
                buttons[np.ix_(both, at)] = False
    sides = skin.sides
    return States(
        buttons,
        states.left if "left" in sides else np.zeros_like(states.left),
        states.right if "right" in sides else np.zeros_like(states.right),
        states.triggers,
    )


def smooth(rng: np.random.Generator, seconds: float) -> Trace:
    """A made-up trace: sticks that glide between targets and rest, buttons held for a while."""
    length = max(int(seconds * RATE), 1)
    sticks = np.concatenate([_glide(rng, length) for _ in range(2)], axis=1)
    triggers = np.zeros((length, 2), np.float32)
    for side in range(2):
        for start, held in _presses(rng, length, 0.3):
            ramp = np.minimum(np.arange(held) / 6, 1) * rng.choice([1.0, rng.uniform(0.55, 1)])
            triggers[start : start + held, side] = ramp[: max(0, length - start)]
    buttons = np.zeros((length, NUM_BUTTONS), bool)
    for name, at in BUTTON_INDEX.items():
        if name.startswith("RIGHT_") and name.split("_")[1] in ("BOTTOM", "LEFT", "RIGHT", "UP"):
            continue
        for start, held in _presses(rng, length, rng.uniform(0.05, 0.6)):
            buttons[start : start + held, at] = True
    for side, name in enumerate(("LEFT_TRIGGER", "RIGHT_TRIGGER")):
        buttons[:, BUTTON_INDEX[name]] = triggers[:, side] >= PRESSED_BAR
    states = States(buttons, sticks[:, :2].copy(), sticks[:, 2:].copy(), triggers)
    return Trace("smooth", states)


def _presses(rng: np.random.Generator, length: int, rate: float) -> list[tuple[int, int]]:
    """(first row, rows) of presses that come `rate` times a second."""
    number = rng.poisson(rate * length / RATE)
    starts = rng.integers(0, length, number)
    return [
        (int(start), int(held))
        for start, held in zip(starts, 2 + rng.gamma(1.5, 8.0, number), strict=True)
    ]


def _glide(rng: np.random.Generator, length: int) -> np.ndarray:
    """A stick (length, 2) between targets, 40 % of the time at rest."""
    path, here, filled = np.zeros((length, 2), np.float32), np.zeros(2), 0
    while filled < length:
        rests = rng.random() < 0.4
        angle, far = rng.uniform(0, 2 * np.pi), rng.choice([1.0, rng.uniform(0.2, 1)])
        target = np.zeros(2) if rests else far * np.array([np.cos(angle), np.sin(angle)])
        moves, stays = int(rng.integers(2, 14)), int(rng.integers(4, 50))
        steps = np.concatenate([np.linspace(0, 1, moves), np.ones(stays)])[:, None]
        part = here + (target - here) * steps
        path[filled : filled + len(part)] = part[: length - filled]
        here, filled = target, filled + len(part)
    return path
