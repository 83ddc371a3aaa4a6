"""LBreakout2 2.6: balls are knocked at bricks. It reads no pad: arrows and space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.bindings import Bindings, arrows
from nitrogen_jax.sim.game import Game, Press, Setup, keys_in_turn, settings_text

# Names of ours for the game's numbers.
DIFFICULTIES = {"medium": 2, "kids": 0, "easy": 1, "hard": 3}
SETTINGS = {
    **dict.fromkeys(("fullscreen", "sound", "speech", "fade", "use_hints", "grab"), 0),
    **{"i_key_speed": 500, "random_angle": 1, "player_count": 1, "anim": 1},
}


def command(setup: Setup) -> Sequence[str]:
    return [setup.program]


def home(setup: Setup) -> Mapping[str, str]:
    settings = {**SETTINGS, "diff": DIFFICULTIES[setup.level]}
    return {".lgames/lbreakout2.conf": settings_text(settings, "{}={}")}


GAME = Game(
    slug="lbreakout2",
    title="LBreakout2",
    name="LBreakout2",
    packages=("lbreakout2", "xvfb"),
    program="lbreakout2",
    set_id=True,
    levels=tuple(DIFFICULTIES),
    command=command,
    home=home,
    bindings=Bindings({**arrows(), "SOUTH": "space", "RIGHT_TRIGGER": "space"}),
    display="xvfb",
    fps=60.0,
    # Local game, then the original set of levels.
    start=(
        *(Press(0.5), *keys_in_turn("Down", "Return", pause=0.1)),
        *(Press(0.3), *keys_in_turn("Down", "Down", "Return", pause=0.1), Press(1.0)),
    ),
    script=(
        *(Press(0.1, ("SOUTH",)), Press(0.6, left=(1, 0)), Press(0.5, left=(-1, 0))),
        *(Press(0.4, left=(-1, 0)), Press(0.3, left=(1, 0)), Press(0.4)),
    ),
    notes=(
        "Repeats exactly. The levels are degrees of difficulty: all begin with the first of 31 "
        "levels. The program is of the group games, so that a copy of it is run."
    ),
)
