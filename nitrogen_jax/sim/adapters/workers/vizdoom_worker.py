"""Runs a scenario of ViZDoom, which makes files where it is started."""

from __future__ import annotations

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

    def __init__(self):
        self._game, self._level, self._names, self._frame = None, None, [], None

    def reset(self, seed, level):
        if self._level != level:
            self._open(level)
        self._game.set_seed(seed)
        if self._level == level:
            self._game.new_episode()
        else:
            self._game.init()
            self._level = level
        self._look()
        return wire.answer(self._frame, variables=self._facts())

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
        game.set_sound_enabled(False)  # its mixer has been seen to crash
        game.set_audio_buffer_enabled(False)

    def step(self, action, frames):
        game = self._game
        reward = game.make_action([action.get(name, 0.0) for name in self._names], frames)
        self._look()
        late, over = game.is_episode_timeout_reached(), game.is_episode_finished()
        return wire.answer(self._frame, reward, over and not late, self._facts(), late)

    def close(self):
        if self._game is not None:
            self._game.close()

    def _look(self):
        state = self._game.get_state()
        if state is not None:  # there is none after the end
            self._frame = np.array(state.screen_buffer)

    def _facts(self):
        variable = vizdoom.GameVariable
        return {name: self._game.get_game_variable(getattr(variable, name)) for name in VARIABLES}


def buttons(names):
    """A scenario's buttons, with turning that can be as fast as a stick is pushed."""
    turns = {"TURN_LEFT", "TURN_RIGHT"}
    kept = [name for name in names if name not in turns]
    if turns & set(names) and "TURN_LEFT_RIGHT_DELTA" not in kept:
        kept.append("TURN_LEFT_RIGHT_DELTA")
    return kept


if __name__ == "__main__":
    wire.serve(Vizdoom())
