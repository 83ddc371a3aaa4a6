"""A player that needs no network, and games that may be there."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.gamepad import BUTTON_INDEX, Pad
from nitrogen_jax.play.seen import POLICY, Decision, Seen
from nitrogen_jax.serving.facts import Facts
from nitrogen_jax.sim import catalogue
from nitrogen_jax.sim.pad_env import Outcome, PadEnv

HORIZON = 18


def wave(step: int) -> np.ndarray:
    """What is to be done at a control step, (25,): a stick that turns, A now and then, START."""
    buttons = np.zeros(21, bool)
    buttons[BUTTON_INDEX["SOUTH"]] = step % 4 < 2
    buttons[BUTTON_INDEX["START"]] = True
    turn = step / 7
    return gamepad.pack(Pad(buttons, (np.cos(turn), np.sin(turn)), (0, 0)))


class Waving:
    """A player whose chunks say what `wave` says; notes what it is asked."""

    def __init__(self, seed=0, shift=1, **facts):
        self.facts = Facts(HORIZON, shift, 1, 1, 32, inpaint=True, **facts)
        self.seed, self.asked, self.closed = seed, [], False

    def reset(self, seed=None):
        self.asked = []

    def act(self, frames, step=None, known=None):
        self.asked.append((step, [one.shape for one in frames]))
        return np.stack([wave(step + self.facts.action_shift + at) for at in range(HORIZON)])

    def close(self):
        self.closed = True


@pytest.fixture
def waving():
    return Waving


@pytest.fixture
def the_wave():
    return wave


@pytest.fixture
def make_seen():
    """Steps of a made-up game: (step, picture size, who) -> Seen."""

    def make(step, size=(48, 64), by=POLICY, asked=0, shift=1):
        picture = np.full((*size, 3), (step * 7) % 256, np.uint8)
        pad = gamepad.apply_mask(gamepad.decode(wave(step)))
        chunk = np.stack([wave(asked + shift + at) for at in range(HORIZON)])
        decision = Decision(gamepad.decode(wave(step)), chunk, asked)
        parts = {"infer": 2.5, "game": 1.0}
        return Seen(step, step / 60, step / 30, picture, pad, by, decision, 0.5, parts)

    return make


def game_or_skip(slug):
    lacking = catalogue.get(slug).missing()
    if lacking:
        pytest.skip(lacking)
    return slug


@pytest.fixture
def doom():
    return game_or_skip("freedoom")


@pytest.fixture
def striker():
    return game_or_skip("airstriker")


@pytest.fixture
def vizdoom():
    return game_or_skip("vizdoom")


class Toy(PadEnv):
    """A game in this process: its picture tells how often it was stepped and whether A was held."""

    def __init__(self, over=None, reason="", growing=False, **options):
        """over: step at which it ends by itself; reason: why it is cut off there instead."""
        super().__init__(render_mode="rgb_array", size=(32, 32), **options)
        self._ends, self._reason, self._growing, self.closed = over, reason, growing, False

    def _begin(self, seed):
        self._count, self._first, self._held = 0, seed, False
        return {}

    def _play(self, pad, frames):
        self._count += 1
        self._held = bool(pad.pressed[BUTTON_INDEX["SOUTH"]])
        over = self._count == self._ends
        return Outcome(over and not self._reason, self._reason if over else "", 1.0)

    def _see(self):
        more = 2 if self._growing and self._count > 5 else 0
        picture = np.full((48 + more, 64, 3), self._first % 100, np.uint8)
        picture[:, : self._count % 64] = 200
        picture[:10, :10] = 255 * self._held
        return picture

    def _end(self):
        self.closed = True


@pytest.fixture
def toy():
    return Toy
