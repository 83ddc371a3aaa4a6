"""`nitrogen eval table`: evaluations side by side."""

from __future__ import annotations

import pytest

from nitrogen_jax import cli
from nitrogen_jax.evaluation.results import Played
from nitrogen_jax.evaluation.results_write import Writer

TAG = {"seconds": 9.0, "procedural": False}
TAGS = {
    "a/fight": TAG | {"goal": "Win | not.", "category": "combat", "dimensions": 3},
    "b/walk": TAG | {"goal": "Walk.", "category": "navigation", "dimensions": 2},
}


def write(folder, outcomes, seed=0):
    """Results whose tasks come out as `outcomes` says."""
    about = {
        "policy": {"name": folder.name, "identity": folder.name},
        "suite": "default",
        "tasks": list(TAGS),
        "tags": TAGS,
        "skipped": {},
        "episodes": 2,
        "seed": seed,
        "play": {},
        "created": "2026-01-02T03:04:05",
        "command": f"nitrogen eval {folder.name}",
        "machine": {"cores": 2},
        "versions": {"numpy": "2"},
    }
    with Writer(folder, about) as writer:
        for task, of in outcomes.items():
            for episode, outcome in enumerate(of):
                progress = float(outcome == "success")
                made = {"task": task, "episode": episode, "outcome": outcome}
                writer.add(Played(**made, seed=seed, progress=progress))
    return folder


@pytest.fixture
def folders(tmp_path):
    won, lost, died = "success", "failure", "crash"
    mine = write(tmp_path / "mine", {"a/fight": [won, lost], "b/walk": [won, won]})
    other = write(tmp_path / "other", {"a/fight": [lost, died]})
    return [mine, other]


def test_a_column_for_each(folders, tmp_path):
    page = tmp_path / "table.md"
    assert cli.main(["eval", "table", *map(str, folders), "--out", str(page)]) == 0
    lines = page.read_text().splitlines()
    assert "|  | mine | other |" in lines
    assert "| overall | 3/4 (30%..95%), 0.75 | 0/1, 0.00, 1 apart |" in lines
    fight = "| `a/fight` | Win \\| not. (combat, 3D, fixed, 9 s) | 1/2, 0.50 | 0/1, 0.00, 1 apart |"
    assert fight in lines
    assert "| `b/walk` | Walk. (navigation, 2D, fixed, 9 s) | 2/2, 1.00 | - |" in lines
    assert "**other**, 2026-01-02: `nitrogen eval other`" in lines
    assert "Versions of other: numpy 2." in lines


def test_the_terminal_shows_the_same(folders, tmp_path, capsys):
    assert cli.main(["eval", "table", str(folders[0])]) == 0
    page = tmp_path / "one.md"
    assert cli.main(["eval", "table", str(folders[0]), "--out", str(page)]) == 0
    assert capsys.readouterr().out.strip() == page.read_text().strip()


def test_other_seeds_are_refused(folders, tmp_path, capsys):
    other = write(tmp_path / "third", {}, seed=1)
    assert cli.main(["eval", "table", str(folders[0]), str(other)]) == 2
    assert "played with other seeds" in capsys.readouterr().err
    assert cli.main(["eval", "table", str(tmp_path / "nothing")]) == 2
