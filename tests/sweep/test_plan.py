"""Which runs a sweep has, and what they are called."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sweep import plan

CONFIG = """
from dataclasses import dataclass, field
from nitrogen_jax.errors import NitrogenError

@dataclass(frozen=True)
class Optimizer:
    rate: float = 0.1

@dataclass(frozen=True)
class Train:
    optimizer: Optimizer = field(default_factory=Optimizer)
    layers: tuple[int, ...] = (1,)
    name: str = "a"
    seed: int = 0

    def check(self):
        if self.optimizer.rate < 0:
            raise NitrogenError("config: optimizer.rate is negative")

def config():
    return Train()
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    return path


def test_a_grid_is_every_combination_in_order():
    runs = plan.make_runs(["a=1,2", "--b.c=x,y"])
    assert [tuple(run.overrides.values()) for run in runs] == [
        *(("1", "x"), ("1", "y"), ("2", "x"), ("2", "y"))
    ]
    assert runs[1].arguments == ["--a=1", "--b.c=y"]
    assert runs[1].name == "a=1,b.c=y"


def test_lists_grid_and_seeds_multiply():
    runs = plan.make_runs(["a=1,2"], [{"b": "x"}, {}], seeds=3)
    assert len(runs) == len({run.name for run in runs}) == 12
    assert runs[-1].overrides == {"a": "2", "seed": "2"}


def test_nothing_is_one_run():
    assert plan.make_runs([]) == [plan.Run("base", {})]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-4,3e-4", ["1e-4", "3e-4"]),
        ("[1,2],(3,(4,5)),{'a':6,'b':7}", ["[1,2]", "(3,(4,5))", "{'a':6,'b':7}"]),
        ("'a,b',\"c,[d\",e", ["'a,b'", '"c,[d"', "e"]),
        ("1, 2", ["1", "2"]),
        ("x", ["x"]),
        ("a,", ["a", ""]),
    ],
)
def test_commas_in_brackets_and_quotes_divide_nothing(text, values):
    assert plan.split_values(text) == values


@given(st.lists(st.recursive(st.integers() | st.text(), st.lists, max_leaves=5), min_size=1))
def test_any_literals_are_divided_again(values):
    texts = [repr(value) for value in values]
    assert plan.split_values(",".join(texts)) == texts


@pytest.mark.parametrize("text", ["[1,2", "1]", "'a"])
def test_an_open_bracket_is_refused(text):
    with pytest.raises(NitrogenError, match="not closed"):
        plan.split_values(text)


overrides = st.dictionaries(
    st.from_regex(r"[a-z_]{1,8}(\.[a-z_]{1,8}){0,2}", fullmatch=True), st.text(max_size=40)
)


@given(overrides, overrides)
def test_names_are_safe_and_unique(one, other):
    name = plan.name_of(one)
    assert (name == plan.name_of(other)) == (one == other)
    assert len(name.encode()) <= 120
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+=,-")
    assert name[0].isalnum() or name[0] == "_"


def test_a_name_does_not_depend_on_the_order_or_on_other_runs():
    assert plan.name_of({"a": "1", "b": "2"}) == plan.name_of({"b": "2", "a": "1"})
    alone = plan.make_runs(["a=1"])[0]
    assert alone in plan.make_runs(["a=1,2,3"])


def test_an_override_that_does_not_exist_is_named_with_its_neighbour(config):
    with pytest.raises(NitrogenError, match=r"'optimizer\.rat=1'.*did you mean 'rate'"):
        plan.check_runs(config, plan.make_runs(["optimizer.rat=1"]))


@pytest.mark.parametrize(
    ("grid", "complaint"),
    [
        (["optimizer.rate=fast"], "float is needed"),
        (["optimizer.rate=1,-1"], r"run optimizer\.rate=-1: config: optimizer\.rate is negative"),
        (["optimizer.rate=1e-1,0.1"], "the same"),
        (["seed=1,1"], "more than once"),
    ],
)
def test_runs_that_cannot_be_are_refused_before_any_starts(config, grid, complaint):
    with pytest.raises(NitrogenError, match=complaint):
        plan.check_runs(config, plan.make_runs(grid))


def test_good_runs_pass(config):
    plan.check_runs(config, plan.make_runs(["optimizer.rate=1,2", "layers=[1,2],[3]"], seeds=2))


@pytest.mark.parametrize(
    ("grid", "lists", "seeds", "complaint"),
    [
        (["a=1", "a=2"], [], 0, "twice"),
        (["a"], [], 0, "is not as in"),
        (["a="], [], 0, "is not as in"),
        (["seed=1"], [], 2, "seed"),
        ([], [{"seed": "1"}], 2, "seed"),
        (["a=1"], [{"a": "2"}], 0, "a is in the list and in the grid"),
    ],
)
def test_contradictions_are_refused(grid, lists, seeds, complaint):
    with pytest.raises(NitrogenError, match=complaint):
        plan.make_runs(grid, lists, seeds)


SETS = [{"optimizer.rate": 0.5, "name": "b"}, {"layers": [1, 2], "name": "1"}]


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("json", json.dumps(SETS)),
        ("jsonl", "\n\n".join(map(json.dumps, SETS))),
        ("txt", "# two\n--optimizer.rate=0.5 --name=b\n\nlayers='[1, 2]' name=\"'1'\"  # quoted\n"),
    ],
)
def test_a_list_is_read(tmp_path, config, suffix, text):
    path = tmp_path / f"list.{suffix}"
    path.write_text(text)
    found = plan.read_list(path)
    assert found == [{"optimizer.rate": "0.5", "name": "b"}, {"layers": "[1, 2]", "name": "'1'"}]
    plan.check_runs(config, plan.make_runs([], found))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.json", "{", "damaged"),
        ("a.json", "[]", "no runs"),
        ("a.json", '["a"]', "run 1 is 'a'"),
        ("a.txt", "rate", "run 1 is"),
        ("a.txt", "'rate", "damaged"),
        ("a.csv", "a=1", "none of"),
    ],
)
def test_a_bad_list_is_refused(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(NitrogenError, match=complaint):
        plan.read_list(tmp_path / name)


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(NitrogenError, match="cannot be read"):
        plan.read_list(tmp_path / "none.txt")
