"""A person who plays: a gamepad that Linux knows, a window that shows the game, the pace of time.

The gamepad is read as a device of the joystick interface, /dev/input/js*, and numbered as Linux
numbers Xbox pads. The game still runs in lockstep: it is stepped when it is time for it.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, NUM_BUTTONS, Pad
from nitrogen_jax.sim.pad import BUTTON_ORDER, TRIGGERS

DEVICES = Path("/dev/input")
EVENT = struct.Struct("<IhBB")  # milliseconds, value, kind, number
BUTTON, AXIS, INITIAL = 1, 2, 0x80
MOST = 32767
PRESSED = 0.1  # of a trigger's way, from which on it counts as pressed
# What the axes are; the last two are the d-pad.
STICKS = {0: ("left", 0), 1: ("left", 1), 3: ("right", 0), 4: ("right", 1)}
TRIGGER_AXES = dict(zip((2, 5), TRIGGERS, strict=True))
HAT = {6: ("DPAD_LEFT", "DPAD_RIGHT"), 7: ("DPAD_UP", "DPAD_DOWN")}


def find() -> Path:
    """The first gamepad; NitrogenError where there is none."""
    found = sorted(DEVICES.glob("js[0-9]*"))
    if not found:
        raise NitrogenError(f"no gamepad is connected: there is no {DEVICES}/js0")
    return found[0]


class Joystick:
    """The state of a gamepad; use it in a `with` block."""

    def __init__(self, path: Path):
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise NitrogenError(f"gamepad {path} cannot be opened: {error.strerror}") from None
        self._path, self._rest = path, b""
        self._buttons = np.zeros(NUM_BUTTONS, bool)
        self._sticks = {"left": np.zeros(2, np.float32), "right": np.zeros(2, np.float32)}

    def __enter__(self) -> Joystick:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._file)

    def pad(self) -> Pad:
        """What is held now; NitrogenError where the gamepad has been unplugged."""
        while True:
            try:
                data = os.read(self._file, 64 * EVENT.size)
            except BlockingIOError:
                break
            except OSError as error:
                raise NitrogenError(f"gamepad {self._path} is gone: {error.strerror}") from None
            if not data:
                break
            data = self._rest + data
            whole = len(data) - len(data) % EVENT.size
            self._rest = data[whole:]
            for _, value, kind, number in EVENT.iter_unpack(data[:whole]):
                self._take(value, kind & ~INITIAL, number)
        sticks = (self._sticks[side].copy() for side in ("left", "right"))
        return Pad(self._buttons.copy(), *sticks)

    def _take(self, value: int, kind: int, number: int) -> None:
        share = max(-1.0, value / MOST)
        if kind == BUTTON and number < 11:
            self._buttons[BUTTON_INDEX[BUTTON_ORDER[number]]] = bool(value)
        elif kind == AXIS and number in STICKS:
            side, axis = STICKS[number]
            self._sticks[side][axis] = share
        elif kind == AXIS and number in TRIGGER_AXES:
            self._buttons[BUTTON_INDEX[TRIGGER_AXES[number]]] = (share + 1) / 2 > PRESSED
        elif kind == AXIS and number in HAT:
            for name, sign in zip(HAT[number], (-1, 1), strict=True):
                self._buttons[BUTTON_INDEX[name]] = sign * share > 0.5


def pads(path: Path, rate: float) -> Iterator[Pad]:
    """What is held at each step, steps being `rate` a second of real time; endless."""
    with Joystick(path) as joystick:
        due = time.monotonic()
        while True:
            yield joystick.pad()
            # NOTE: time that was lost is not made up for: a game must not run ahead of a person.
            due = max(due + 1 / rate, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


class Window:
    """Shows pictures; use it in a `with` block. It needs the extra [window]."""

    def __init__(self, title: str):
        import pygame

        self._pygame, self._title, self._screen = pygame, title, None

    def __enter__(self) -> Window:
        self._pygame.display.init()
        return self

    def __exit__(self, *error: object) -> None:
        self._pygame.display.quit()

    def show(self, picture: np.ndarray) -> bool:
        """Shows a picture (h, w, 3) uint8 RGB; False when the window has been closed."""
        if self._screen is None:
            try:
                self._screen = self._pygame.display.set_mode(picture.shape[1::-1])
            except self._pygame.error as error:
                raise NitrogenError(f"no window can be opened: {error}") from None
            self._pygame.display.set_caption(self._title)
        surface = self._pygame.image.frombuffer(picture.tobytes(), picture.shape[1::-1], "RGB")
        self._screen.blit(surface, (0, 0))
        self._pygame.display.flip()
        return all(event.type != self._pygame.QUIT for event in self._pygame.event.get())
