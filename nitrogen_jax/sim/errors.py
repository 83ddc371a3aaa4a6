"""What can go wrong with a running program; each says one sentence."""

from __future__ import annotations

from nitrogen_jax.errors import NitrogenError


class SessionError(NitrogenError):
    """A program cannot be started, stepped or read."""


class LaunchError(SessionError):
    """The program or what it needs (display, compiler, memory) is not there, or unfit."""


class GameExited(SessionError):
    """The program has ended.

    Attributes:
        code: its exit code, -N where signal N ended it, None where nobody knows.
    """

    def __init__(self, message: str, code: int | None = None):
        super().__init__(message)
        self.code = code


class BootTimeout(SessionError):
    """The program presented no first frame in time."""


class StepTimeout(SessionError):
    """A granted frame did not come in time; the session can only be closed."""
