"""Extreme Tux Racer 0.8: a penguin slides down a hill. It reads no SDL pad: arrows and space."""

from __future__ import annotations

from collections.abc import Sequence

from nitrogen_jax.sim.bindings import Bindings, arrows
from nitrogen_jax.sim.game import Game, Press, Setup


def command(setup: Setup) -> Sequence[str]:
    return [setup.program]


def _pressed(*keys: str) -> tuple[Press, ...]:
    """One key after the other; each picture of the menu takes a moment to appear."""
    return tuple(press for key in keys for press in (Press(0.1, keys=(key,)), Press(0.4)))


GAME = Game(
    slug="etr",
    title="Extreme Tux Racer",
    name="ETR",
    packages=("extremetuxracer", "xvfb"),
    program="etr",
    levels=("bunny_hill",),
    command=command,
    bindings=Bindings({**arrows(), "SOUTH": "space", "RIGHT_TRIGGER": "space"}),
    display="xvfb",
    fps=60.0,
    # The player; practice; the first course, which is Bunny Hill; the race; its introduction.
    start=(Press(0.5), *_pressed("Return", "Down", "Return", "Return", "Return")),
    script=(
        Press(1.5, left=(0, -1)),
        Press(0.4, left=(0.7, -1)),
        Press(0.6, ("SOUTH",), left=(0, -1)),
        Press(0.4, left=(-0.7, -1)),
    ),
    notes=(
        "Repeats exactly; the seed changes nothing. Up paddles, down brakes, south charges a jump. "
        "The result is written to .etr/highscore when the game is left by its menu: after the race "
        "Return, Escape, six times Down, Return."
    ),
)
