"""A running program: frozen, stepped frame by frame, with a pad, keys and a mouse, and grabbed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import fate, frames, futex, shared, virtual_clock
from nitrogen_jax.sim.errors import GameExited, SessionError, StepTimeout
from nitrogen_jax.sim.launch import Launch, check_mode
from nitrogen_jax.sim.pad import sdl_state
from nitrogen_jax.sim.start import Running, start

LOOK_S = 0.05  # how often a wait for a frame looks whether the program is still there


class Session:
    """A program under control; `with Session(launch) as session:`.

    It starts the program and waits until it has presented its first frame, at which it is parked
    (mode "lock"), or goes on (mode "real"). In mode "speed" it returns as soon as the program runs,
    for programs of which no frame boundary is known.

    Attributes:
        launch: as it was given.
        home: the program's fresh HOME, removed by `close`.
        pid: of the started command.
    """

    def __init__(self, launch: Launch):
        self.launch = launch
        self.pid = 0
        self._owner, self._busy = os.getpid(), threading.Lock()
        self._dead: SessionError | None = None  # why no step is possible any more
        self._closed = False
        self._input: Any = None
        self._undo = contextlib.ExitStack()
        try:
            self._start()
            self._boot()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self):
        if "_undo" in self.__dict__:
            self.close()

    # -----------------------------------------------------------------------------------------
    # Time

    def step(self, frames: int = 1) -> None:
        """Lets the program present `frames` more frames and parks it again.

        In mode "speed", lets frames / fps seconds of virtual time pass instead, and stops it there.
        Raises GameExited or StepTimeout; after either the session can only be closed.
        """
        if isinstance(frames, bool) or frames != int(frames) or frames < 1:
            raise SessionError(f"step: {frames!r} frames, where a whole number from 1 on is needed")
        if not self._busy.acquire(blocking=False):
            raise SessionError("step: another step of this session is still going on")
        try:
            self._check_running()
            if self._input is not None:
                self._input.flush()
            if int(self._page["mode"]) == shared.SPEED:
                self._pass_time(int(frames))
            else:
                self._grant(int(frames))
        finally:
            self._busy.release()

    def set_mode(self, mode: str, speed: float = 1.0) -> None:
        """Goes on as "lock", "real" or "speed" from now on; time is continuous."""
        check_mode(mode, speed)
        self._check_open()
        virtual_clock.set_mode(self._page, mode, speed)
        self._wake()

    @property
    def mode(self) -> str:
        """ "lock", "real" or "speed"."""
        self._check_open()
        return list(virtual_clock.MODES)[int(self._page["mode"])]

    @property
    def frames(self) -> int:
        """Frames since the first one."""
        self._check_open()
        return max(0, int(self._page["frames"]) - 1)

    @property
    def time(self) -> float:
        """Virtual seconds since the first frame (mode "speed": since the start)."""
        self._check_open()
        return (virtual_clock.now(self._page) - self._time_zero) / 1e9

    # -----------------------------------------------------------------------------------------
    # Input, seen by the program in the frame of the next step

    def set_pad(self, pad: Pad) -> None:
        """What the virtual pad's buttons and sticks are from the next step on: shape ()."""
        self._check_open()
        self._page["axes"], self._page["buttons"] = sdl_state(pad)

    def set_keys(self, keys: Collection[str]) -> None:
        """The keys held from the next step on, by their X names such as "Return" or "a"."""
        self._keyboard().set_keys(keys)

    def move_mouse(self, dx: int, dy: int) -> None:
        """Moves the mouse by pixels, to the right and down, at the next step, once."""
        self._keyboard().move_mouse(dx, dy)

    def set_mouse_buttons(self, buttons: Collection[int]) -> None:
        """The mouse buttons held from the next step on: 1 left, 2 middle, 3 right."""
        self._keyboard().set_mouse_buttons(buttons)

    # -----------------------------------------------------------------------------------------
    # Output

    def frame(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """The last frame (height, width, 3) uint8 RGB, a new array.

        Args:
            size: (width, height), by cv2.INTER_AREA; None: as the program drew it.
        """
        self._check_open()
        picture = frames.read(self._memory, size)
        if picture is None and self._display.name is not None:
            picture = self._keyboard().grab(size)
        if picture is None:
            raise SessionError(
                f"no frame was captured: the program presents through "
                f"{shared.KINDS[int(self._page['kind'])]}"
                + (
                    ", larger than the memory for it: give a launch of larger size"
                    if int(self._page["too_large"])
                    else ', whose pixels can only be read from an X display: take display "xvfb"'
                )
            )
        return picture

    @property
    def stats(self) -> dict[str, int | str]:
        """The shim's counters: frames, clock reads, sleeps, ... and what presents the frames."""
        self._check_open()
        counters: dict[str, int | str] = {name: int(self._page[name]) for name in shared.COUNTERS}
        return {**counters, "kind": shared.KINDS[int(self._page["kind"])]}

    @property
    def game_pid(self) -> int:
        """The process that presents the frames, which may be a child of the command."""
        self._check_open()
        return int(self._page["game_pid"]) or self.pid

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the process that presents the frames, user and system."""
        try:
            text = Path(f"/proc/{self.game_pid}/stat").read_text()
        except OSError:
            raise SessionError(f"process {self.game_pid} of the game is no longer there") from None
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def exit_code(self) -> int | None:
        """The command's exit code (-N: signal N), None while it runs."""
        self._program.poll()
        return self._program.code

    def log_text(self) -> str:
        """What the program has printed, at most the last 64 KiB."""
        self._check_open()
        return self._running.log_text()

    def wait_exit(self, timeout: float) -> int | None:
        """Lets time run as fast as in reality until the program ends; its exit code, or None."""
        self.set_mode("real")
        until = time.monotonic() + timeout
        while (code := self.exit_code) is None and time.monotonic() < until:
            self._program.poll(min(LOOK_S, max(0.0, until - time.monotonic())))
        return code

    def close(self) -> None:
        """Kills the program and all its children; removes its HOME, memory and X server."""
        self._closed = True
        self._page = None  # the memory goes when nobody looks at it any more
        if self._owner == os.getpid():
            self._undo.close()

    # -----------------------------------------------------------------------------------------

    _page: np.void | None = None
    _running: Running | None = None

    def _start(self) -> None:
        self._running = start(self.launch, self._undo)
        self._memory, self._display = self._running.memory, self._running.display
        self._page, self._program = self._memory.page, self._running.guarded
        self.home, self.pid = self._running.home, self._program.pid
        self._time_zero = virtual_clock.START_NS

    def _boot(self) -> None:
        page, until = self._page, time.monotonic() + self.launch.boot_timeout
        field = "attached" if self.launch.mode == "speed" else "frames"
        while int(page[field]) == 0:
            word = int(page["frame_word"])
            if int(page[field]):
                break
            futex.wait(self._memory.address("frame_word"), word, LOOK_S)
            self._check_alive()
            if time.monotonic() > until and int(page[field]) == 0:
                raise fate.no_first_frame(self.launch, self._running)
        if self.launch.mode != "speed":
            self._time_zero = virtual_clock.now(page)

    def _grant(self, number: int) -> None:
        page = self._page
        target = int(page["frames"]) + number
        page["granted"] = target
        self._wake()
        address = self._memory.address("frame_word")
        until = time.monotonic() + self.launch.step_timeout * number
        while int(page["frames"]) < target:
            word = int(page["frame_word"])
            if int(page["frames"]) >= target:
                break
            futex.wait(address, word, LOOK_S)
            if int(page["frames"]) >= target:
                break
            self._check_alive()
            if time.monotonic() > until:
                done = number - (target - int(page["frames"]))
                seconds = f"{self.launch.step_timeout * number:g} s"
                self._dead = StepTimeout(
                    f"{fate.name_of(self.launch)} presented {done} of {number} frames in "
                    f"{seconds}: it hangs, or it needs a longer step_timeout"
                )
                raise self._dead

    def _pass_time(self, number: int) -> None:
        page, speed = self._page, float(self._page["speed"])
        if speed <= 0:
            raise SessionError("step: time stands still at speed 0, so that no step can end")
        limit = int(page["limit_ns"])
        begin = limit if limit < virtual_clock.NEVER_NS else virtual_clock.now(page)
        limit = begin + number * int(page["frame_ns"])
        # From the moment of the clamp on: the time that passed since then does not count.
        virtual_clock.set_mode(page, "speed", speed, limit)
        self._wake()
        while (left := limit - virtual_clock.now(page)) > 0:
            self._program.poll(min(LOOK_S, left / 1e9 / speed))
            self._check_alive()

    def _wake(self) -> None:
        # NOTE: the game moves the word as well, but whichever of the two is lost, it has moved.
        self._page["grant_word"] = (int(self._page["grant_word"]) + 1) % 2**32
        futex.wake(self._memory.address("grant_word"))

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("the session is closed")
        if self._owner != os.getpid():
            raise SessionError("the session belongs to the process that started it")

    def _check_running(self) -> None:
        self._check_open()
        if self._dead is not None:
            raise self._dead

    def _check_alive(self) -> None:
        try:
            fate.check(self.launch, self._running)
        except GameExited as error:
            self._dead = error
            raise

    def _keyboard(self):
        self._check_open()
        if self._input is None:
            if self._display.name is None:
                raise SessionError(
                    f"keys, mouse and grabs need an X display, and this session has display "
                    f'"{self.launch.display}": take "xvfb"'
                )
            from nitrogen_jax.sim.xtest import XInput

            self._input = XInput(self._display.name)
            self._undo.callback(self._input.close)
        return self._input
