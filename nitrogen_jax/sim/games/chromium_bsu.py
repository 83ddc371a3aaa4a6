"""Chromium B.S.U. 0.9: a fast shooter that scrolls upwards. It reads no pad: arrows and space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.bindings import Bindings, arrows
from nitrogen_jax.sim.game import Game, Press, Setup, settings_text

# The game's own names, and what its settings file holds for them.
SKILLS = {
    **{"normal": 0.5, "fish-in-a-barrel": 0.2, "wimp": 0.3, "easy": 0.4, "experienced": 0.6},
    **{"fun": 0.7, "insane": 0.8, "impossible": 0.9},
}


def command(setup: Setup) -> Sequence[str]:
    return [setup.program, "--window", "--noaudio"]


def home(setup: Setup) -> Mapping[str, str]:
    width, height = setup.size
    settings = {
        **{"screenWidth": width, "screenHeight": height, "full_screen": 0},
        **{"gameSkillBase": SKILLS[setup.level], "show_fps": 0, "use_playList": 0},
    }
    return {".chromium-bsu": settings_text(settings, "{} {}")}


GAME = Game(
    slug="chromium-bsu",
    title="Chromium B.S.U.",
    name="ChromiumBSU",
    packages=("chromium-bsu", "xvfb"),
    program="chromium-bsu",
    levels=tuple(SKILLS),
    command=command,
    home=home,
    bindings=Bindings({**arrows(), "SOUTH": "space", "RIGHT_TRIGGER": "space"}),
    display="xvfb",
    fps=50.0,
    # "New game" is what the menu begins with; the hero's ship appears in an explosion.
    start=(Press(0.5), Press(0.1, keys=("Return",)), Press(0.9)),
    script=(
        Press(0.6, ("SOUTH",), left=(1, 0)),
        Press(0.8, ("SOUTH",), left=(-1, 0)),
        Press(0.3, ("RIGHT_TRIGGER",), left=(0.7, -0.7)),
        Press(0.4, ("SOUTH",), left=(0.5, 1)),
    ),
    notes=(
        "Repeats exactly. The levels are degrees of difficulty; all begin in the first level. "
        'After the last ship is lost "loser" blinks over a battle that goes on.'
    ),
)
