"""Extreme Tux Racer 0.8: a penguin slides down a hill. It reads no SDL pad: arrows and space."""

from __future__ import annotations

from collections.abc import Sequence

from nitrogen_jax.sim.bindings import Bindings, arrows
from nitrogen_jax.sim.game import Game, Press, Setup, keys_in_turn


def command(setup: Setup) -> Sequence[str]:
    return [setup.program]


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
    # Each picture of the menu takes a moment to appear.
    start=(Press(0.5), *keys_in_turn("Return", "Down", "Return", "Return", "Return", pause=0.4)),
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
