"""When two readers disagree, and what follows."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("av")
pytest.importorskip("safetensors")

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import agree
from nitrogen_jax.labeling.fit.settle import Settled
from nitrogen_jax.labeling.parser import reader, shipped, weights
from nitrogen_jax.labeling.parser.reader import NetReading
from nitrogen_jax.labeling.skins.skin import States

SOUTH = gamepad.BUTTON_INDEX["SOUTH"]


def readings(number=4):
    """Two that agree, of a skin without a right stick."""
    fit, net = States.idle(number), States.idle(number)
    seen = np.ones(gamepad.NUM_BUTTONS, bool)
    sure = np.full(number, 0.9, np.float32)
    return (
        Settled(fit, sure.copy(), sure[:, None]),
        NetReading(
            net,
            np.full(number, 0.8, np.float32),
            np.array([True, False]),
            seen,
            np.full((number, 2), 0.95, np.float32),
            np.full((number, gamepad.NUM_BUTTONS), 0.95, np.float32),
        ),
    )


def test_agreement_keeps_the_fit_as_it_is():
    fit, net = readings()
    fit.states.left[:] = 0.5, 0.1
    net.states.left[:] = 0.6, 0.2
    found = agree.combine(fit, net, 0.5)
    np.testing.assert_array_equal(found.confidence, fit.confidence)
    assert found.states is fit.states


def test_frames_in_which_they_disagree_are_not_usable():
    fit, net = readings()
    net.states.left[1] = 0.15, 0.15  # 0.21 away
    net.states.buttons[2, SOUTH] = True
    found = agree.combine(fit, net, 0.5)
    assert (found.confidence[[1, 2]] < 0.5).all()
    np.testing.assert_array_equal(found.confidence[[0, 3]], fit.confidence[[0, 3]])
    assert not found.states.buttons.any()
    assert not found.states.left.any()
    assert (agree.combine(fit, net, 0.9).confidence[[1, 2]] < 0.9).all()


def test_a_frame_of_little_confidence_gains_none():
    fit, net = readings()
    fit.confidence[1] = 0.01
    net.states.buttons[1, SOUTH] = True
    assert agree.combine(fit, net, 0.5).confidence[1] == np.float32(0.01)


def test_what_the_network_does_not_see_is_not_compared():
    fit, net = readings()
    fit.states.right[1] = 1, 0
    fit.states.buttons[2, SOUTH] = True
    net.buttons[SOUTH] = False
    assert not agree.disagree(fit, net).any()


def test_where_the_network_is_not_sure_it_has_no_say():
    fit, net = readings()
    net.states.left[1] = 1, 0
    net.states.buttons[2, SOUTH] = True
    net.sure_sticks[1, 0] = 0.6
    net.sure_buttons[2, SOUTH] = 0.6
    assert not agree.disagree(fit, net).any()
    net.sure_sticks[:], net.sure_buttons[:] = 1, 1
    assert np.flatnonzero(agree.disagree(fit, net)).tolist() == [1, 2]


def test_what_it_reads_differently_all_the_time_it_does_not_understand():
    fit, net = readings(100)
    net.states.buttons[:3, SOUTH] = True  # now and then
    net.states.left[40:50] = 1, 0  # time and again
    assert np.flatnonzero(agree.disagree(fit, net)).tolist() == [0, 1, 2]


def test_the_network_alone():
    fit, net = readings()
    net.states.left[:] = 0.7, 0
    found = agree.combine(fit, net, 0.5, "net")
    assert found.states is net.states
    np.testing.assert_array_equal(found.confidence, net.confidence)


def test_which_readers_there_are(monkeypatch):
    monkeypatch.setattr(shipped, "SHIPPED", shipped.SHIPPED / "nothing")
    weights.shipped.cache_clear()
    reader._shipped.cache_clear()
    assert agree.net_reader("fit") is None
    monkeypatch.setattr(agree, "_accelerator", lambda: True)
    assert agree.net_reader("auto") is None  # nothing comes with the package: the fit is enough
    for readers in ("net", "both"):
        with pytest.raises(NitrogenError, match=r"no parameters of the neural reader.*parser_b0"):
            agree.net_reader(readers)
    with pytest.raises(NitrogenError, match="one of fit, net, both, auto"):
        agree.net_reader("all")
