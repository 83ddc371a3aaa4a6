"""Every way of waiting takes exactly the virtual time that it says, and hardly any real time."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from nitrogen_jax.sim.errors import GameExited
from nitrogen_jax.sim.session import Session

_spec = importlib.util.spec_from_file_location("compiled", Path(__file__).with_name("compiled.py"))
compiled = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compiled)


def run(log, **options) -> list[str]:
    """What the program printed; hours of waits in it are over at once."""
    with pytest.raises(GameExited) as caught:
        Session(compiled.launch("waits", log=log, **options)).close()
    text = log.read_text()
    assert caught.value.code == 0, text
    return text.splitlines()


def test_waits_take_the_time_they_say(tmp_path):
    assert run(tmp_path / "log")[-1] == "all as they should"


def test_random_bytes_follow_the_seed(tmp_path):
    first, again, other = (run(tmp_path / "log", seed=seed)[0] for seed in (5, 5, 6))
    assert first == again != other
    assert len(first) == 96
