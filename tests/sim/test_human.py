"""A gamepad as Linux hands it over: events through a pipe, as the device gives them."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax import cli
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS
from nitrogen_jax.sim import actions, catalogue, human, play
from nitrogen_jax.sim.human import AXIS, BUTTON, EVENT, INITIAL


@pytest.fixture
def device(tmp_path):
    """A pipe that is a gamepad: its path, and what writes events (value, kind, number)."""
    path = tmp_path / "js0"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)
    yield path, lambda *events: os.write(end, b"".join(EVENT.pack(0, *one) for one in events))
    os.close(end)


def pressed(pad) -> set[str]:
    return {name for name in BUTTONS if pad.pressed[BUTTON_INDEX[name]]}


def test_events_become_a_pad(device):
    path, send = device
    with human.Joystick(path) as joystick:
        assert pressed(joystick.pad()) == set()
        send((0, BUTTON | INITIAL, 0), (-32767, AXIS | INITIAL, 2), (-32767, AXIS | INITIAL, 5))
        assert pressed(joystick.pad()) == set()
        send((1, BUTTON, 0), (1, BUTTON, 5), (32767, AXIS, 2), (-32767, AXIS, 7), (1, BUTTON, 7))
        names = {"SOUTH", "RIGHT_SHOULDER", "LEFT_TRIGGER", "DPAD_UP", "START"}
        assert pressed(joystick.pad()) == names
        send((0, BUTTON, 0), (32767, AXIS, 7), (-32768, AXIS, 2), (0, BUTTON, 5), (0, BUTTON, 7))
        assert pressed(joystick.pad()) == {"DPAD_DOWN"}
        send((-32768, AXIS, 0), (16384, AXIS, 1), (32767, AXIS, 3), (-16384, AXIS, 4))
        pad = joystick.pad()
        np.testing.assert_allclose(pad.left, [-1, 0.5], atol=1e-4)
        np.testing.assert_allclose(pad.right, [1, -0.5], atol=1e-4)


def test_an_event_in_two_pieces_is_one(device):
    path, _ = device
    event = EVENT.pack(0, 1, BUTTON, 1)
    with human.Joystick(path) as joystick:
        end = os.open(path, os.O_WRONLY)
        os.write(end, event[:3])
        assert pressed(joystick.pad()) == set()
        os.write(end, event[3:])
        assert pressed(joystick.pad()) == {"EAST"}
        os.close(end)


@given(st.lists(st.tuples(st.integers(-32768, 32767), st.integers(0, 255), st.integers(0, 255))))
def test_any_event_leaves_a_pad(events):
    joystick = human.Joystick.__new__(human.Joystick)
    joystick._buttons = np.zeros(len(BUTTONS), bool)
    joystick._sticks = {"left": np.zeros(2, np.float32), "right": np.zeros(2, np.float32)}
    for value, kind, number in events:
        joystick._take(value, kind, number)
    assert np.abs(joystick._sticks["left"]).max() <= 1
    assert np.abs(joystick._sticks["right"]).max() <= 1


def test_steps_keep_the_pace_of_time(device):
    stream = human.pads(device[0], 100.0)
    begin = time.monotonic()
    for _ in range(21):
        next(stream)
    assert time.monotonic() - begin >= 0.2 - 1e-3
    stream.close()


def test_what_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(human, "DEVICES", tmp_path)
    with pytest.raises(NitrogenError, match="no gamepad is connected"):
        play.sources(["human"])
    with pytest.raises(NitrogenError, match="cannot be opened"):
        human.Joystick(tmp_path / "js3")
    (tmp_path / "js0").touch()
    assert human.find() == tmp_path / "js0"


def test_what_a_person_plays_is_recorded(device, tmp_path):
    if lacking := catalogue.get("airstriker").missing():
        pytest.skip(lacking)
    path, send = device
    send((1, BUTTON, 0), (32767, AXIS, 0))
    out = tmp_path / "rec"
    words = ["sim", "record", "airstriker", "--pad", str(path), "--seconds", "0.5"]
    pytest.importorskip("pygame")
    code = cli.main([*words, "--out", str(out)])
    assert code == 0
    (file,) = (out / "actions").iterdir()
    assert file.stem == "airstriker-Level1-human-0"
    pad = actions.read(file)
    assert pad.pressed[:, BUTTON_INDEX["SOUTH"]].all()
    np.testing.assert_array_equal(pad.left, np.tile(np.float32([1, 0]), (30, 1)))


def test_a_window_shows_and_is_closed(monkeypatch):
    pygame = pytest.importorskip("pygame")
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32] = (200, 30, 10)
    with human.Window("a game") as window:
        assert window.show(picture)
        shown = pygame.display.get_surface()
        assert shown.get_size() == (64, 48)
        assert shown.get_at((3, 3))[:3] == (200, 30, 10)
        assert shown.get_at((60, 3))[:3] == (0, 0, 0)
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        assert not window.show(picture)


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
