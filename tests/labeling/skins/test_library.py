"""Libraries: what is found in folders, what is skipped, what is said of the rest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.skins import library, skin_file

_spec = importlib.util.spec_from_file_location("presets", Path(__file__).parent / "presets.py")
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)
element, write = presets.element, presets.write

A = element(2, "a", code=0)


@pytest.fixture
def shelf(tmp_path):
    """Two presets, one of them in two colours, and a skin of our own, at different depths."""
    write(tmp_path / "one", [A], pngs=("one",))
    write(tmp_path / "deep" / "er" / "two", [element(2, "b", (3, 4), code=1)], pngs=("two", "red"))
    skin_file.write(presets.pad(), tmp_path / "deep" / "own")
    return tmp_path


def test_skins_are_found_at_every_depth_sorted_by_name(shelf):
    found = library.load([shelf])
    assert [skin.name for skin in found.skins] == ["one", "pad", "two", "two-red"]
    assert found.faults == ()


def test_a_skin_is_found_by_name(shelf):
    found = library.load([shelf])
    assert found["pad"].size == (100, 60)
    with pytest.raises(KeyError, match="nobody"):
        found["nobody"]


def test_siblings_differ_in_their_colours_only(shelf):
    found = library.load([shelf])
    assert [one.name for one in found.siblings(found["two-red"])] == ["two", "two-red"]
    assert [one.name for one in found.siblings(found["one"])] == ["one"]


def test_a_layout_can_be_named_itself(shelf):
    found = library.load([shelf / "one" / "overlay.json", shelf / "deep" / "own" / "skin.json"])
    assert [skin.name for skin in found.skins] == ["one", "pad"]


def test_skins_of_one_name_are_told_apart(shelf, tmp_path):
    write(tmp_path / "other" / "one", [A], pngs=("one",))
    names = [skin.name for skin in library.load([shelf]).skins]
    assert names[:2] == ["one", "one~2"]
    assert len(set(names)) == len(names)


def test_what_cannot_be_read_is_a_fault_and_the_rest_is_read(shelf):
    (shelf / "one" / "broken.json").write_text("{")
    write(shelf / "empty", [A], pngs=())
    write(shelf / "keys", [{"type": 1, "id": "k"}])
    (shelf / "deep" / "own" / "atlas.png").write_bytes(b"no")
    found = library.load([shelf])
    assert len(found.skins) == 3
    causes = {Path(file).parent.name: cause for file, cause in found.faults}
    assert "cannot be read as JSON" in causes["one"]
    assert "no PNG" in causes["empty"]
    assert "no element shows a button" in causes["keys"]
    assert "atlas.png cannot be read" in causes["own"]


def test_other_json_is_no_fault(shelf):
    (shelf / "one" / "package.json").write_text('{"name": "x"}')
    (shelf / "one" / "list.json").write_text('{"elements": []}')
    (shelf / "notes.json").write_text("{ not even JSON, but no picture lies beside it")
    (shelf / "one" / "._overlay.json").write_bytes(b"\0\5")
    (shelf / ".git").mkdir()
    write(shelf / ".git" / "hidden", [A])
    found = library.load([shelf])
    assert found.faults == ()
    assert len(found.skins) == 4


def test_links_that_lead_in_circles_end(shelf):
    (shelf / "one" / "again").symlink_to(shelf, target_is_directory=True)
    assert len(library.load([shelf]).skins) == 4


def test_folders_too_deep_are_not_entered(tmp_path):
    write(tmp_path / "here", [A])
    write(tmp_path.joinpath(*"abcdefgh"), [A])
    assert len(library.load([tmp_path]).skins) == 1


def test_too_many_files_are_refused(shelf, monkeypatch):
    monkeypatch.setattr(library, "MOST_FILES", 3)
    with pytest.raises(NitrogenError, match="holds more than 3 files"):
        library.load([shelf])


def test_a_folder_without_skins_is_refused(tmp_path):
    with pytest.raises(NitrogenError, match="no skin lies in"):
        library.load([tmp_path])


def test_a_folder_of_broken_skins_says_why(tmp_path):
    write(tmp_path / "x", [A], pngs=())
    with pytest.raises(NitrogenError, match=r"no skin lies in .* no PNG"):
        library.load([tmp_path])


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(NitrogenError, match="does not exist"):
        library.load([tmp_path / "nowhere"])
