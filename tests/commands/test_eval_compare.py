"""`nitrogen eval compare`: two folders of results, side by side."""

from __future__ import annotations

import json

import pytest

from nitrogen_jax import cli
from nitrogen_jax.evaluation import paired, results
from nitrogen_jax.evaluation.results import Played
from nitrogen_jax.evaluation.results_write import Writer

TAG = {"goal": "g", "seconds": 9.0, "procedural": False}
TAGS = {
    "a/fight": TAG | {"category": "combat", "dimensions": 3},
    "b/walk-a-long-way-to-the-igloo": TAG | {"category": "navigation", "dimensions": 2},
}
# A wins 3 of 4 fights where B wins 1, and walks as badly as B.
WON = {"a": {"a/fight": "1110"}, "b": {"a/fight": "1000"}}


@pytest.fixture
def folders(tmp_path):
    """Two evaluations, A and B; B has one crash."""
    return [write(tmp_path / name, name) for name in "ab"]


def write(folder, name, seed=0):
    about = {
        "policy": {"name": f"policy {name}", "identity": name},
        "suite": "default",
        "tasks": list(TAGS),
        "tags": TAGS,
        "skipped": {},
        "episodes": 4,
        "seed": seed,
        "play": {},
        "created": "",
    }
    with Writer(folder, about) as writer:
        for task in TAGS:
            for episode in range(4):
                won = WON[name].get(task, "0000")[episode] == "1"
                outcome = "success" if won else "failure"
                if (name, task, episode) == ("b", "b/walk-a-long-way-to-the-igloo", 3):
                    outcome = "crash"
                progress = 1.0 if won else 0.25
                writer.add(
                    Played(
                        task=task, episode=episode, seed=seed, outcome=outcome, progress=progress
                    )
                )
    return folder


def test_who_is_better(folders, capsys):
    assert cli.main(["eval", "compare", *map(str, folders), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pairs"] == 7  # the crash of B is no pair
    assert told["a"]["policy"]["name"] == "policy a"
    found = {one["name"]: one for of in told["differences"]["success"].values() for one in of}
    fight = found["a/fight"]
    assert (fight["a"], fight["b"], fight["difference"], fight["relative"]) == (
        0.75,
        0.25,
        0.5,
        2.0,
    )
    assert fight["low"] <= 0.5 <= fight["high"]
    assert found["2D"]["difference"] == 0
    assert found["overall"]["difference"] == pytest.approx(2 / 7)
    wanted = paired.differences(*(results.read(one).episodes for one in folders), TAGS, "progress")
    progress = told["differences"]["progress"]["overall"][0]
    assert progress["difference"] == pytest.approx(wanted["overall"][0].difference)
    assert (progress["low"], progress["high"]) == (
        wanted["overall"][0].low,
        wanted["overall"][0].high,
    )


def test_the_tables_fit_into_80_columns(folders, capsys):
    assert cli.main(["eval", "compare", *map(str, folders), "--tasks"]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if str(folders[0].parent) not in line) <= 80
    assert "+200%" in out
    for word in ("combat", "navigation", *TAGS):
        assert out.count(f"{word} ") == 2  # success and progress
    assert cli.main(["eval", "compare", *map(str, folders), "--measure", "progress"]) == 0
    out = capsys.readouterr().out
    assert "success" not in out
    assert "a/fight" not in out


def test_what_cannot_be_compared(folders, tmp_path, capsys):
    other = write(tmp_path / "other", "b", seed=1)
    assert cli.main(["eval", "compare", str(folders[0]), str(other)]) == 2
    assert "both must have the same" in capsys.readouterr().err
    (folders[1] / results.EPISODES).write_text("")
    for more in ([], ["--json"]):
        assert cli.main(["eval", "compare", *map(str, folders), *more]) == 1
    told = capsys.readouterr()
    assert "no judged episode in common" in told.err
    assert json.loads(told.out)["pairs"] == 0
