"""Actions as pads, and what is refused."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sim import spaces
from nitrogen_jax.sim.wrappers import PAPER_BUTTONS, PaperActions, VectorActions


@given(st.integers(0, 2**32 - 1))
def test_every_action_of_the_space_is_a_pad_and_comes_back(seed):
    space = spaces.action_space()
    space.seed(seed)
    action = space.sample()
    again = spaces.to_action(spaces.to_pad(action))
    assert again in space
    np.testing.assert_array_equal(again["buttons"], action["buttons"])
    np.testing.assert_array_equal(again["sticks"], action["sticks"])


def test_sticks_are_left_then_right():
    pad = spaces.to_pad(spaces.idle() | {"sticks": [0.1, -0.2, 0.3, -0.4]})
    np.testing.assert_allclose([*pad.left, *pad.right], [0.1, -0.2, 0.3, -0.4], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"buttons": np.zeros(20)}, r"shape \(20,\), where \(21,\)"),
        ({"buttons": np.zeros((1, 21))}, r"shape \(1, 21\)"),
        ({"buttons": np.full(21, 2)}, "hold 2.0, where 0 or 1"),
        ({"buttons": np.full(21, np.nan)}, "hold nan at 0"),
        ({"sticks": [0, 0, np.nan, 0]}, "hold nan at 2"),
        ({"sticks": [0, 0, np.inf, 0]}, "hold inf at 2"),
        ({"sticks": [0, 0, 1.5, 0]}, r"in \[-1, 1\]"),
        ({"sticks": ["a", 0, 0, 0]}, "not an array of numbers"),
        ({"stick": [0, 0, 0, 0]}, "where a dict of buttons"),
    ],
)
def test_wrong_actions_are_refused(change, words):
    with pytest.raises(NitrogenError, match=words) as caught:
        spaces.to_pad(spaces.idle() | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("action", [None, 3, np.zeros(25), {"buttons": np.zeros(21)}])
def test_other_things_than_actions_are_refused(action):
    with pytest.raises(NitrogenError, match="where a dict of buttons"):
        spaces.to_pad(action)


@pytest.mark.parametrize("size", [(0, 256), (256,), (256.5, 256), "big", (256, 5000), None])
def test_sizes_that_cannot_be(size):
    with pytest.raises(NitrogenError, match="size is"):
        spaces.observation_space(size)


def test_observations_are_height_by_width():
    assert spaces.observation_space((320, 200)).shape == (200, 320, 3)


class Echo(gymnasium.Env):
    """Gives back the pad that it was given."""

    observation_space = spaces.observation_space((16, 16))
    action_space = spaces.action_space()

    def reset(self, *, seed=None, options=None):
        return np.zeros((16, 16, 3), np.uint8), {}

    def step(self, action):
        return self.reset()[0], 0.0, False, False, {"pad": spaces.to_pad(action)}


def test_the_space_of_the_paper_is_that_of_the_label_files_without_guide():
    assert len(PAPER_BUTTONS) == 16
    columns = [button for button in gamepad.COLUMNS.values() if button != "GUIDE"]
    assert list(PAPER_BUTTONS) == columns


@given(st.integers(0, 2**32 - 1))
def test_the_space_of_the_paper_reaches_the_pad(seed):
    env = PaperActions(Echo())
    assert env.action_space.shape == (20,)
    env.action_space.seed(seed)
    vector = env.action_space.sample()
    pad = env.step(vector)[4]["pad"]
    for value, name in zip(vector[:16], PAPER_BUTTONS, strict=True):
        assert pad.buttons[gamepad.BUTTON_INDEX[name]] == (value > 0.5)
    others = set(gamepad.BUTTONS) - set(PAPER_BUTTONS)
    assert not pad.buttons[[gamepad.BUTTON_INDEX[name] for name in others]].any()
    np.testing.assert_array_equal(np.r_[pad.left, pad.right], vector[16:])


@pytest.mark.parametrize("layout", gamepad.LAYOUTS)
def test_vectors_of_networks_reach_the_pad(layout):
    env = VectorActions(Echo(), threshold=0.3, layout=layout)
    env.action_space.seed(1)
    vector = env.action_space.sample()
    pad, meant = env.step(vector)[4]["pad"], gamepad.decode(vector, 0.3, layout)
    np.testing.assert_array_equal(pad.buttons, meant.buttons)
    np.testing.assert_array_equal(pad.left, meant.left)
    assert gamepad.is_idle(env.step(env.idle())[4]["pad"])


@pytest.mark.parametrize("wrapper", [PaperActions, VectorActions])
@pytest.mark.parametrize(
    ("action", "words"),
    [(np.zeros(19), "has shape"), (np.full(25, np.nan), "holds nan|has shape"), ("a", "not an")],
)
def test_wrong_vectors_are_refused(wrapper, action, words):
    with pytest.raises(NitrogenError, match=words):
        wrapper(Echo()).step(action)
