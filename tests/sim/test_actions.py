"""Files of actions: what is written is read, all else is refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import NUM_BUTTONS, Pad
from nitrogen_jax.sim import actions


@given(data=st.data(), rows=st.integers(1, 20))
def test_what_is_written_is_read(tmp_path_factory, data, rows):
    values = st.floats(-1, 1, width=32)
    buttons = data.draw(hnp.arrays(bool, (rows, NUM_BUTTONS)))
    sticks = data.draw(hnp.arrays(np.float32, (rows, 4), elements=values))
    path = tmp_path_factory.mktemp("actions") / "a.npz"
    actions.write(path, Pad(buttons, sticks[:, :2], sticks[:, 2:]))
    read = actions.read(path)
    np.testing.assert_array_equal(read.pressed, buttons)
    np.testing.assert_array_equal(np.concatenate([read.left, read.right], 1), sticks)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"buttons": np.zeros((3, 21))}, "no array 'sticks'"),
        ({"buttons": np.zeros((3, 20)), "sticks": np.zeros((3, 4))}, r"shape \(3, 20\)"),
        ({"buttons": np.zeros((3, 21)), "sticks": np.zeros((2, 4))}, r"\(N, 21\) and \(N, 4\)"),
        ({"buttons": np.zeros((0, 21)), "sticks": np.zeros((0, 4))}, "at least 1"),
        ({"buttons": np.zeros(()), "sticks": np.zeros((3, 4))}, "shape"),
        ({"buttons": np.zeros((3, 21)), "sticks": np.full((3, 4), np.nan)}, "finite"),
        ({"buttons": np.zeros((3, 21)), "sticks": np.full((3, 4), 2.0)}, r"\[-1, 1\]"),
        ({"buttons": np.full((3, 21), "a"), "sticks": np.zeros((3, 4))}, "real numbers"),
        ({"buttons": np.full((3, 21), None), "sticks": np.zeros((3, 4))}, "cannot be read"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(NitrogenError, match=words):
        actions.read(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and nothing"])
def test_files_that_are_no_actions_are_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(NitrogenError, match=r"cannot be read as \.npz"):
        actions.read(tmp_path / "a.npz")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(NitrogenError, match="No such file"):
        actions.read(tmp_path / "a.npz")


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(NitrogenError, match="single array"):
        actions.read(tmp_path / "a.npy")
