"""Frozen dataclasses in and out of JSON, overrides, and files of `configs/`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax import config
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig, VisionConfig


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    on: bool = False
    name: str = "a"


@dataclass(frozen=True)
class Outer:
    count: int
    inner: Inner = field(default_factory=Inner)
    maybe: int | None = None
    other: Inner | None = None
    numbers: tuple[float, ...] = ()
    pair: tuple[int, str] = (1, "x")
    rows: tuple[Inner, ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    either: int | str = 0
    anything: Any = None


FULL = Outer(
    count=3,
    inner=Inner(0.25, True, "b"),
    maybe=4,
    other=Inner(name="c"),
    numbers=(1.0, 2.5),
    pair=(2, "y"),
    rows=(Inner(), Inner(0.75)),
    table={"a": 1.0},
    either="text",
    anything=[1, {"b": None}],
)


def through_json(value):
    return config.from_dict(type(value), json.loads(json.dumps(config.to_dict(value))), "file")


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [FULL, Outer(count=1)])
def test_there_and_back(value):
    assert through_json(value) == (value, [])


@given(st.from_type(PolicyConfig))
def test_every_policy_config_goes_through_json(value):
    # NOTE: no number equals NaN, so what comes back is compared by how it is written.
    found, notices = through_json(value)
    assert notices == []
    assert repr(found) == repr(value)


def test_fields_that_are_missing_keep_their_defaults():
    assert config.from_dict(Outer, {"count": 2, "inner": {"on": True}}, "x") == (
        Outer(2, Inner(on=True)),
        [],
    )
    assert config.from_dict(VisionConfig, {}, "x") == (VisionConfig(), [])


def test_a_field_without_a_default_must_be_there():
    with pytest.raises(NitrogenError, match="x: field count of Outer is missing"):
        config.from_dict(Outer, {}, "x")


def test_unknown_fields_are_named_wherever_they_are():
    data = {"count": 1, "b": 2, "inner": {"c": 3}, "other": {"d": 4}, "rows": [{"e": 5}]}
    found, notices = config.from_dict(Outer, data, "x")
    assert found == Outer(1, other=Inner(), rows=(Inner(),))
    assert notices == [
        "x: field b is not known and was ignored",
        "x: inner: field c is not known and was ignored",
        "x: other: field d is not known and was ignored",
        "x: rows: field e is not known and was ignored",
    ]


def test_whole_numbers_serve_as_floats_and_lists_as_tuples():
    found, _ = config.from_dict(Outer, {"count": 1, "inner": {"rate": 1}, "numbers": [1]}, "x")
    assert type(found.inner.rate) is float
    assert found.numbers == (1.0,)
    assert type(found.numbers[0]) is float


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"count": "1"}, "x: count is '1', where int is needed"),
        ({"count": 1.0}, "x: count is 1.0, where int is needed"),
        ({"count": True}, "x: count is True, where int is needed"),
        ({"count": None}, "x: count is None, where int is needed"),
        ({"inner": 3}, "x: inner: Inner is 3, where a table is needed"),
        ({"inner": None}, "x: inner: Inner is None, where a table is needed"),
        ({"inner": {"rate": "1"}}, "x: inner: rate is '1', where float is needed"),
        ({"inner": {"rate": True}}, "x: inner: rate is True, where float is needed"),
        ({"inner": {"rate": 10**400}}, "x: inner: rate is 1"),
        ({"inner": {"on": 1}}, "x: inner: on is 1, where bool is needed"),
        ({"inner": {"name": 1}}, "x: inner: name is 1, where str is needed"),
        ({"maybe": "1"}, r"x: maybe is '1', where int \| None is needed"),
        ({"maybe": False}, r"x: maybe is False, where int \| None is needed"),
        ({"other": {"rate": "1"}}, "x: other: rate is '1', where float is needed"),
        ({"numbers": "12"}, r"x: numbers is '12', where tuple\[float, ...\] is needed"),
        ({"numbers": [1, "2"]}, "x: numbers is '2', where float is needed"),
        ({"pair": [1]}, r"x: pair is \[1\], where tuple\[int, str\] is needed"),
        ({"pair": ["x", 1]}, "x: pair is 'x', where int is needed"),
        ({"table": [1]}, r"x: table is \[1\], where dict\[str, float\] is needed"),
        ({"table": {"a": "b"}}, "x: table is 'b', where float is needed"),
        ({"either": 1.5}, r"x: either is 1.5, where int \| str is needed"),
    ],
)
def test_wrong_types(data, message):
    with pytest.raises(NitrogenError, match=message):
        config.from_dict(Outer, {"count": 1, **data}, "x")


@pytest.mark.parametrize("data", [None, 3, [], "text"])
def test_what_is_no_table(data):
    with pytest.raises(NitrogenError, match=r"x: Outer is .*, where a table is needed"):
        config.from_dict(Outer, data, "x")


# --- overrides -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("count=5", "count", 5),
        ("--count=5", "count", 5),
        ("count=-5", "count", -5),
        ("inner.rate=1e-3", "inner.rate", 1e-3),
        ("inner.rate=1", "inner.rate", 1.0),
        ("inner.on=True", "inner.on", True),
        ("inner.name=word", "inner.name", "word"),
        ("inner.name='5'", "inner.name", "5"),
        ("inner.name=a=b", "inner.name", "a=b"),
        ("inner.name=", "inner.name", ""),
        ("inner.name=/a/b-c.d", "inner.name", "/a/b-c.d"),
        ("inner.name={[]: 1}", "inner.name", "{[]: 1}"),
        ("inner.name=" + "(" * 1000, "inner.name", "(" * 1000),
        ("maybe=None", "maybe", None),
        ("maybe=7", "maybe", 7),
        ("numbers=(1, 2)", "numbers", (1.0, 2.0)),
        ("numbers=[]", "numbers", ()),
        ("numbers=1,2", "numbers", (1.0, 2.0)),
        ("table={'b': 2}", "table", {"b": 2.0}),
        ("either=word", "either", "word"),
        ("either=8", "either", 8),
        ("anything={'a': [1]}", "anything", {"a": [1]}),
        ("other.name=z", "other.name", "z"),
        ("other=None", "other", None),
        ("inner={'rate': 0.125}", "inner", Inner(0.125)),
    ],
)
def test_one_override(assignment, path, value):
    found = config.override(FULL, [assignment])
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


def test_the_rest_stays_and_the_last_one_counts():
    found = config.override(FULL, ["count=5", "inner.name=x", "count=6"])
    inner = dataclasses.replace(FULL.inner, name="x")
    assert found == dataclasses.replace(FULL, count=6, inner=inner)
    assert config.override(FULL, []) is FULL


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("count", "override 'count' has no '=': write --a.b=value"),
        ("countt=1", "there is no field 'countt'; did you mean 'count'?"),
        ("zzz=1", "there is no field 'zzz'; use one of count, inner, maybe"),
        ("inner.nam=1", "there is no field 'nam'; did you mean 'name'?"),
        ("inner..name=1", "there is no field ''"),
        ("=1", "there is no field ''"),
        ("count.a=1", "'count' has no fields"),
        ("count=x", "override 'count=x' is 'x', where int is needed"),
        ("count=1.5", "override 'count=1.5' is 1.5, where int is needed"),
        ("inner.on=true", "override 'inner.on=true' is 'true', where bool is needed"),
        ("inner.name=5", "override 'inner.name=5' is 5, where str is needed"),
        ("inner=5", "override 'inner=5': Inner is 5, where a table is needed"),
        ("inner={'nam': 'x'}", "field nam is not known and cannot be set"),
    ],
)
def test_overrides_that_cannot_be(assignment, message):
    with pytest.raises(NitrogenError) as caught:
        config.override(FULL, [assignment])
    assert message in str(caught.value)


def test_a_part_that_is_not_there_has_no_fields():
    with pytest.raises(NitrogenError, match="'other' has no fields"):
        config.override(Outer(1), ["other.name=z"])


@given(st.from_type(VisionConfig))
def test_every_value_can_be_given_as_an_override(value):
    fields = [f"{name}={each!r}" for name, each in config.to_dict(value).items()]
    if "inf" not in "".join(fields) and "nan" not in "".join(fields):  # no Python literals
        assert config.override(VisionConfig(), fields) == value


# --- files of configs/ ---------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    def to(text):
        (tmp_path / "mine.py").write_text(text)
        return tmp_path / "mine.py"

    return to


def test_a_file_and_its_overrides(write):
    path = write(
        "import dataclasses\n"
        "from nitrogen_jax.models.configs import VisionConfig\n"
        "def config():\n"
        "    return dataclasses.replace(VisionConfig(), depth=3)\n"
    )
    assert config.load(path) == VisionConfig(depth=3)
    assert config.load(str(path), ["width=64"]) == VisionConfig(depth=3, width=64)
    with pytest.raises(NitrogenError, match="did you mean 'width'"):
        config.load(path, ["widht=64"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no function config"),
        ("config = 3\n", "has no function config"),
        ("def config():\n    return {'width': 3}\n", "returned {'width': 3}, not a dataclass"),
        (
            "from nitrogen_jax.models.configs import VisionConfig as V\n"
            "def config():\n    return V\n",
            "not a dataclass",
        ),
    ],
)
def test_files_that_are_no_configs(write, text, message):
    with pytest.raises(NitrogenError, match=message):
        config.load(write(text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NitrogenError, match=r"gone.py does not exist: give a file such as"):
        config.load(tmp_path / "gone.py")
    with pytest.raises(NitrogenError, match="does not exist"):
        config.load(tmp_path)
