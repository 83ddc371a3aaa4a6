"""Traces: files as documented and all that may be wrong with them, and what a skin shows of one."""

from __future__ import annotations

import importlib.util
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.skins.skin import Element, Skin, States
from nitrogen_jax.labeling.synth import traces
from nitrogen_jax.labeling.synth.traces import RATE, Trace, shown, smooth

_path = Path(__file__).parents[1] / "skins" / "presets.py"
_spec = importlib.util.spec_from_file_location("presets", _path)
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)
sprite = presets.sprite

NAMES = ("SOUTH", "DPAD_UP", "LEFT_TRIGGER")


def arrays(length=12, seed=0, tail="00", **more) -> dict[str, np.ndarray]:
    """What a file holds."""
    rng = np.random.default_rng(seed)
    return {
        "button_names": np.array(NAMES),
        f"sticks_{tail}": rng.uniform(-1, 1, (length, 4)).astype(np.float32),
        f"buttons_{tail}": rng.random((length, len(NAMES))) < 0.5,
        f"triggers_{tail}": rng.uniform(0, 1, (length, 2)).astype(np.float32),
    } | more


def written(folder: Path, content: dict, name="pads.npz") -> Path:
    np.savez(folder / name, **content)
    return folder / name


def test_a_file_as_documented(tmp_path):
    content = arrays() | {k: v for k, v in arrays(7, 1, "01").items() if k != "triggers_01"}
    found, faults = traces.read([written(tmp_path, content)])
    assert faults == []
    assert [one.name for one in found] == ["pads/00", "pads/01"]
    states = found[0].states
    np.testing.assert_array_equal(states.left, content["sticks_00"][:, :2])
    np.testing.assert_array_equal(states.right, content["sticks_00"][:, 2:])
    for column, name in enumerate(NAMES):
        at = BUTTON_INDEX[name]
        np.testing.assert_array_equal(states.buttons[:, at], content["buttons_00"][:, column])
    assert states.buttons.sum() == content["buttons_00"].sum()  # and no other button
    # A trigger that is pressed as a button is pressed all the way, and else as far as it says.
    pressed = content["buttons_00"][:, 2]
    assert (states.triggers[pressed, 0] == 1).all()
    np.testing.assert_array_equal(states.triggers[~pressed], content["triggers_00"][~pressed])
    # Without analog triggers, the buttons are all that is known.
    np.testing.assert_array_equal(found[1].states.triggers[:, 0], content["buttons_01"][:, 2])
    assert not found[1].states.triggers[:, 1].any()
    assert found[1].seconds == pytest.approx(7 / 60)


def test_values_out_of_range_are_clipped(tmp_path):
    content = arrays(triggers_00=np.full((12, 2), 1.5), sticks_00=np.full((12, 4), -3))
    (trace,), _ = traces.read([written(tmp_path, content)])
    assert trace.states.left.min() == trace.states.right.min() == -1
    assert trace.states.triggers.max() == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"sticks_00": np.full((12, 4), np.nan)},
            "sticks hold a value that is not finite in row 0",
        ),
        ({"triggers_00": np.full((12, 2), np.inf)}, "triggers hold a value that is not finite"),
        ({"buttons_00": np.full((12, 3), np.nan)}, "buttons hold a value that is not finite"),
        ({"sticks_00": np.zeros((12, 3))}, r"\(12, 3\), where \(T, 4\) is needed"),
        ({"sticks_00": np.zeros(12)}, r"where \(T, 4\) is needed"),
        ({"sticks_00": np.zeros((0, 4))}, "buttons have shape"),
        ({"sticks_00": np.full((12, 4), "a")}, "sticks are <U1, where numbers are needed"),
        ({"buttons_00": np.zeros((12, 2))}, "buttons have shape"),
        ({"buttons_00": np.zeros((11, 3))}, "buttons have shape"),
        ({"buttons_00": np.full((12, 3), "yes")}, "buttons are <U3, where numbers are needed"),
        ({"triggers_00": np.zeros((12, 1))}, "triggers have shape"),
        ({"triggers_00": np.full((12, 2), 1j)}, "triggers are complex128"),
    ],
)
def test_a_trace_that_is_not_usable_is_reported_and_left_out(tmp_path, wrong, words):
    good = {k: v for k, v in arrays(5, 1, "01").items() if k != "button_names"}
    found, faults = traces.read([written(tmp_path, arrays(**wrong) | good)])
    assert [one.name for one in found] == ["pads/01"]
    (fault,) = faults
    assert "trace 00 of" in fault
    assert "pads.npz" in fault
    with pytest.raises(NitrogenError, match=words):
        traces.read([written(tmp_path, arrays(**wrong))])


def test_a_trace_without_rows(tmp_path):
    content = {"button_names": np.zeros(0, str), "sticks_00": np.zeros((0, 4))}
    with pytest.raises(NitrogenError, match="it has no row"):
        traces.read([written(tmp_path, content)])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (np.array(["SOUTH", "JUMP", "FIRE"]), "there is no button JUMP, FIRE"),
        (np.array(["SOUTH", "SOUTH", "EAST"]), "button SOUTH is named twice"),
        (np.array("SOUTH"), r"where \(k,\) strings are needed"),
        (np.array([1, 2, 3]), r"where \(k,\) strings are needed"),
    ],
)
def test_names_that_are_no_buttons(tmp_path, names, words):
    with pytest.raises(NitrogenError, match=words):
        traces.read([written(tmp_path, arrays(button_names=names))])


class Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("key", ["sticks_00", "button_names", "anything"])
def test_arrays_of_objects_are_never_unpickled(tmp_path, key):
    trap = np.array([Trap(str(tmp_path / "sprung"))], object)
    path = written(tmp_path, arrays(**{key: trap}))
    with pytest.raises(NitrogenError, match=r"cannot be read as \.npz"):
        traces.read([path])
    bare = tmp_path / "bare.npz"
    bare.write_bytes(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    with pytest.raises(NitrogenError, match=r"cannot be read as \.npz"):
        traces.read([bare])
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_none(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((5, 4)))
    with pytest.raises(NitrogenError, match="a single array"):
        traces.read([tmp_path / "one.npy"])
    with pytest.raises(NitrogenError, match=r"missing\.npz cannot be read as \.npz"):
        traces.read([tmp_path / "missing.npz"])
    with pytest.raises(NitrogenError, match="no usable trace in"):
        traces.read([written(tmp_path, {"x": np.zeros(3)})])


@given(st.data())
@settings(max_examples=60)
def test_damaged_files_are_told_in_one_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    whole = bytearray(written(folder, arrays(3), "whole.npz").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    (folder / "bad.npz").write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    said = ""
    try:
        found, _ = traces.read([folder / "bad.npz"])
    except NitrogenError as error:
        found, said = [], str(error)
    # Either it is refused, or the damage did no harm.
    assert found or "bad.npz" in said
    assert all(np.isfinite(one.states.left).all() for one in found)


def test_states_hold_until_the_next_row():
    states = States.idle(4)
    states.left[:, 0] = [0, 0.25, 0.5, 0.75]
    trace = Trace("t", states)
    times = np.array([-1, 0, 0.9 / RATE, 1 / RATE, 3.5 / RATE, 99])
    assert trace.at(times).left[:, 0].tolist() == [0, 0, 0, 0.25, 0.75, 0.75]


# ---------------------------------------------------------------------------------------------
# What a skin shows


def one_state(*pressed, triggers=(0, 0)) -> States:
    states = States.idle()
    states.buttons[0, [BUTTON_INDEX[name] for name in pressed]] = True
    states.triggers[0] = triggers
    return states


def names_of(states: States) -> set[str]:
    return {name for name, at in BUTTON_INDEX.items() if states.buttons[0, at]}


def of(*elements: Element) -> Skin:
    return Skin("skin", (100, 60), elements)


def trigger(side: str, bar: bool) -> Element:
    both = sprite(8, 8), sprite(8, 8, (255, 255, 255))
    return Element("trigger", side, (0, 0), both, None, side, (0, 0), bar)


DPAD = presets.pad().elements[-1]


def test_a_skin_shows_what_it_draws_only():
    pad = presets.pad()
    states = one_state("SOUTH", "EAST", "LEFT_THUMB", "RIGHT_THUMB", "GUIDE")
    states.left[:], states.right[:] = 0.5, -0.5
    found = shown(states, pad)
    assert names_of(found) == {"SOUTH", "LEFT_THUMB"}
    assert found.left.tolist() == [[0.5, 0.5]]
    assert not found.right.any()
    assert states.buttons.sum() == 5  # what was given is left as it is


@pytest.mark.parametrize(
    ("bar", "value", "pressed"),
    [(False, 0.09, False), (False, 0.1, True), (True, 0.49, False), (True, 0.5, True)],
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_triggers_count_as_pressed_where_they_light_up(side, bar, value, pressed):
    name, skin = f"{side.upper()}_TRIGGER", of(trigger(side, bar))
    triggers = (value, 0) if side == "left" else (0, value)
    # Whatever the button of the pad says: the overlay shows the value.
    for states in (one_state(triggers=triggers), one_state(name, triggers=triggers)):
        assert names_of(shown(states, skin)) == ({name} if pressed else set())


def test_a_trigger_that_is_drawn_as_a_button_is_one():
    both = sprite(8, 8), sprite(8, 8, (255, 255, 255))
    skin = of(Element("button", "lt", (0, 0), both, "LEFT_TRIGGER"))
    assert names_of(shown(one_state("LEFT_TRIGGER"), skin)) == {"LEFT_TRIGGER"}
    assert names_of(shown(one_state(triggers=(1, 0)), skin)) == set()


@pytest.mark.parametrize(
    ("pressed", "seen"),
    [
        (("LEFT", "RIGHT"), ()),
        (("UP", "DOWN"), ()),
        (("LEFT", "RIGHT", "UP"), ("UP",)),
        (("LEFT", "UP"), ("LEFT", "UP")),
        (("LEFT", "RIGHT", "UP", "DOWN"), ()),
    ],
)
def test_opposite_directions_cancel_each_other_on_a_d_pad(pressed, seen):
    states = one_state(*(f"DPAD_{way}" for way in pressed))
    assert names_of(shown(states, of(DPAD))) == {f"DPAD_{way}" for way in seen}


def test_four_buttons_show_opposite_directions():
    both = sprite(8, 8), sprite(8, 8, (255, 255, 255))
    ways = [
        Element("button", way, (0, 0), both, f"DPAD_{way}")
        for way in ("UP", "DOWN", "LEFT", "RIGHT")
    ]
    assert names_of(shown(one_state("DPAD_UP", "DPAD_DOWN"), of(*ways))) == {"DPAD_UP", "DPAD_DOWN"}


def test_presses_that_cannot_be_seen_are_not_shown():
    same = sprite(8, 8), sprite(8, 8)
    button = Element("button", "a", (0, 0), same, "SOUTH")
    light = replace(trigger("left", False), sprites=same)
    empty = replace(trigger("right", True), sprites=(sprite(8, 8), sprite(8, 8, alpha=0)))
    stick = Element("stick", "l", (0, 0), same, "LEFT_THUMB", "left", (4, 4))
    states = one_state("SOUTH", "LEFT_THUMB", triggers=(1, 1))
    states.left[:] = 0.5
    found = shown(states, of(button, light, empty, stick))
    assert names_of(found) == set()
    assert found.left.all()  # a stick moves all the same


# ---------------------------------------------------------------------------------------------
# Made up


@given(st.integers(0, 500), st.floats(0.01, 20))
@settings(max_examples=20)
def test_made_up_traces_are_those_of_a_pad(seed, seconds):
    trace = smooth(np.random.default_rng(seed), seconds)
    states = trace.states
    assert states.number == max(int(seconds * RATE), 1)
    for stick in (states.left, states.right):
        assert np.hypot(*stick.T).max() <= 1 + 1e-5
    assert ((states.triggers >= 0) & (states.triggers <= 1)).all()
    at = BUTTON_INDEX["LEFT_TRIGGER"]
    np.testing.assert_array_equal(states.buttons[:, at], states.triggers[:, 0] >= 0.5)
    again = smooth(np.random.default_rng(seed), seconds).states
    for one, other in zip(states, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_made_up_sticks_rest_move_and_glide():
    states = smooth(np.random.default_rng(0), 120).states
    still = (states.left == 0).all(1).mean()
    assert 0.2 < still < 0.7
    assert states.buttons.any(0).sum() > 12
    assert 0.01 < states.buttons.mean() < 0.5
    # A stick takes two frames at least from one end to the other.
    assert np.abs(np.diff(states.left, axis=0)).max() <= 2
    assert np.median(np.abs(np.diff(states.left, axis=0)).max(1)) < 0.05
