"""`nitrogen data validate`: what it lists, and its exit codes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
from nitrogen_jax import cli

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parents[1] / "data" / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)
METADATA, RAW = label_trees.METADATA, label_trees.RAW


@pytest.fixture
def validate(capsys):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["data", "validate", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def broken(tmp_path):
    """A sound tree and three chunks with violations: an error, a loss, a warning."""
    label_trees.sound_tree(tmp_path)
    label_trees.write(tmp_path, label_trees.files("bad", 0) | {METADATA: b"{"}, "bad", 0)
    unknown = label_trees.files("bad", 1, controller_type=None)
    label_trees.write(tmp_path, unknown, "bad", 1)
    columns = label_trees.columns() | {"south": [0.5] * 8}
    half = label_trees.files("bad", 2) | {RAW: label_trees.table(columns)}
    label_trees.write(tmp_path, half, "bad", 2)
    return tmp_path


def test_a_sound_tree(validate, tmp_path):
    label_trees.sound_tree(tmp_path)
    code, out, error = validate(tmp_path)
    assert (code, error) == (0, "")
    assert out == f"{tmp_path}: 0 errors and 0 warnings, 12 of 12 chunks are usable\n"


def test_violations(validate, broken):
    code, out, error = validate(broken)
    assert (code, error) == (1, "")
    folder = broken / "actions/SHARD_0000/bad"
    lines = out.splitlines()
    assert lines[0].startswith(
        f"error json_invalid (not usable): {folder}/bad_chunk_0000/{METADATA} is not JSON"
    )
    assert lines[1] == (
        f"warning field_missing (usable): {folder}/bad_chunk_0001/{METADATA}: "
        "field controller_type is null"
    )
    assert lines[2].startswith(f"error button_not_binary (usable): {folder}/bad_chunk_0002/{RAW}:")
    assert lines[-1] == f"{broken}: 2 errors and 1 warnings, 14 of 15 chunks are usable"


def test_json(validate, broken):
    code, out, _ = validate(broken, "--json")
    assert code == 1
    data = json.loads(out)
    violations = data.pop("violations")
    assert data == {
        "tree": str(broken),
        "chunks": 15,
        "usable": 14,
        "errors": 2,
        "warnings": 1,
        "by_cause": {"button_not_binary": 1, "json_invalid": 1, "field_missing": 1},
    }
    assert [set(one) for one in violations] == [
        {"where", "cause", "level", "usable", "message"}
    ] * 3
    assert [(one["level"], one["usable"]) for one in violations] == [
        *(("error", False), ("warning", True), ("error", True))
    ]


def test_a_sound_tree_as_json(validate, tmp_path):
    label_trees.sound_tree(tmp_path)
    code, out, _ = validate(tmp_path, "--json")
    assert code == 0
    assert json.loads(out)["violations"] == []


@pytest.mark.parametrize(("limit", "listed"), [(0, 0), (1, 1), (2, 2), (99, 3)])
def test_a_limit(validate, broken, limit, listed):
    code, out, _ = validate(broken, "--json", "--limit", limit)
    data = json.loads(out)
    assert code == 1
    assert (len(data["violations"]), data["errors"], data["warnings"]) == (listed, 2, 1)
    _, out, _ = validate(broken, "--limit", limit)
    assert sum("usable): " in line for line in out.splitlines()) == listed
    assert "2 errors and 1 warnings" in out


def test_a_warning_is_a_violation(validate, tmp_path):
    label_trees.write(tmp_path, label_trees.files(uuid=None))
    code, out, _ = validate(tmp_path)
    assert code == 1
    assert "0 errors and 1 warnings, 1 of 1 chunks are usable" in out


def test_only_broken_chunks(validate, tmp_path):
    label_trees.write(tmp_path, {METADATA: b"[1, 2]", RAW: b""})
    label_trees.write(tmp_path, {}, chunk=1)
    code, out, _ = validate(tmp_path)
    assert code == 1
    assert "0 of 2 chunks are usable" in out


def test_a_tarball_that_cannot_be_read(validate, tmp_path):
    (tmp_path / "SHARD_0000.tar.gz").write_bytes(b"broken")
    code, out, _ = validate(tmp_path)
    assert code == 1
    assert "error shard_unreadable (not usable): " in out
    assert "0 of 0 chunks" in out


def test_on_a_terminal_lines_come_after_the_progress(validate, broken, monkeypatch):
    _, piped, _ = validate(broken)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    code, out, _ = validate(broken)
    assert code == 1
    lines = [line for line in piped.splitlines() if "usable): " in line]
    assert len(lines) == 3
    folded = "".join(out.split())
    at = [folded.index("".join(line.split())) for line in lines]
    assert at == sorted(at)


def test_names_are_text_and_no_markup(validate, tmp_path):
    video = "[bold]видео[/bold] :heart:"
    label_trees.write(tmp_path, label_trees.files(video, uuid=None), video)
    _, out, _ = validate(tmp_path)
    assert f"/{video}/" in out


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "holds no chunk"),
        (lambda path: (path / "actions/SHARD_0000").mkdir(parents=True), "holds no chunk"),
        (lambda path: path.write_text("x"), "neither a folder nor"),
    ],
)
def test_no_tree(validate, tmp_path, make, says):
    make(tmp_path / "tree")
    code, out, error = validate(tmp_path / "tree")
    assert (code, out) == (2, "")
    assert error.startswith(f"nitrogen data: label tree {tmp_path / 'tree'}")
    assert says in error
    assert error.count("\n") == 1


def test_a_bad_limit(validate, tmp_path):
    label_trees.sound_tree(tmp_path)
    code, _, error = validate(tmp_path, "--limit", -1)
    assert code == 2
    assert "--limit is -1" in error
