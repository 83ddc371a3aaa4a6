"""Freedoom, phase 1, on the engine Chocolate Doom: a shooter that runs at 35 frames a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.game import Game, Press, Setup, settings_text

WAD = "/usr/share/games/doom/freedoom1.wad"
# What SDL, from 2.26 on, makes of the simulator's pad; part of it is a checksum of the pad's name.
GUID = "ff0003f05e0400008e02000000007601"
SKILL = "3"
LINE = "{:<30}{}"  # of a settings file

# Left stick: walk and sidestep. Right stick: turn. Right shoulder: fire. A: use, X and Y: weapons.
# Numbers are Linux's: A, B, X, Y, left and right shoulder, back, start, guide, sticks.
JOYSTICK = {
    "joystick_guid": f'"{GUID}"',
    "joystick_index": "0",
    **{"joystick_x_axis": "3", "joystick_y_axis": "1", "joystick_strafe_axis": "0"},
    **{f"joystick_physical_button{button}": str(button) for button in range(11)},
    **{"joyb_prevweapon": "2", "joyb_nextweapon": "3", "joyb_menu_activate": "7"},
    **{"window_width": "{width}", "window_height": "{height}", "fullscreen": "0"},
    **{"aspect_ratio_correct": "1", "integer_scaling": "0", "startup_delay": "0"},
    **{"show_endoom": "0", "grabmouse": "0", "force_software_renderer": "1"},
}
# "joyb_speed" of 29 is the engine's own way to say: always run.
DEFAULT = {
    "use_joystick": "1",
    **{"joyb_fire": "5", "joyb_use": "0", "joyb_strafe": "-1", "joyb_speed": "29"},
    **{"use_mouse": "0", "show_messages": "1", "screenblocks": "10", "detaillevel": "0"},
}


def command(setup: Setup) -> Sequence[str]:
    episode, level = setup.level[1], setup.level[3]
    width, height = setup.size
    return [
        setup.program,
        *("-iwad", WAD, "-warp", episode, level, "-skill", SKILL),
        *("-window", "-geometry", f"{width}x{height}", "-nosound"),
    ]


def home(setup: Setup) -> Mapping[str, str]:
    width, height = setup.size
    text = (
        settings_text(JOYSTICK, LINE)
        .replace("{width}", str(width))
        .replace("{height}", str(height))
    )
    folder = ".local/share/chocolate-doom"
    return {
        f"{folder}/chocolate-doom.cfg": text,
        f"{folder}/default.cfg": settings_text(DEFAULT, LINE),
    }


GAME = Game(
    slug="freedoom",
    title="Freedoom",
    name="Freedoom",
    packages=("chocolate-doom", "freedoom"),
    program="chocolate-doom",
    needs=(WAD,),
    levels=tuple(f"E{episode}M{level}" for episode in range(1, 5) for level in range(1, 10)),
    command=command,
    environment=lambda setup: {"SDL_RENDER_DRIVER": "software"},
    home=home,
    display="dummy",
    fps=35.0,
    # The picture of the title melts away.
    start=(Press(1.5),),
    # Triggers are axes to this engine, which fires with buttons only.
    same_as={"RIGHT_TRIGGER": ("RIGHT_SHOULDER",)},
    script=(
        Press(1.2, left=(0, -1)),
        Press(0.4, ("RIGHT_TRIGGER",), left=(0, -1), right=(0.7, 0)),
        Press(0.6, left=(0.5, -1), right=(-0.5, 0)),
        Press(0.1, ("SOUTH",), left=(0, -1)),
    ),
    notes="The engine runs at 35 frames a second whatever the display does; Doom repeats exactly.",
)
