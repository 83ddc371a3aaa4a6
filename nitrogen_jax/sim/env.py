"""`GamepadEnv`: an unmodified Linux game, in lockstep, as a Gymnasium environment.

The game stands still between steps. Every reset starts it anew in a fresh home folder, plays its
start macro and stops at the first frame of play, which the seed decides.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim import games, homes, spaces
from nitrogen_jax.sim.bindings import MOUSE_BUTTONS, Bindings, Hands
from nitrogen_jax.sim.errors import GameExited, SessionError, StepTimeout
from nitrogen_jax.sim.game import DISPLAYS, Game, Press
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.pad_env import CRASHED, EXITED, TIMEOUT, Outcome, PadEnv
from nitrogen_jax.sim.session import Session

log = logging.getLogger(__name__)

PATIENCE_S = 120.0  # of game time until a game that is waited for must be ready


class GamepadEnv(PadEnv):
    """One game; see `PadEnv` for actions, observations and `info`, which here also has:

    exit_code: of the game, where it has ended; None while it runs.

    Attributes:
        game: its description.
        session: the running game, for judges; None before the first reset.
    """

    def __init__(
        self,
        game: str | Game,
        *,
        level: str | None = None,
        window: tuple[int, int] | None = None,
        display: str | None = None,
        bindings: Bindings | None = None,
        fps: float | None = None,
        start: tuple[Press, ...] | None = None,
        **options: Any,
    ):
        """
        Args:
            game: a slug, or a game of one's own.
            level: one of the game's levels; None: the first one.
            window: (width, height) that the game draws at; None: what its description says.
            display: where it draws, see `Launch`; None: as its description says, or on an X server
                if `bindings` are given.
            bindings: play it on keyboard and mouse instead of as its description says.
            fps: frames in a second of game time; None: the game's own number.
            start: the macro into play, instead of the game's own.
            options: of `PadEnv`: size, frame_skip, seconds, forbidden, render_mode.
        """
        self.game = game if isinstance(game, Game) else games.get(game)
        super().__init__(fps=self.game.fps if fps is None else fps, **options)
        self.window = spaces.check_size(self.game.window if window is None else window, "window")
        self._level = self.game.check_level(level)
        self._bindings = self.game.bindings if bindings is None else bindings
        self._start = self.game.start if start is None else start
        on_x = self.game.display if bindings is None else "xvfb"
        self.display = on_x if display is None else display
        if self._bindings is not None and self.display in set(DISPLAYS) - {"xvfb"}:
            raise NitrogenError(
                f"display is {self.display}, where keyboard and mouse need xvfb or an X display"
            )
        self.session: Session | None = None
        self._last: np.ndarray | None = None
        self._hands: Hands | None = None
        self._keys: Collection[str] = ()

    @property
    def level(self) -> str:
        """The level that is played."""
        return self._level

    def launch(self, seed: int = 0) -> Launch:
        """How the game is started for an episode; NitrogenError where it is not installed."""
        setup = self.game.setup(self.window, self._level, seed, self.fps)
        return Launch(
            command=tuple(self.game.command(setup)),
            size=self.window,
            fps=self.fps,
            display=self.display,
            pad=self._bindings is None,
            seed=seed,
            env=self.game.environment(setup),
            home=homes.template(self.game, self.display),
            home_files=self.game.home(setup),
            boot_timeout=self.game.boot_timeout,
            step_timeout=self.game.step_timeout,
        )

    def press(self, press: Press) -> None:
        """Plays a part of a macro: nothing is masked, and no step is counted."""
        session = self._running()
        self._hold(press.pad, press.keys)
        session.step(press.frames(self.fps))

    def hold(self, pad: Pad) -> None:
        """What is held from the next frame on, for those who step `session` themselves."""
        self._hold(self.game.pressed_along(gamepad.apply_mask(pad, self.forbidden)))

    # What PadEnv asks for -------------------------------------------------------------------

    def _begin(self, seed: int) -> Mapping[str, Any]:
        self._end()
        self.session, self._keys = Session(self.launch(seed)), ()
        try:
            self._hands = Hands(self._bindings, self.fps) if self._bindings else None
            self._wait()
            for press in self._start:
                self.press(press)
            self._hold(Press(1.0).pad)
            self._last = self.session.frame()
        except BaseException:
            self._end()
            raise
        return {"exit_code": None}

    def _play(self, pad: Pad, frames: int) -> Outcome:
        session = self._running()
        self.spent = dict.fromkeys(("apply", "game", "grab"), 0.0)
        with self._told() as said:
            for _ in range(frames if self._moves() else 1):
                with self._counted("apply"):
                    self._hold(self.game.pressed_along(pad))
                with self._counted("game"):
                    session.step(1 if self._moves() else frames)
            with self._counted("grab"):
                self._last = session.frame()
        if said:
            log.info("%s: %s", self.game.slug, said["why"])
            return Outcome(reason=said["reason"], facts={"exit_code": said["code"]})
        return Outcome(facts={"exit_code": None})

    def _see(self) -> np.ndarray:
        if self._last is None:
            raise NitrogenError(f"{self.game.title} has shown no frame yet: reset() it")
        return self._last

    def _end(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()

    # Parts ----------------------------------------------------------------------------------

    def _running(self) -> Session:
        if self.session is None:
            raise NitrogenError(f"{self.game.title} is not running: reset() it")
        return self.session

    def _wait(self) -> None:
        """Goes on until the game has printed that it is ready."""
        session, begun = self._running(), self.game.begun
        while begun not in session.log_text():
            session.step()
            if session.time > PATIENCE_S:
                title = self.game.title
                raise SessionError(f"{title} has not printed {begun!r} in {PATIENCE_S:g} s of play")

    def _moves(self) -> bool:
        """Whether the mouse moves, a little in every frame."""
        return self._bindings is not None and bool(self._bindings.mouse_stick)

    def _hold(self, pad: Pad, keys: Collection[str] = ()) -> None:
        session = self._running()
        if self._hands is None:
            session.set_pad(pad)
            if keys != self._keys:
                session.set_keys(keys)
            self._keys = keys
            return
        held = self._hands.hold(pad)
        session.set_keys(held.keys.union(keys))
        session.set_mouse_buttons({MOUSE_BUTTONS.index(name) + 1 for name in held.buttons})
        if held.motion != (0, 0):
            session.move_mouse(*held.motion)

    @contextlib.contextmanager
    def _counted(self, part: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.spent[part] += time.perf_counter() - begun

    @contextlib.contextmanager
    def _told(self) -> Iterator[dict[str, Any]]:
        """What ended the game while it was stepped: reason, code and why; empty if nothing did."""
        said: dict[str, Any] = {}
        try:
            yield said
        except StepTimeout as error:
            said.update(reason=TIMEOUT, code=None, why=str(error))
        except GameExited as error:
            ended = EXITED if error.code == 0 else CRASHED
            said.update(reason=ended, code=error.code, why=str(error))
