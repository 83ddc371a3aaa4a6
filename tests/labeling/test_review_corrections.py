"""Corrections in JSON: what is written is read back, and anything else is refused in a sentence."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import review_corrections
from nitrogen_jax.labeling.review_corrections import BUTTONS, Corrections, Edit, parse

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.text(st.characters(exclude_characters="/\\\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and name.isprintable()
)
AXES = st.floats(-1, 1).map(lambda value: value + 0.0)
STICKS = st.tuples(AXES, AXES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@st.composite
def edits(draw, rows: int = 1000):
    first = draw(st.integers(0, rows - 1))
    buttons = draw(st.dictionaries(st.sampled_from(sorted(BUTTONS)), st.booleans(), max_size=4))
    sticks = draw(st.dictionaries(st.sampled_from(("j_left", "j_right")), STICKS))
    valid = draw(st.sampled_from((None, True, False) if buttons or sticks else (True, False)))
    return Edit(first, draw(st.integers(first + 1, rows)), buttons, sticks, valid)


CORRECTIONS = st.builds(
    Corrections, HASHES, NAMES, NAMES, HASHES, st.lists(edits(), max_size=5).map(tuple)
)


def an_edit(**changes):
    return {"from": 1, "to": 3, "buttons": {"SOUTH": True}} | changes


def a_file(**changes):
    return {
        **{"format": review_corrections.FORMAT, "version": 1, "tree": "a" * 64},
        **{"video_id": "vid", "chunk_id": "vid_chunk_0000", "table": "b" * 64},
        "edits": [an_edit()],
    } | changes


def refused(data: bytes) -> str:
    with pytest.raises(NitrogenError) as caught:
        parse(data, "c.json")
    return str(caught.value)


@settings(max_examples=40)
@given(CORRECTIONS)
def test_what_is_written_is_read(corrections):
    text = json.dumps(review_corrections.to_json(corrections)).encode()
    read = parse(text, "c.json")
    assert read == corrections
    assert read.digest == corrections.digest


@settings(max_examples=40)
@given(CORRECTIONS, edits(), HASHES)
def test_digests_differ_with_content(corrections, edit, other):
    more = dataclasses.replace(corrections, edits=(*corrections.edits, edit))
    assert more.digest != corrections.digest
    assert (dataclasses.replace(corrections, table=other).digest == corrections.digest) == (
        other == corrections.table
    )


def read_or_refused(data: bytes) -> None:
    """One sentence, that a terminal can print, or sound corrections."""
    sentence = ""
    try:
        read = parse(data, "c.json")
    except NitrogenError as error:
        sentence = str(error)
    if sentence:
        assert sentence.startswith("c.json")
        assert sentence.isprintable()
        assert len(sentence) < 600
    else:
        assert parse(json.dumps(review_corrections.to_json(read)).encode(), "again") == read


@given(st.binary(max_size=300))
@example(b"[" * 100_000)
@example(b"1" * 5000)
@example(b'{"format": NaN}')
@example(b"\xff\xfe{}")
def test_any_bytes(data):
    read_or_refused(data)


@given(JSON)
def test_any_json(content):
    read_or_refused(json.dumps(content).encode("utf-8", "surrogatepass"))


@given(st.sampled_from(sorted(a_file())), JSON)
@example("edits", [[]])
def test_any_value_of_any_field(name, value):
    read_or_refused(json.dumps(a_file(**{name: value})).encode())


@given(st.sampled_from(("from", "to", "buttons", "j_left", "j_right", "valid")), JSON)
@example("to", 10**400)
@example("j_left", [float("inf"), 0])
@example("buttons", {"\ud800": True})
def test_any_value_of_any_part_of_an_edit(name, value):
    read_or_refused(json.dumps(a_file(edits=[an_edit(**{name: value})])).encode())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "others"}, "holds no corrections"),
        ({"version": 2}, "version is 2, where 1 is needed"),
        ({"version": True}, "version is True"),
        ({"tree": "A" * 64}, "tree is"),
        ({"table": "b" * 63}, "where a SHA-256"),
        ({"video_id": "../../etc"}, "video_id is '../../etc'"),
        ({"chunk_id": ".."}, "chunk_id is '..'"),
        ({"chunk_id": "a/b"}, "the name of a folder"),
        ({"chunk_id": "a\0b"}, "the name of a folder"),
        ({"note": 1}, "'note' is none of"),
        ({"edits": None}, "edits is None"),
        ({"edits": [3]}, "edit 0 is 3"),
        ({"edits": [an_edit(to=1)]}, "edit 0: to is 1, where a row from 2 on is needed"),
        ({"edits": [an_edit(), an_edit(**{"from": -1})]}, "edit 1: from is -1"),
        ({"edits": [an_edit(**{"from": 0.0})]}, "from is 0.0"),
        ({"edits": [an_edit(buttons={"A": True})]}, "'A' is not a button with a column"),
        ({"edits": [an_edit(buttons={"RIGHT_UP": True})]}, "is not a button with a column"),
        ({"edits": [an_edit(buttons={"SOUTH": 1})]}, "SOUTH is 1, where true or false"),
        ({"edits": [an_edit(j_left=[0, 1.01])]}, "j_left is [0, 1.01], where [x, y] in -1..1"),
        ({"edits": [an_edit(j_left=[True, 0])]}, "j_left is [True, 0]"),
        ({"edits": [an_edit(valid=None)]}, "valid is None"),
        ({"edits": [an_edit(button={})]}, "'button' is none of"),
        ({"edits": [{"from": 0, "to": 1}]}, "it changes nothing"),
    ],
)
def test_what_is_wrong_is_named(changes, says):
    assert says in refused(json.dumps(a_file(**changes)).encode())


def test_a_button_that_is_named_twice_is_refused():
    text = json.dumps(a_file()).replace('"SOUTH": true', '"SOUTH": true, "SOUTH": false')
    assert "'SOUTH' is there twice" in refused(text.encode())


def test_a_missing_field_is_named():
    content = a_file()
    del content["table"]
    assert "table is None" in refused(json.dumps(content).encode())
