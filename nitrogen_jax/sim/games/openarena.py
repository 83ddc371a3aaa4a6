"""OpenArena 0.8.8, on ioquake3: an arena against bots, from the first person's view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.game import Game, Press, Setup

DATA = "/usr/share/games/openarena/baseoa"
MAPS = (
    *("oa_dm1", "oa_dm2", "oa_dm3", "oa_dm4", "oa_dm5", "oa_dm6", "oa_dm7", "oa_minia"),
    *("oa_shouse", "oa_rpg3dm2", "aggressor", "dm4ish", "dm6ish", "kaos", "kaos2", "wrackdm17"),
)
ALONE = "/alone"
BOT, SKILL = "sarge", "1"

# Sticks are analog where a direction is bound to a movement.
BINDS = {
    **{"LEFTSTICK_UP": "+forward", "LEFTSTICK_DOWN": "+back"},
    **{"LEFTSTICK_LEFT": "+moveleft", "LEFTSTICK_RIGHT": "+moveright"},
    **{"RIGHTSTICK_UP": "+lookup", "RIGHTSTICK_DOWN": "+lookdown"},
    **{"RIGHTSTICK_LEFT": "+left", "RIGHTSTICK_RIGHT": "+right"},
    **{"RIGHTTRIGGER": "+attack", "LEFTTRIGGER": "+zoom"},
    **{"LEFTSHOULDER": "weapprev", "RIGHTSHOULDER": "weapnext"},
    **{"A": "+moveup", "B": "+movedown", "X": "+button2", "Y": "weapnext"},
    **{"DPAD_UP": "+forward", "DPAD_DOWN": "+back"},
    **{"DPAD_LEFT": "+left", "DPAD_RIGHT": "+right"},
    **{"LEFTSTICK_CLICK": "+speed", "RIGHTSTICK_CLICK": "centerview"},
}


# The level lasts as long as an episode; a log for judges; no network, no sound.
SETTINGS = {
    **{"r_fullscreen": 0, "r_mode": -1, "r_picmip": 2, "r_swapInterval": 0, "com_busyWait": 0},
    **{"s_initsound": 0, "com_introplayed": 1, "cg_autoswitch": 1, "name": "nitrogen"},
    **{"in_joystick": 1, "in_joystickUseAnalog": 1, "in_nograb": 1, "in_mouse": 0},
    # Degrees a second are 32767 times these at full deflection: 200 and 130.
    **{"j_yaw": -0.006, "j_pitch": 0.004},
    **{"net_enabled": 0, "sv_pure": 0, "cl_allowDownload": 0, "cl_motd": 0},
    **{"bot_enable": 1, "g_gametype": 0, "fraglimit": 0, "timelimit": 0},
    **{"g_log": "games.log", "g_logsync": 1},
}


def command(setup: Setup) -> Sequence[str]:
    level = setup.level.removesuffix(ALONE)
    bots = [] if setup.level.endswith(ALONE) else ["+addbot", BOT, SKILL]
    return [setup.program, "+devmap", level, *bots]


def home(setup: Setup) -> Mapping[str, str]:
    width, height = setup.size
    window = {"r_customwidth": width, "r_customheight": height, "com_maxfps": round(setup.fps)}
    lines = [f'set {name} "{value}"\n' for name, value in (SETTINGS | window).items()]
    lines += [f'bind PAD0_{name} "{action}"\n' for name, action in BINDS.items()]
    return {".openarena/baseoa/autoexec.cfg": "".join(lines)}


GAME = Game(
    slug="openarena",
    title="OpenArena",
    name="OpenArena",
    packages=("openarena",),
    program="openarena",
    needs=(f"{DATA}/pak0.pk3",),
    levels=(*MAPS, *(f"{name}{ALONE}" for name in MAPS)),
    command=command,
    home=home,
    display="offscreen",
    fps=60.0,
    boot_timeout=120.0,
    # It connects to itself, and tells so.
    start=(Press(1.5),),
    script=(
        Press(0.8, left=(0, -1)),
        Press(0.3, ("RIGHT_TRIGGER",), right=(0.6, 0)),
        Press(0.4, ("SOUTH",), left=(0.5, -1)),
        Press(0.4, ("RIGHT_TRIGGER",), left=(0, -1), right=(-0.8, 0)),
    ),
    notes=(
        "Repeats exactly; the seed changes nothing. One bot, or none in the levels that end in "
        "/alone. .openarena/baseoa/games.log has a line for each kill and each item taken, such as "
        '"Item: 1 item_armor_shard" and "Kill: killer victim means"; the player is the client that '
        "is named nitrogen."
    ),
)
