"""The log of a run: valid JSON whatever happens, and a resumed run's log is that of one run."""

from __future__ import annotations

import datetime
import json
import logging
import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import jsonl


def strict(text: str) -> dict:
    """JSON without Python's additions."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_line(tmp_path):
    writer = jsonl.Writer(tmp_path / "log.jsonl")
    writer.write("train", 3, {"loss": 0.5, "parts": {"velocity": 0.25}})
    line = strict((tmp_path / "log.jsonl").read_text())  # before it is closed
    assert line.pop("time").endswith("Z")
    assert line == {"kind": "train", "step": 3, "loss": 0.5, "parts": {"velocity": 0.25}}
    assert list(strict((tmp_path / "log.jsonl").read_text()))[:3] == ["kind", "step", "time"]
    writer.close()


def test_the_time_is_utc(tmp_path):
    line = jsonl.Writer(tmp_path / "log.jsonl").write("event", 0, {})
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(line["time"])
    assert abs(age.total_seconds()) < 60


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (jnp.float32(jnp.nan), None),
        (jnp.int32(3), 3),
        (np.array([1.0, np.inf]), [1.0, None]),
        ((1, "a", None), [1, "a", None]),
        ({1: {"b": math.nan}}, {"1": {"b": None}}),
        ("\ud800", "\ud800"),
        (tuple, "<class 'tuple'>"),
    ],
)
def test_any_value(tmp_path, value, said):
    writer = jsonl.Writer(tmp_path / "log.jsonl")
    writer.write("train", 1, {"x": value})
    assert strict((tmp_path / "log.jsonl").read_text("utf-8"))["x"] == said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_every_line_can_be_read_again(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    values = {name: value for name, value in values.items() if name not in jsonl.FIXED}
    writer = jsonl.Writer(path)
    line = writer.write("train", 1, values)
    writer.write("train", 2, {})
    assert path.read_bytes().count(b"\n") == 2
    strict(path.read_text("utf-8").split("\n")[0])
    assert len(jsonl.read(path)) == 2
    assert jsonl.read(path)[0] == line


def test_names_that_every_line_has(tmp_path):
    with pytest.raises(ValueError, match="step"):
        jsonl.Writer(tmp_path / "log.jsonl").write("train", 1, {"step": 2})


def test_a_resumed_log(tmp_path):
    path = tmp_path / "log.jsonl"
    first = jsonl.Writer(path)
    for step in (2, 4, 6, 8):
        first.write("train", step, {"run": 1})
        first.write("event", step, {"run": 1})
    with path.open("ab") as file:
        file.write(b'{"kind": "train", "step": 10, "lo')  # killed
    second = jsonl.Writer(path, step=4)
    second.write("train", 6, {"run": 2})
    found = [(line["kind"], line["step"], line["run"]) for line in jsonl.read(path)]
    kept = [(kind, step, 1) for step in (2, 4) for kind in ("train", "event")]
    assert found == [*kept, ("train", 6, 2)]
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_log_that_ends_well_is_not_rewritten(tmp_path):
    path = tmp_path / "log.jsonl"
    jsonl.Writer(path).write("train", 2, {})
    before = path.stat().st_ino
    jsonl.Writer(path, step=2)
    assert path.stat().st_ino == before


def test_what_is_no_line(tmp_path, caplog):
    path = tmp_path / "log.jsonl"
    good = '{"kind": "train", "step": 1}'
    path.write_text(f"{good}\n{good[:-4]}")
    assert len(jsonl.read(path)) == 1
    assert caplog.text == ""  # every run that was killed has one
    path.write_text(f'{good}\n[1]\n{{"kind": "train"}}\n\n{good}\n{{"kind": 1, "step": 1}}\n')
    with caplog.at_level(logging.WARNING):
        assert len(jsonl.read(path)) == 2
    assert "line 2 is no line" in caplog.text
    with pytest.raises(NitrogenError, match="cannot read the log"):
        jsonl.read(tmp_path / "none.jsonl")


def test_what_python_takes_for_json(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"kind": "train", "step": 1, "loss": NaN, "norm": -Infinity}\n')
    assert jsonl.read(path) == [{"kind": "train", "step": 1, "loss": None, "norm": None}]


def test_a_full_disk_is_warned_about_once(tmp_path, caplog):
    """/dev/full takes nothing, as a full disk."""
    writer = jsonl.Writer(tmp_path / "log.jsonl")
    writer.write("train", 1, {})
    with open("/dev/full", "ab", buffering=0) as full:
        real, writer._file = writer._file, full
        for step in (2, 3):
            writer.write("train", step, {"loss": 1.0})
    assert caplog.text.count("training goes on") == 1
    real.write(b'{"kind": "tr')  # the part for which there was room
    writer._file = real
    writer.write("train", 4, {})
    writer.write("train", 5, {})
    assert [line["step"] for line in jsonl.read(tmp_path / "log.jsonl")] == [1, 4, 5]


def test_flat():
    nested = {"loss": 1.0, "buttons": {"f1": 2, "each": {"A": 3.0}}, "on": True, "x": None}
    assert jsonl.flat(nested) == {"loss": 1.0, "buttons/f1": 2, "buttons/each/A": 3.0, "x": None}
    line = {"kind": "train", "step": 1, "time": "", "a": 1, "b": None}
    assert jsonl.metrics(line) == {"a": 1, "b": None}
    assert jsonl.numbers(line) == {"a": 1}
