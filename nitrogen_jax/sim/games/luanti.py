"""Luanti, which was Minetest: a world of blocks to dig and to build with, in the first person."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.bindings import Bindings
from nitrogen_jax.sim.game import Game, Press, Setup, settings_text

TOOLS = "tools"
WORLD = ".minetest/worlds/nitrogen"
SETTINGS = {
    **{"fullscreen": "false", "vsync": "false", "enable_sound": "false", "fsaa": 0},
    **{"viewing_range": 60, "enable_shaders": "false", "enable_joysticks": "false"},
    **{"enable_clouds": "false", "smooth_lighting": "false", "node_highlighting": "box"},
    **{"enable_particles": "false", "menu_clouds": "false", "autosave_screensize": "false"},
    **{"mouse_sensitivity": "0.2", "time_speed": 0, "creative_mode": "false", "name": "nitrogen"},
    **{
        "enable_damage": "true",
        "server_announce": "false",
        "bind_address": "127.0.0.1",
        "enable_client_modding": "false",
    },
    **{"num_emerge_threads": 1, "language": "en", "main_menu_last_game_idx": 1},
}
MAP = {
    **{"mg_name": "v7", "water_level": 1, "chunksize": 5, "mapgen_limit": 31000},
    "mg_flags": "caves, dungeons, light, decorations, biomes, ores",
}


# A part of the world that tells every 0.2 s, in the log, where the player is and looks.
TELL = """\
local passed = 0
minetest.register_globalstep(function(dtime)
  passed = passed + dtime
  if passed < 0.2 then return end
  passed = 0
  for _, player in ipairs(minetest.get_connected_players()) do
    local at = player:get_pos()
    minetest.log("action", ("%s is at (%.2f,%.2f,%.2f) turned %.3f %.3f"):format(
      player:get_player_name(), at.x, at.y, at.z,
      player:get_look_horizontal(), player:get_look_vertical()))
  end
end)
"""


def command(setup: Setup) -> Sequence[str]:
    words = ("--go", "--gameid", "minetest", "--worldname", "nitrogen", "--name", "nitrogen")
    # Its server has a port even where nobody else plays; two games side by side need two.
    return [setup.program, *words, "--port", str(_free_port())]


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def home(setup: Setup) -> Mapping[str, str]:
    width, height = setup.size
    seed, _, given = setup.level.partition("/")
    window = {"screen_w": width, "screen_h": height, "fps_max": round(setup.fps)}
    # What is written over the picture is made for the size of a monitor.
    small = min(1.0, width / 640)
    window |= {"hud_scaling": small, "font_size": round(16 * small)}
    world = {"gameid": "minetest", "world_name": "nitrogen", "backend": "sqlite3"}
    return {
        ".minetest/minetest.conf": settings_text(
            {
                **SETTINGS,
                **window,
                "fixed_map_seed": seed,
                "give_initial_stuff": str(bool(given)).lower(),
            }
        ),
        f"{WORLD}/world.mt": settings_text(
            {**world, "player_backend": "sqlite3", "auth_backend": "sqlite3"}
        ),
        f"{WORLD}/map_meta.txt": settings_text({"seed": seed, **MAP}) + "[end_of_params]\n",
        f"{WORLD}/worldmods/tell/mod.conf": "name = tell\n",
        f"{WORLD}/worldmods/tell/init.lua": TELL,
    }


GAME = Game(
    slug="luanti",
    title="Luanti",
    name="Luanti",
    packages=("minetest", "xvfb"),
    program="minetest",
    needs=("/usr/share/games/minetest/games/minetest_game",),
    levels=("1", "2", "3", *(f"{seed}/{TOOLS}" for seed in (1, 2, 3))),
    command=command,
    home=home,
    bindings=Bindings(
        {
            **{"left_stick_up": "w", "left_stick_down": "s"},
            **{"left_stick_left": "a", "left_stick_right": "d"},
            **{"SOUTH": "space", "EAST": "Shift_L", "LEFT_THUMB": "e"},
            **{"LEFT_SHOULDER": "b", "RIGHT_SHOULDER": "n"},
        },
        {"RIGHT_TRIGGER": "left", "LEFT_TRIGGER": "right"},
        mouse_stick="right",
        mouse_speed=500.0,
    ),
    display="xvfb",
    fps=60.0,
    # The world around the player is made and sent, which takes more or fewer frames; then it falls
    # to the ground.
    begun="nitrogen is at",
    start=(Press(2.0),),
    script=(
        Press(0.8, left=(0, -1)),
        Press(0.4, right=(0.5, 0.4)),
        Press(1.5, ("RIGHT_TRIGGER",)),
        Press(0.3, ("SOUTH",), left=(0, -1)),
        Press(0.4, right=(-0.6, -0.4)),
    ),
    repeats=False,
    notes=(
        "Does not repeat: its server, which makes the world, is threads of its own that talk with "
        "the player's part over a socket, so that what arrives when differs. The level is the seed "
        "of the world; in those that end in /tools one begins with a pickaxe, an axe, a shovel, "
        "torches and cobblestones. Left stick: walk; right: look; right trigger: dig; left: place; "
        "south: jump; east: sneak; shoulders: choose. What is dug and placed is told in the log of "
        'the session, as in "nitrogen digs default:dirt at (0,14,64)", and where the player is: '
        '"nitrogen is at (0.00,14.50,64.00) turned 0.000 0.100", in radians to the left and down.'
    ),
)
