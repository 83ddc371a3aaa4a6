"""A person beside the policy: they hold the pad while they touch theirs."""

from __future__ import annotations

import logging

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.play.seen import PERSON, POLICY
from nitrogen_jax.sim.human import Joystick

log = logging.getLogger(__name__)

HAND_BACK_S = 0.5  # after the last touch


class Person:
    """Decides who holds the pad, step by step."""

    def __init__(self, joystick: Joystick, steps: int):
        """
        Args:
            joystick: open; whoever opened it closes it.
            steps: after the last touch for which the person still holds the pad.
        """
        self._joystick: Joystick | None = joystick
        self._steps, self._left = steps, 0

    def choose(self, wanted: Pad) -> tuple[Pad, str]:
        """The pad () to hold, and whose it is.

        A touch is a button, or a stick beyond the dead zone.

        Args:
            wanted: what the policy wants.
        """
        own = self._read()
        if own is None:
            return wanted, POLICY
        touched = not bool(gamepad.is_idle(own))
        self._left = self._steps if touched else max(0, self._left - 1)
        return (own, PERSON) if touched or self._left else (wanted, POLICY)

    def _read(self) -> Pad | None:
        if self._joystick is None:
            return None
        try:
            return self._joystick.pad()
        except NitrogenError as error:
            log.warning("%s; the policy plays on", error)
            self._joystick = None
            return None
