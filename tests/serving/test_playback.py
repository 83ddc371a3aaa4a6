"""Which action of which chunk is played when: the action shift, obeyed."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving.facts import Facts
from nitrogen_jax.serving.playback import Playback

HORIZON = 6


class Scripted:
    """Its left stick tells the control step that an action is for, its right one who asked."""

    def __init__(self, shift, frames=1):
        self.facts = Facts(HORIZON, shift, frames, 1, 32)
        self.asked, self.seeds = [], []

    def reset(self, seed=None):
        self.seeds.append(seed)

    def act(self, frames, step=None, known=None):
        self.asked.append((step, list(frames)))
        chunk = gamepad.neutral(HORIZON)
        chunk[:, 21] = (np.arange(HORIZON) + step + self.facts.action_shift) / 100
        chunk[:, 23] = step / 100
        return chunk


def played(playback, steps):
    """For each control step: (the step that the action was for, the step at which it was asked)."""
    found = []
    for frame in range(steps):
        pad = playback.step(frame)
        stored = gamepad.scale_stick([pad.left[0], pad.right[0]]) * 100
        found.append(tuple(round(float(x)) for x in stored))
    return found


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
@pytest.mark.parametrize("execute", [1, 2, 3, 5])
def test_every_action_is_played_at_its_own_step(shift, execute):
    player = Scripted(shift)
    found = played(Playback(player, execute), 20)
    for step, (meant, asked) in enumerate(found, 1):
        if step < shift:
            assert (meant, asked) == (50, 50)  # nothing is known yet, the sticks rest
            continue
        assert meant == step
        late = max(shift, 1)
        assert asked == (step - late) // execute * execute
    assert [step for step, _ in player.asked] == list(range(0, 20, execute))


def test_all_actions_are_played_unless_told_otherwise():
    assert Playback(Scripted(1)).execute == HORIZON
    assert Playback(Scripted(3)).execute == HORIZON
    assert Playback(Scripted(0)).execute == HORIZON - 1  # the first was due before the frame


def test_frames_in_between_are_handed_over_where_they_matter():
    player = Scripted(1)
    played(Playback(player, 3), 7)
    assert player.asked == [(0, [0]), (3, [3]), (6, [6])]
    player = Scripted(1, frames=2)
    played(Playback(player, 3), 7)
    assert player.asked == [(0, [0]), (3, [1, 2, 3]), (6, [4, 5, 6])]


def test_a_reset_begins_anew():
    player = Scripted(3)
    playback = Playback(player, 4)
    first = played(playback, 9)
    playback.reset(seed=5)
    assert player.seeds == [5]
    assert played(playback, 9) == first


@pytest.mark.parametrize(("shift", "execute"), [(1, 0), (1, HORIZON + 1), (0, HORIZON)])
def test_impossible_numbers_of_actions_are_refused(shift, execute):
    with pytest.raises(NitrogenError, match="are to be played"):
        Playback(Scripted(shift), execute)
