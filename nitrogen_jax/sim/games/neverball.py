"""Neverball 1.6: the floor is tilted so that a ball rolls to its goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.game import Game, Press, Setup, settings_text

MAPS = "/usr/share/games/neverball"
# In the order of the game's own sets, from easy to hard.
EASY = (
    *("easy", "peasy", "coins", "fence", "groundbreak", "goals", "goslow", "slightcurve"),
    *("slalom", "lollipop", "bumper", "hole", "speedbumps", "roundlaby", "thwomp2"),
    *("easyhalfpipe", "roundcoins", "corners", "greed", "wakka", "maze", "curved", "mover"),
    *("bumps", "mazebump"),
)
MEDIUM = (
    *("locks", "multicurves", "accordian", "zigzag", "roundfloors", "four", "hardrise"),
    *("easytele", "cross", "sparselines", "qbert", "stairs", "drops", "telemaze", "learngrow"),
    *("spiraldn", "timer", "spiralup", "angle", "coneskeleton", "rampdn", "islands", "plinko"),
    *("title", "woodmaze"),
)

SETTINGS = {
    # Shadows, mirrors and a painted sky cost more than everything else together.
    **dict.fromkeys(("fullscreen", "vsync", "multisample", "aniso", "hmd"), 0),
    **dict.fromkeys(("background", "reflection", "shadow"), 0),
    **dict.fromkeys(("sound_volume", "music_volume"), 0),
    # Left stick: tilt. Right stick and shoulders: turn the view.
    **{"joystick": 1, "joystick_device": 0},
    **{"joystick_axis_x0": 0, "joystick_axis_y0": 1},
    **{"joystick_axis_x1": 3, "joystick_axis_y1": 4},
    **{f"joystick_button_{name}": place for place, name in enumerate("abxy")},
    **{"joystick_button_l1": 4, "joystick_button_r1": 5, "joystick_button_start": 7},
    "player": "nitrogen",
}


def command(setup: Setup) -> Sequence[str]:
    return [setup.program, "-l", f"map-{setup.level}.sol"]


def home(setup: Setup) -> Mapping[str, str]:
    width, height = setup.size
    settings = {"width": width, "height": height, **SETTINGS}
    lines = settings_text(settings, "{:<25} {}")
    return {".neverball/neverballrc": lines}


GAME = Game(
    slug="neverball",
    title="Neverball",
    name="Neverball",
    packages=("neverball",),
    program="neverball",
    needs=(f"{MAPS}/map-easy/easy.sol",),
    levels=(*(f"easy/{name}" for name in EASY), *(f"medium/{name}" for name in MEDIUM)),
    command=command,
    home=home,
    display="offscreen",
    fps=60.0,
    # The first press ends the introduction, the second one cuts "Ready? Set? Go!" short.
    start=(Press(0.5), Press(0.1, ("SOUTH",)), Press(0.4), Press(0.1, ("SOUTH",)), Press(0.1)),
    script=(
        Press(0.8, left=(0, -0.8)),
        Press(0.5, left=(0.5, -0.5)),
        Press(0.3, ("LEFT_SHOULDER",), left=(0, 0.6)),
        Press(0.5, left=(-0.5, -0.5)),
    ),
    # Mesa's software renderer has been seen to think for 8 s about a single picture.
    step_timeout=30.0,
    notes=(
        "Repeats exactly. After a fall, the goal or the end of time, .neverball/Replays/Last.nbr "
        "says how it ended: little-endian int32 magic, version 9, time (1/100 s), coins, status "
        "(0 none, 1 time out, 2 goal, 3 fall), mode; until then its time is 0 and its status 3."
    ),
)
