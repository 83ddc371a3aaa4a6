"""Sizes, hashes and lineage of sources."""

from __future__ import annotations

import hashlib

import pytest

pytest.importorskip("jax")

from nitrogen_jax.models.presets import vision_preset
from nitrogen_jax.weights import provenance
from nitrogen_jax.weights.checkpoint import Checkpoint
from nitrogen_jax.weights.meta import Meta


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "checkpoint"
    (root / "d").mkdir(parents=True)
    (root / "b").write_bytes(b"two")
    (root / "d" / "a").write_bytes(b"one!")
    return root


def stamped(earlier, source):
    checkpoint = Checkpoint({}, Meta(vision_preset("test"), provenance=earlier))
    return provenance.stamped(checkpoint, source).meta.provenance


def test_a_file(folder):
    path = folder / "b"
    assert provenance.size(path) == 3
    assert provenance.sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_a_large_file_is_read_in_pieces(tmp_path):
    path = tmp_path / "x"
    content = bytes(range(256)) * 40_000  # 10 MB
    path.write_bytes(content)
    done = []
    assert provenance.sha256(path, done.append) == hashlib.sha256(content).hexdigest()
    assert len(done) == 3
    assert sum(done) == len(content)


def test_a_folder_is_its_names_and_contents(folder):
    assert provenance.size(folder) == 7
    found = provenance.sha256(folder)
    assert found == hashlib.sha256(b"b\0twod/a\0one!").hexdigest()
    moved = folder.rename(folder.with_name("elsewhere"))
    assert provenance.sha256(moved) == found
    (moved / "b").rename(moved / "c")
    assert provenance.sha256(moved) != found


def test_a_foreign_file_has_no_history(folder):
    path = folder / "b"
    found = stamped({"source": "b", "source_format": "nitrogen"}, path)
    digest = hashlib.sha256(b"two").hexdigest()
    assert found == {"source": "b", "sha256": digest, "source_format": "nitrogen"}


def test_every_step_remembers_the_one_before(folder):
    first = stamped({"source": "b", "source_format": "nitrogen"}, folder / "b")
    second = stamped(first, folder)
    third = stamped(second, folder / "d" / "a")
    assert second["source"] == "checkpoint"
    assert second["from"] == first
    assert third["from"] == second
    assert third["source"] == "a"


def test_random_parameters_are_a_history(folder):
    earlier = {"source": "random parameters, seed 0"}
    assert stamped(earlier, folder / "b")["from"] == earlier
    assert "from" not in stamped({}, folder / "b")
