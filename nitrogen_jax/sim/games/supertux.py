"""SuperTux 0.6, a platformer: runs, jumps, levels that never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.game import Game, Press, Setup

LEVELS = "/usr/share/games/supertux2/levels"

CONFIG = """\
(supertux-config
  (profile 1)
  (show_fps #f)
  (developer #f)
  (confirmation_dialog #f)
  (pause_on_focusloss #f)
  (disable_network #t)
  (random_seed {seed})
  (locale "en")
)
"""


def command(setup: Setup) -> Sequence[str]:
    width, height = setup.size
    return [
        setup.program,
        *("--window", "--geometry", f"{width}x{height}", "--renderer", "sdl"),
        *("--disable-sound", "--disable-music"),
        f"{LEVELS}/{setup.level}.stl",
    ]


def home(setup: Setup) -> Mapping[str, str]:
    return {".local/share/supertux2/config": CONFIG.format(seed=setup.seed)}


GAME = Game(
    slug="supertux",
    title="SuperTux",
    name="SuperTux",
    packages=("supertux",),
    program="supertux2",
    needs=(f"{LEVELS}/world1/welcome_antarctica.stl",),
    levels=(
        *("world1/welcome_antarctica", "world1/journey_begins", "world1/via_nostalgica"),
        *("world1/frosted_fields", "world1/fork_in_the_road", "world1/icy_valley"),
        *("bonus1/abednego-level1", "bonus1/abednego-level2"),
    ),
    command=command,
    environment=lambda setup: {"SDL_RENDER_DRIVER": "software"},
    home=home,
    display="dummy",
    fps=60.0,
    # The level's title waits for a press, from half a second on.
    start=(Press(0.75), Press(0.1, ("SOUTH",)), Press(1.25)),
    script=(
        Press(0.8, left=(1, 0)),
        Press(0.35, ("SOUTH", "WEST"), left=(1, 0)),
        Press(0.5, ("WEST",), left=(1, 0)),
        Press(0.25, ("SOUTH",), left=(1, 0)),
    ),
    notes="The process ends by itself, with code 0, when the level is finished.",
)
