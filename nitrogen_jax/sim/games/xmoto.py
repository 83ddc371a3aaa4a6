"""X-Moto 0.6: a motorbike on hills, seen from the side. It reads no pad: arrows and space."""

from __future__ import annotations

from collections.abc import Sequence

from nitrogen_jax.sim.bindings import Bindings, arrows
from nitrogen_jax.sim.game import Game, Press, Setup

LEVELS = ("tut1", "tut2", "tut3", *(f"_iL{number:02}_" for number in range(10)))


def command(setup: Setup) -> Sequence[str]:
    width, height = setup.size
    return [
        setup.program,
        *("--windowed", "--resolution", f"{width}x{height}", "--nowww", "--nosound"),
        *("--profile", "nitrogen", "--level", setup.level),
    ]


GAME = Game(
    slug="xmoto",
    title="X-Moto",
    name="XMoto",
    packages=("xmoto", "xvfb"),
    program="xmoto",
    levels=LEVELS,
    command=command,
    bindings=Bindings(
        {
            **arrows(),
            **{"RIGHT_TRIGGER": "Up", "LEFT_TRIGGER": "Down"},
            **{"SOUTH": "space", "NORTH": "Return"},
        }
    ),
    display="xvfb",
    fps=50.0,
    # It reads its levels into a new database, which takes two seconds, then shows this one's title.
    start=(Press(3.5),),
    script=(
        Press(1.0, ("RIGHT_TRIGGER",)),
        Press(0.2, left=(-1, 0)),
        Press(0.4, left=(0, -1)),
        Press(0.15, left=(1, 0)),
        Press(0.3, ("LEFT_TRIGGER",)),
        Press(0.1, ("NORTH",)),
    ),
    repeats=False,
    notes=(
        "Does not always repeat: runs have parted within 600 frames, while the clock was the same, "
        "for a reason that is not known. Up or the right trigger: gas; "
        "down or the left one: brake; left and right: lean; south: turn round; north: try again "
        "after a fall. Table stats_profiles_levels of .local/share/xmoto/xm.db counts what was "
        "played, lost and completed."
    ),
)
