"""launch/results.py: figures are kept with how they were measured, and the page is made of them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError

ROOT = Path(__file__).parents[2]


def load():
    spec = importlib.util.spec_from_file_location("results", ROOT / "launch" / "results.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["results"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


results = load()


def add(folder, *more, name="a-name", figures=("speed=230 chunks/s",)):
    words = ["--folder", str(folder), "add", name, "--what", "how fast it is", *more]
    if not {"--command", "--no-command"} & set(more):
        words += ["--command", "nitrogen bench serve"]
    return results.main([*words, *(f"--figure={figure}" for figure in figures)])


def test_the_page_is_that_of_the_files():
    found = results.read_all()
    assert len(found) >= 10
    assert results.PAGE.read_text() == results.page(found), "run launch/results.py write"


def test_commits_of_the_files_are_of_this_repository():
    log = subprocess.run(["git", "rev-list", "--all"], cwd=ROOT, capture_output=True, text=True)
    if log.returncode or (ROOT / ".git" / "shallow").exists():
        pytest.skip("this is no git checkout with its history")
    commits = log.stdout.split()
    for result in results.read_all():
        digits = re.match(r"[0-9a-f]{7,40}\b", result.commit)
        assert digits, f"{result.name}: commit {result.commit!r}"
        assert any(map(str.startswith, commits, [digits[0]] * len(commits))), result.name


def test_what_is_added_is_on_the_page(tmp_path, capsys):
    figures = ("one at a time=1,059 chunks/s", "kept=0.878 (0.834 to 0.918)", "runs = 16", "x=.97")
    more = ("--commit", "abc1234", "--machine", "a | b", "--date", "2026-11-30")
    assert add(tmp_path / "new", *more, figures=figures) == 0
    told = json.loads((tmp_path / "new" / "a-name.json").read_text())
    assert told == {
        "what": "how fast it is",
        "command": "nitrogen bench serve",
        "commit": "abc1234",
        "machine": "a | b",
        "date": "2026-11-30",
        "figures": [
            {"name": "one at a time", "value": 1059, "unit": "chunks/s"},
            {"name": "kept", "value": "0.878 (0.834 to 0.918)"},
            {"name": "runs", "value": 16},
            {"name": "x", "value": 0.97},
        ],
    }
    out = tmp_path / "page.md"
    words = ["--folder", str(tmp_path / "new"), "write", "--out", str(out)]
    assert results.main([*words, "--check"]) == 1
    assert not out.exists()
    assert results.main(words) == 0
    assert results.main([*words, "--check"]) == 0
    page = out.read_text()
    for piece in ("## a-name", "    nitrogen bench serve", "abc1234; a | b; 2026-11-30", "1,059"):
        assert piece in page
    out.write_text(page.replace("1,059", "1,095"))
    assert results.main([*words, "--check"]) == 1


def test_commit_machine_and_date_are_those_of_now(tmp_path):
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("this is no git checkout")
    assert add(tmp_path) == 0
    result = results.read(tmp_path / "a-name.json")
    assert re.fullmatch(r"[0-9a-f]{7,}( with changes)?", result.commit)
    assert re.match(r"\d+ cores of \S", result.machine)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", result.date)


def test_a_command_that_is_not_known_is_said(tmp_path):
    assert add(tmp_path, "--no-command", "it was a script", "--commit", "abc1234") == 0
    page = results.page(results.read_all(tmp_path))
    assert "No command is kept: it was a script." in page
    assert "    it was" not in page


@pytest.mark.parametrize(
    ("more", "figures", "complaint"),
    [
        ((), ("speed",), "--figure 'speed' must be NAME=VALUE"),
        ((), ("speed=fast",), "--figure 'speed=fast' must be NAME=VALUE"),
        (("--date", "30.11.2026"), ("a=1",), "date '30.11.2026' must be like"),
        ((), ("a=1", "a=2"), "two figures named 'a'"),
    ],
)
def test_bad_input_is_one_sentence_and_2(tmp_path, capsys, more, figures, complaint):
    assert add(tmp_path, "--commit", "abc1234", *more, figures=figures) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    assert add(tmp_path, name="Not a name") == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"what": ""}, "what must be a text"),
        ({"command": 3}, "command must be a text"),
        ({"figures": []}, "at least one figure"),
        ({"figures": [{"name": "a"}]}, "must hold name, value"),
        ({"figures": [{"name": "a", "value": True}]}, "must be a number or a text"),
        ({"more": 1}, "nothing else"),
        ({"date": "soon"}, "must be like 2026-11-30"),
    ],
)
def test_a_file_by_hand_is_checked(tmp_path, change, complaint):
    assert add(tmp_path, "--commit", "abc1234") == 0
    path = tmp_path / "a-name.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(NitrogenError, match=re.escape(complaint)):
        results.read_all(tmp_path)
    path.write_text("{")
    with pytest.raises(NitrogenError, match="not JSON"):
        results.read_all(tmp_path)


@given(
    st.text(st.characters(exclude_characters="=", exclude_categories=["C"]), min_size=1),
    st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9),
    st.sampled_from(["", "ms", "chunks/s", "%"]),
)
def test_a_figure_is_read_as_it_was_written(name, value, unit):
    if not name.strip():
        return
    figure = results.figure_of(f"{name}={value} {unit}")
    assert (figure.name, figure.value, figure.unit) == (name.strip(), value, unit)


def test_help_comes_as_a_program():
    for words in (["--help"], ["add", "--help"]):
        done = subprocess.run(
            [ROOT / "launch" / "results.py", *words],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
        assert done.returncode == 0
    assert "--figure" in done.stdout
