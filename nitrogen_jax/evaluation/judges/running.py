"""The running game that judges and experts read."""

from __future__ import annotations

from nitrogen_jax.sim.env import GamepadEnv
from nitrogen_jax.sim.pad_env import PadEnv
from nitrogen_jax.sim.session import Session


def session_of(env: PadEnv) -> Session:
    """The session of a game of apt's, after its reset."""
    assert isinstance(env, GamepadEnv)
    assert env.session is not None
    return env.session
