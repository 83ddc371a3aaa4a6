"""Runs a scenario of ViZDoom, which makes files where it is started."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import vizdoom
import wire

VARIABLES = (
    *("HEALTH", "ARMOR", "KILLCOUNT", "ITEMCOUNT", "SECRETCOUNT", "FRAGCOUNT", "DEATHCOUNT"),
    *("HITCOUNT", "DAMAGECOUNT", "DAMAGE_TAKEN", "SELECTED_WEAPON", "SELECTED_WEAPON_AMMO"),
    *("POSITION_X", "POSITION_Y", "POSITION_Z", "ANGLE"),
)


class Vizdoom:
    """One scenario; an action is a map of the names of its buttons to numbers."""

    def __init__(self, labels=False):
        self._game, self._level, self._names, self._frame = None, None, [], None
        self._labels = [] if labels else None  # of what is in sight; None: not asked for

    def reset(self, seed, level):
        if self._level != level:
            self._open(level)
        self._game.set_seed(seed)
        if self._level == level:
            self._game.new_episode()
        else:
            self._game.init()
            forget_names()
            self._level = level
        self._look()
        return self._answer()

    def _open(self, level):
        self.close()
        game = self._game = vizdoom.DoomGame()
        game.load_config(str(Path(vizdoom.scenarios_path) / f"{level}.cfg"))
        game.set_window_visible(False)
        game.set_mode(vizdoom.Mode.PLAYER)
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_320X240)
        self._names = buttons([button.name for button in game.get_available_buttons()])
        game.set_available_buttons([getattr(vizdoom.Button, name) for name in self._names])
        game.set_available_game_variables(
            [getattr(vizdoom.GameVariable, name) for name in VARIABLES]
        )
        game.set_labels_buffer_enabled(self._labels is not None)
        game.set_sound_enabled(False)  # its mixer has been seen to crash
        game.set_audio_buffer_enabled(False)

    def step(self, action, frames):
        game = self._game
        reward = game.make_action([action.get(name, 0.0) for name in self._names], frames)
        self._look()
        late, over = game.is_episode_timeout_reached(), game.is_episode_finished()
        return self._answer(reward, over and not late, late)

    def close(self):
        if self._game is not None:
            self._game.close()

    def _look(self):
        state = self._game.get_state()
        if state is not None:  # there is none after the end
            self._frame = np.array(state.screen_buffer)
            if self._labels is not None:
                self._labels = [told(label) for label in state.labels]

    def _answer(self, reward=0.0, done=False, cut=False):
        answer = wire.answer(self._frame, reward, done, self._facts(), cut)
        return answer if self._labels is None else {**answer, "labels": self._labels}

    def _facts(self):
        variable = vizdoom.GameVariable
        return {name: self._game.get_game_variable(getattr(variable, name)) for name in VARIABLES}


def forget_names():
    """Takes the engine's names out of /dev/shm, where a kill would leave 11 MB behind.

    Both sides have the memory open by now, and need its names no more.
    """
    with open("/proc/self/maps") as file:
        paths = {line.split(maxsplit=5)[-1].strip() for line in file if "/dev/shm/ViZDoom" in line}
    for path in paths:
        Path(path).unlink(missing_ok=True)


def told(label):
    """A label as a map: where a thing is, in map units and in pixels."""
    return {
        "name": label.object_name,
        "id": label.object_id,
        "x": label.object_position_x,
        "y": label.object_position_y,
        "z": label.object_position_z,
        "left": label.x,
        "top": label.y,
        "width": label.width,
        "height": label.height,
    }


def buttons(names):
    """A scenario's buttons, with turning that can be as fast as a stick is pushed."""
    turns = {"TURN_LEFT", "TURN_RIGHT"}
    kept = [name for name in names if name not in turns]
    if turns & set(names) and "TURN_LEFT_RIGHT_DELTA" not in kept:
        kept.append("TURN_LEFT_RIGHT_DELTA")
    return kept


if __name__ == "__main__":
    wire.serve(Vizdoom(labels="--labels" in sys.argv[1:]))
