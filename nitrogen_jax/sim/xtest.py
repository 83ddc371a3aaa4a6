"""Keyboard, mouse and screen of an X display, through its XTest extension.

What is asked for takes effect at `flush`, and the server has dealt with it when that returns: the
program finds the events in its queue when it is next allowed to run.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from nitrogen_jax.sim.errors import LaunchError, SessionError

MOUSE_BUTTONS = range(1, 10)


class XInput:
    """Fake input for whatever program has the largest window of a display."""

    def __init__(self, name: str):
        from Xlib import X, display, error

        self._X, self._errors = X, (error.ConnectionClosedError, error.XError, OSError)
        try:
            self._display = display.Display(name)
        except (error.DisplayError, OSError) as problem:
            raise LaunchError(f"cannot connect to X display {name}: {problem}") from None
        if not self._display.has_extension("XTEST"):
            raise LaunchError(f"X display {name} has no XTEST extension, which keys need")
        self._root = self._display.screen().root
        self._keys: dict[int, str] = {}
        self._wanted: dict[int, str] = {}
        self._buttons: set[int] = set()
        self._wanted_buttons: set[int] = set()
        self._moved = [0, 0]
        self._focus = 0
        # Held keys are repeated by the server in real time, which a frozen game must not see.
        self._repeat = self._display.get_keyboard_control().global_auto_repeat
        self._set_repeat(X.AutoRepeatModeOff)

    def set_keys(self, keys: Collection[str]) -> None:
        """The keys that are held, by their X names."""
        self._wanted = {self._key_code(key): key for key in keys}

    def move_mouse(self, dx: int, dy: int) -> None:
        """Pixels to the right and down."""
        self._moved[0] += int(dx)
        self._moved[1] += int(dy)

    def set_mouse_buttons(self, buttons: Collection[int]) -> None:
        """The buttons that are held."""
        wrong = [button for button in buttons if button not in MOUSE_BUTTONS]
        if wrong:
            raise SessionError(f"mouse button {wrong[0]!r}: 1 (left) to 9 are possible")
        self._wanted_buttons = set(buttons)

    def flush(self) -> None:
        """Sends what has changed and waits until the server has dealt with it."""
        changed = self._wanted.keys() != self._keys.keys()
        changed = changed or self._wanted_buttons != self._buttons or any(self._moved)
        if not changed:
            return
        try:
            self._send()
            self._display.sync()
        except self._errors as problem:
            raise SessionError(f"the X display no longer takes input: {problem}") from None

    def grab(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """The whole screen (height, width, 3) uint8 RGB; size: (width, height) by area."""
        from nitrogen_jax.sim import frames, shared

        try:
            place = self._root.get_geometry()
            image = self._root.get_image(
                0, 0, place.width, place.height, self._X.ZPixmap, 0xFFFFFFFF
            )
        except self._errors as problem:
            raise SessionError(f"the X display cannot be read: {problem}") from None
        if len(image.data) != place.width * place.height * 4:
            raise SessionError(f"the X display has depth {image.depth}, where 24 is needed")
        picture = np.frombuffer(image.data, np.uint8).reshape(place.height, place.width, 4)
        return frames.convert(np.ascontiguousarray(picture), shared.BGRA, False, size)

    def close(self) -> None:
        """Lets go of everything and of the connection."""
        try:
            self.set_keys(())
            self.set_mouse_buttons(())
            self.flush()
            self._set_repeat(self._repeat)
            self._display.close()
        except (SessionError, *self._errors):
            pass

    def _set_repeat(self, mode: int) -> None:
        self._display.change_keyboard_control(auto_repeat_mode=mode)
        self._display.sync()

    def _send(self) -> None:
        from Xlib.ext import xtest

        X, display = self._X, self._display
        self._take_focus()
        if any(self._moved):
            xtest.fake_input(display, X.MotionNotify, True, x=self._moved[0], y=self._moved[1])
            self._moved = [0, 0]
        # Released first: a key that takes another's place in one step.
        for code in sorted(self._keys.keys() - self._wanted.keys()):
            xtest.fake_input(display, X.KeyRelease, code)
        for code in sorted(self._wanted.keys() - self._keys.keys()):
            xtest.fake_input(display, X.KeyPress, code)
        for button in sorted(self._buttons - self._wanted_buttons):
            xtest.fake_input(display, X.ButtonRelease, button)
        for button in sorted(self._wanted_buttons - self._buttons):
            xtest.fake_input(display, X.ButtonPress, button)
        self._keys, self._buttons = dict(self._wanted), set(self._wanted_buttons)

    def _take_focus(self) -> None:
        """Without a window manager nobody gives a window the keyboard."""
        X, best, area = self._X, None, 0
        for window in self._root.query_tree().children:
            try:
                if window.get_attributes().map_state != X.IsViewable:
                    continue
                place = window.get_geometry()
            except self._errors:  # it has just been closed
                continue
            if place.width * place.height > area:
                best, area = window, place.width * place.height
        if best is not None and best.id != self._focus:
            best.set_input_focus(X.RevertToPointerRoot, X.CurrentTime)
            self._focus = best.id

    def _key_code(self, name: str) -> int:
        from Xlib import XK

        symbol = XK.string_to_keysym(name)
        code = self._display.keysym_to_keycode(symbol) if symbol else 0
        if not code:
            raise SessionError(
                f"there is no key {name!r}: X names are needed, such as a, Return, space, Left, "
                "Shift_L, F1"
            )
        return code
