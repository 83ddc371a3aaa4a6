"""A trace of a few steps appears where it is asked for, and nothing else changes."""

from __future__ import annotations

import gzip
import json

import jax
import jax.numpy as jnp
import pytest

from nitrogen_jax.training.profile import Profile


def train(profile, start, steps):
    """Steps after each of which a trace was written."""
    f = jax.jit(lambda x: x @ x)
    x = jnp.ones((32, 32))
    written = []
    for step in range(start + 1, steps + 1):
        profile.before(step)
        y = f(x)
        if profile.after(step, y):
            written.append(step)
    return written


def test_a_trace(tmp_path):
    folder = tmp_path / "profile"
    profile = Profile(folder, start=3, steps=12)
    assert (profile.first, profile.last) == (8, 12)
    assert train(profile, 3, 12) == [12]
    assert not profile.close()
    (path,) = folder.rglob("*.trace.json.gz")
    with gzip.open(path) as file:
        names = [event.get("name", "") for event in json.load(file)["traceEvents"]]
    assert sum(name == "train" for name in names) == 5  # a mark for each step
    assert list(folder.rglob("*.xplane.pb"))


@pytest.mark.parametrize(
    ("start", "steps", "first", "last"),
    [(0, 100, 11, 15), (50, 100, 61, 65), (0, 12, 8, 12), (0, 3, 1, 3), (0, 1, 1, 1), (5, 5, 6, 6)],
)
def test_which_steps(tmp_path, start, steps, first, last):
    profile = Profile(tmp_path, start, steps)
    assert (profile.first, profile.last) == (first, last)


def test_a_run_that_ends_early_writes_what_it_has(tmp_path):
    profile = Profile(tmp_path / "profile", 0, 100)
    assert train(profile, 0, 12) == []
    assert profile.close()
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_only_if_asked_for(tmp_path):
    assert train(Profile(None, 0, 20), 0, 20) == []


def test_a_trace_that_cannot_be_taken_is_a_warning(tmp_path, caplog):
    (tmp_path / "profile").write_text("a file where the folder would be")
    assert train(Profile(tmp_path / "profile", 0, 5), 0, 5) == []
    assert "no trace in" in caplog.text
