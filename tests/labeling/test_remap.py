"""Remap tables and the CSV that tells the games of videos."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS
from nitrogen_jax.labeling import remap


@given(st.permutations(BUTTONS), st.integers(0, 2**21 - 1))
def test_a_permutation_can_be_undone(names, bits):
    buttons = np.array([[bits >> i & 1 for i in range(21)]], bool)
    there = tuple(zip(BUTTONS, names, strict=True))
    back = tuple((b, a) for a, b in there)
    np.testing.assert_array_equal(remap.apply(remap.apply(buttons, there), back), buttons)


def test_two_buttons_may_become_one_and_a_swap_is_no_chain():
    pressed = np.zeros((3, 21), bool)
    pressed[0, BUTTON_INDEX["WEST"]] = pressed[1, BUTTON_INDEX["EAST"]] = True
    pressed[2, BUTTON_INDEX["SOUTH"]] = True
    found = remap.apply(pressed, (("EAST", "SOUTH"), ("SOUTH", "EAST"), ("WEST", "SOUTH")))
    wanted = ["SOUTH", "SOUTH", "EAST"]
    assert [BUTTONS[row.argmax()] for row in found] == wanted
    assert found.sum() == 3


def test_json_and_csv_say_the_same(tmp_path):
    table = {"A, B": {"EAST": "SOUTH", "SOUTH": "EAST"}, "C": {"GUIDE": "BACK"}}
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(table))
    rows = ['"A, B",SOUTH,EAST', '"A, B", EAST, SOUTH', "C,GUIDE,BACK"]
    (tmp_path / "a.csv").write_text("\n".join(["game,button,to", *rows]) + "\n")
    one, other = (remap.read_remaps(tmp_path / name) for name in ("a.json", "a.csv"))
    assert one == other == {game: tuple(sorted(pairs.items())) for game, pairs in table.items()}


def test_the_games_of_videos(tmp_path):
    path = tmp_path / "games.csv"
    path.write_text("url,video_id,game\nhttps://x/1,a, Some Game \n,b,Other\n")
    assert remap.read_facts(path) == {
        "a": remap.VideoFacts("Some Game", "", "https://x/1"),
        "b": remap.VideoFacts("Other"),
    }


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", "[" * 100_000, "is not JSON"),
        ("a.json", "[]", "holds no object"),
        ("a.json", '{"g": 3}', "game 'g': 3, where"),
        ("a.json", '{"g": {"JUMP": "SOUTH"}}', "there is no button 'JUMP'"),
        ("a.json", '{"g": {"SOUTH": null}}', "there is no button None"),
        ("a.csv", "game,button\n", "column to is missing"),
        ("a.csv", "", "column game, button, to is missing"),
        (
            "a.csv",
            "game,button,to\ng,EAST,SOUTH\ng,EAST,WEST\n",
            "line 3: EAST of g is there twice",
        ),
        ("a.csv", "game,button,to\n,EAST,SOUTH\n", "line 2: game is empty"),
        ("a.csv", "game,button,to\ng,EAST\n", "there is no button ''"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(NitrogenError, match=complaint) as caught:
        remap.read_remaps(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_bad_list_of_games_is_one_sentence(tmp_path):
    path = tmp_path / "games.csv"
    with pytest.raises(NitrogenError, match="cannot be read: No such file"):
        remap.read_facts(path)
    path.write_bytes(b"video_id,game\na,\xff\n")
    with pytest.raises(NitrogenError, match="is not text in UTF-8"):
        remap.read_facts(path)
    path.write_text("video_id,game\na,x\na,y\n")
    with pytest.raises(NitrogenError, match="line 3: video a is there twice"):
        remap.read_facts(path)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text, encoding="utf-8", errors="replace")
    for read in (remap.read_facts, remap.read_remaps):
        with contextlib.suppress(NitrogenError):
            assert isinstance(read(path), dict)
