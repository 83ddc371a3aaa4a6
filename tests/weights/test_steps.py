"""Folders of numbered checkpoints: which is whole, and which of them a run's folder means."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.weights import checkpoint, steps


def write(folder: Path, large: int = 100) -> Path:
    """Something with the files of an Orbax checkpoint, sealed."""
    (folder / "params" / "d").mkdir(parents=True)
    (folder / "_CHECKPOINT_METADATA").write_text('{"a": 1}')
    (folder / "params" / "d" / "data").write_bytes(bytes(large))
    steps.seal(folder)
    return folder


@pytest.fixture
def run(tmp_path) -> Path:
    """The folder of a run with the checkpoints 9, 10 and 100."""
    for step in (9, 10, 100):
        write(tmp_path / "run" / "checkpoints" / str(step))
    return tmp_path / "run"


def test_a_whole_one_has_no_damage(tmp_path):
    path = write(tmp_path / "1")
    assert steps.damage(path) is None
    steps.seal(path)
    assert steps.damage(path) is None, "sealed twice is sealed"
    (path / "extra").touch()
    assert steps.damage(path) is None


@pytest.mark.parametrize("size", [99, 101])
def test_sizes_are_compared(size, tmp_path):
    path = write(tmp_path / "1")
    (path / "params" / "d" / "data").write_bytes(bytes(size))
    assert steps.damage(path) == f"its file params/d/data has {size} bytes, where 100 were written"


def test_small_files_are_compared_by_content_and_large_ones_by_size(tmp_path):
    edge = 1 << 20
    for name, size, noticed in (("1", edge, True), ("2", edge + 1, False)):
        path = write(tmp_path / name, size)
        (path / "params" / "d" / "data").write_bytes(b"x" * size)
        assert (steps.damage(path) is not None) is noticed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "null",
        "[" * 100_000,
        '{"files": {}}',
        '{"files": {"a": 1}}',
        '{"files": {"a": ["x", 1]}}',
        '{"files": {"a": [1, 2, 3]}}',
        '{"files": {"\\u0000": [1, null]}}',
    ],
)
def test_a_broken_listing(text, tmp_path):
    path = write(tmp_path / "1")
    (path / steps.SEAL).write_text(text)
    assert steps.damage(path).endswith("broken")


def test_only_plain_numbers_are_steps(run):
    folder = run / "checkpoints"
    for name in (".tmp-7-1", ".old-7", "7.orbax-checkpoint-tmp", "07", "-7", "x", "٣"):
        write(folder / name)
    assert list(steps.numbered(folder)) == [9, 10, 100]
    assert list(steps.whole(folder)) == [9, 10, 100]
    assert steps.numbered(folder / "none") == {}
    assert steps.numbered(folder / "9" / steps.SEAL) == {}


def test_a_run_means_its_newest_checkpoint(run):
    wanted = run / "checkpoints" / "100"
    for path in (run, run / "checkpoints", wanted):
        assert checkpoint.resolve(path) == wanted


def test_a_damaged_one_is_passed_over(run, caplog):
    (run / "checkpoints" / "100" / "_CHECKPOINT_METADATA").unlink()
    for path in (run, run / "checkpoints"):
        assert checkpoint.resolve(path) == run / "checkpoints" / "10"
    first = caplog.records[0]
    assert first.levelno == logging.WARNING
    assert f"{run / 'checkpoints' / '100'} is damaged" in first.getMessage()
    assert "its file _CHECKPOINT_METADATA is missing" in first.getMessage()


def test_a_run_without_a_whole_one(run):
    for step in (9, 10, 100):
        (run / "checkpoints" / str(step) / "params" / "d" / "data").unlink()
    with pytest.raises(NitrogenError, match="none of its 3 checkpoints is whole"):
        checkpoint.resolve(run)


def test_a_run_that_has_only_begun(tmp_path):
    (tmp_path / "checkpoints" / ".tmp-5-1").mkdir(parents=True)
    with pytest.raises(NitrogenError, match="holds no finished checkpoint"):
        checkpoint.resolve(tmp_path)


def test_folders_of_files_mean_what_they_meant(tmp_path):
    (tmp_path / "2024" / "notes").mkdir(parents=True)
    (tmp_path / "ng.pt").touch()
    assert checkpoint.resolve(tmp_path) == tmp_path / "ng.pt"
