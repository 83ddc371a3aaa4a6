"""What tests of labelling share: skins and a game's frames, made once, and videos of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from nitrogen_jax.labeling.skins.library import Library

_spec = importlib.util.spec_from_file_location("made", Path(__file__).parent / "made.py")
_made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_made)


@pytest.fixture(scope="session")
def made():
    """The functions of made.py."""
    return _made


@pytest.fixture(scope="session")
def skin():
    """A skin with a stick and three buttons."""
    return _made.few(1)


@pytest.fixture(scope="session")
def library(skin):
    """That skin and two of other layouts."""
    return Library((skin, _made.few(0), _made.few(3)))


@pytest.fixture(scope="session")
def game():
    """60 frames of a game, 4 s of it."""
    return _made.game(60)


@pytest.fixture(scope="session")
def place(skin):
    """Where the overlay is in the videos."""
    return _made.at_width(skin, 160, 24.3, 210.6)


@pytest.fixture(scope="session")
def shown(game, skin, place):
    """The game's frames with the overlay, in the states of `made.played`."""
    return _made.drawn(game, skin, place, _made.played(len(game)))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the videos are written."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def plain(folder, shown):
    """A video with the overlay, 4 s, in H.264."""
    return _made.write(folder / "plain.mp4", shown)
