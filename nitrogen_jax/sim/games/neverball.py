"""Neverball 1.6: a floor is tilted to roll a ball to its goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.game import Game, Press, Setup

MAPS = "/usr/share/games/neverball"

SETTINGS = {
    "fullscreen": "0",
    "vsync": "0",
    "multisample": "0",
    "mipmap": "1",
    "aniso": "0",
    "background": "0",
    "reflection": "0",
    "shadow": "0",
    "hmd": "0",
    "sound_volume": "0",
    "music_volume": "0",
    "joystick": "1",
    "joystick_device": "0",
    "joystick_axis_x0": "0",
    "joystick_axis_y0": "1",
    "joystick_axis_x1": "2",
    "joystick_axis_y1": "3",
    "joystick_button_a": "0",
    "joystick_button_b": "1",
    "joystick_button_x": "2",
    "joystick_button_y": "3",
    "joystick_button_l1": "9",
    "joystick_button_r1": "10",
    "joystick_button_start": "6",
    "player": "player",
    "fps": "0",
    "screen_animations": "0",
}


def command(setup: Setup) -> Sequence[str]:
    return [setup.program, "-l", f"map-{setup.level}.sol"]


def home(setup: Setup) -> Mapping[str, str]:
    width, height = setup.size
    settings = {"width": str(width), "height": str(height), **SETTINGS}
    return {".neverball/neverballrc": "".join(f"{k:<25} {v}\n" for k, v in settings.items())}


GAME = Game(
    slug="neverball",
    title="Neverball",
    name="Neverball",
    packages=("neverball",),
    program="neverball",
    needs=(f"{MAPS}/map-easy/easy.sol",),
    levels=("easy/easy", "easy/coins", "easy/hole"),
    command=command,
    home=home,
    display="offscreen",
    fps=60.0,
)
