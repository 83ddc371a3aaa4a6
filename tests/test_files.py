"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path, remove


class Stopped(BaseException):
    """As Ctrl-C is: no Exception."""


def names(folder):
    return sorted(os.listdir(folder))


def test_a_file(tmp_path):
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert names(tmp_path) == [temporary.name]  # not yet under its name
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_folder(tmp_path):
    with atomic_path(tmp_path / "a") as temporary:
        (temporary / "inside").mkdir(parents=True)
        (temporary / "inside" / "b").write_text("new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a" / "inside" / "b").read_text() == "new"


def test_the_temporary_name_is_hidden_beside_it_and_has_its_suffix(tmp_path):
    with atomic_path(str(tmp_path / "a.b.safetensors")) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".safetensors"
        assert not temporary.exists()
        temporary.touch()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Stopped])
@pytest.mark.parametrize("there", [False, True])
def test_failure_leaves_what_was_there(tmp_path, error, there):
    if there:
        (tmp_path / "a").write_text("old")

    def write():
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == (["a"] if there else [])
    if there:
        assert (tmp_path / "a").read_text() == "old"


def test_failure_inside_a_folder_leaves_the_old_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()

    def write():
        with atomic_path(tmp_path / "a") as temporary:
            temporary.mkdir()
            (temporary / "new").touch()
            raise Stopped

    with pytest.raises(Stopped):
        write()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["old"]


@pytest.mark.parametrize("error", [OSError, Stopped])
def test_a_stop_between_the_old_folder_and_the_new_brings_back_the_old(
    tmp_path, monkeypatch, error
):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    replace = os.replace

    def stopped(source, destination):
        if ".tmp-" in str(source):
            assert not (tmp_path / "a").exists()
            raise error
        replace(source, destination)

    monkeypatch.setattr(os, "replace", stopped)

    def write():
        with atomic_path(tmp_path / "a") as temporary:
            temporary.mkdir()

    with pytest.raises(error):
        write()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["old"]


def test_a_link_to_a_folder_is_replaced_and_the_folder_kept(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "kept").touch()
    (tmp_path / "a").symlink_to(tmp_path / "real")
    with atomic_path(tmp_path / "a") as temporary:
        temporary.mkdir()
    assert names(tmp_path) == ["a", "real"]
    assert not (tmp_path / "a").is_symlink()
    assert names(tmp_path / "real") == ["kept"]


def test_what_was_there_is_replaced(tmp_path):
    (tmp_path / "file").write_text("old")
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "file").read_text() == "new"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    with atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert names(tmp_path / "folder") == ["new"]
    assert names(tmp_path) == ["file", "folder"]


def test_what_an_earlier_process_of_our_number_left_is_in_nobodys_way(tmp_path):
    left = tmp_path / f".a.tmp-{os.getpid()}"
    left.mkdir()
    (left / "x").touch()
    with atomic_path(tmp_path / "a") as temporary:
        assert temporary == left
        temporary.write_text("new")
    assert names(tmp_path) == ["a"]


def test_nothing_written_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("parent", ["gone", "file"])
def test_a_parent_that_is_no_folder(tmp_path, parent):
    (tmp_path / "file").touch()
    refused = pytest.raises(NitrogenError, match=rf"the folder .*{parent} does not exist")
    with refused, atomic_path(tmp_path / parent / "a"):
        pytest.fail("there is nowhere to write")


def test_a_name_without_a_folder_is_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_path("a") as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["a"]


def test_remove(tmp_path):
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "folder" / "inside" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    assert names(tmp_path) == ["folder"]  # the link alone
    remove(tmp_path / "folder")
    remove(tmp_path / "folder")  # already gone
    assert names(tmp_path) == []
