"""Our own format: nothing is lost, nothing else is believed."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.skins import skin_file
from nitrogen_jax.labeling.skins.atlas import premultiplied, straight
from nitrogen_jax.labeling.skins.skin import Element, Skin

_spec = importlib.util.spec_from_file_location("presets", Path(__file__).parent / "presets.py")
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)


def same(one: Skin, other: Skin) -> bool:
    """Whether two skins are alike to the last pixel."""
    if (one.name, one.size, one.controller) != (other.name, other.size, other.controller):
        return False
    if len(one.elements) != len(other.elements):
        return False
    for a, b in zip(one.elements, other.elements, strict=True):
        if vars(a) | {"sprites": None} != vars(b) | {"sprites": None}:
            return False
        if not all(map(np.array_equal, a.sprites, b.sprites)):
            return False
    return True


sizes = st.tuples(st.integers(1, 30), st.integers(1, 30))
numbers = st.floats(-50, 150, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def skins(draw) -> Skin:
    """Skins of any elements with any pictures."""
    elements = []
    for at in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["texture", "button", "stick", "trigger", "dpad"]))
        number = {"texture": 1, "dpad": 9}.get(kind, 2)
        pictures = tuple(presets.noise(at * 10 + i, *draw(sizes)) for i in range(number))
        side = draw(st.sampled_from(["left", "right"])) if kind in ("stick", "trigger") else None
        elements.append(
            Element(
                kind,
                f"{draw(st.text(max_size=8))}{at}",
                (draw(numbers), draw(numbers)),
                pictures,
                draw(st.sampled_from(["SOUTH", "GUIDE"])) if kind == "button" else None,
                side,
                (draw(numbers), draw(numbers)) if kind == "stick" else (0.0, 0.0),
                draw(st.booleans()),
                draw(st.sampled_from(["up", "down", "left", "right"])),
            )
        )
    return Skin("any name-1", (100, 60), tuple(elements), "ps5")


@settings(max_examples=40)
@given(skins())
def test_what_is_written_is_read(skin):
    with tempfile.TemporaryDirectory() as folder:
        path = skin_file.write(skin, Path(folder) / "skin")
        again = skin_file.read(path / skin_file.NAME)
    assert same(skin, again)
    assert again.geometry == skin.geometry


def test_another_pixel_is_another_skin():
    assert same(presets.pad(), presets.pad())
    assert not same(presets.pad(), presets.pad(colour=(200, 100, 51)))
    assert not same(presets.pad(), presets.pad(moved=1))


def test_premultiplied_pixels_survive_png_of_straight_alpha():
    alpha, colour = np.meshgrid(np.arange(256), np.arange(256))
    possible = np.minimum(colour, alpha)
    picture = np.stack([possible, possible, possible, alpha], axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(premultiplied(straight(picture)), picture)


def test_writing_replaces_and_leaves_nothing_beside(tmp_path):
    skin_file.write(presets.pad(), tmp_path / "s")
    skin_file.write(presets.pad(moved=3), tmp_path / "s")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert skin_file.read(tmp_path / "s" / "skin.json").geometry == presets.pad(moved=3).geometry


def test_a_wide_sprite_makes_a_wide_atlas(tmp_path):
    wide = Element("texture", "w", (0, 0), (presets.noise(1, 2500, 2),))
    skin = Skin("w", (2500, 2), (wide,))
    path = skin_file.write(skin, tmp_path / "w")
    assert same(skin_file.read(path / "skin.json"), skin)


@pytest.fixture
def written(tmp_path):
    """Changes a written skin.json and reads it."""
    path = skin_file.write(presets.pad(), tmp_path / "s") / "skin.json"

    def read(change):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        return skin_file.read(path)

    return read


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("format",), "other", "is not a nitrogen-skin of version 1"),
        (("version",), 2, "is not a nitrogen-skin of version 1"),
        (("size",), [9000, 60], "its size is"),
        (("size",), [1], "is no skin"),
        (("size",), [float("inf"), 1], "is no skin"),
        (("name",), None, None),
        (("elements",), {"a": 1}, "is no skin"),
        (("elements",), None, "is no skin"),
        (("elements", 1, "kind"), "wheel", "kind 'wheel' is not known"),
        (("elements", 1, "kind"), ["button"], "is no skin"),
        (("elements", 1, "kind"), "stick", "a stick needs a side"),
        (("elements", 1, "sprites"), [[0, 0, 6, 6]], "a button has 2 sprites"),
        (("elements", 1, "sprites", 0), [0, 0, 99999, 6], "a sprite leaves the atlas"),
        (("elements", 1, "sprites", 0), [-1, 0, 6, 6], "a sprite leaves the atlas"),
        (("elements", 1, "sprites", 0), [0, 0, 0, 6], "a sprite leaves the atlas"),
        (("elements", 1, "sprites", 0), [0.5, 0, 6, 6], "is no skin"),
        (("elements", 1, "position"), [1], "no .x, y. near the picture"),
        (("elements", 1, "position"), [float("nan"), 0], "no .x, y. near the picture"),
        (("elements", 1, "position"), [0, 1e9], "no .x, y. near the picture"),
        (("elements", 1, "travel"), ["a", 0], "is no skin"),
        (("elements", 1, "button"), "NOPE", "there is no button NOPE"),
        (("elements", 1, "side"), "top", "side or direction is not known"),
        (("elements", 1, "direction"), None, "side or direction is not known"),
        (("elements", 1, "name"), "body", "two elements are called body"),
    ],
)
def test_other_content_is_refused_in_a_sentence(written, where, value, words):
    def change(content):
        *path, last = where
        for step in path:
            content = content[step]
        content[last] = value

    if words is None:
        assert written(change).name == "None"
        return
    with pytest.raises(NitrogenError, match=words) as caught:
        written(change)
    assert "skin.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_elements_than_anybody_draws_are_refused(written):
    with pytest.raises(NitrogenError, match="more than 500 elements"):
        written(lambda content: content.update(elements=content["elements"] * 101))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/abs", "..", "a\\b", "", "x" * 300, "a\0b"])
def test_a_name_never_leads_elsewhere(written, name):
    found = written(lambda content: content.update(name=name)).name
    assert Path(found).name == found
    assert found not in ("", ".", "..")
    assert not set("/\\\0") & set(found)
    assert len(found) <= 100


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n"])
def test_a_missing_or_broken_atlas_is_said(tmp_path, content):
    path = skin_file.write(presets.pad(), tmp_path / "s")
    (path / "atlas.png").unlink()
    if content is not None:
        (path / "atlas.png").write_bytes(content)
    with pytest.raises(NitrogenError, match=r"atlas.png cannot be read as a PNG"):
        skin_file.read(path / "skin.json")


def test_an_atlas_may_have_no_alpha(tmp_path):
    path = skin_file.write(presets.pad(), tmp_path / "s")
    picture = cv2.imread(str(path / "atlas.png"), cv2.IMREAD_COLOR)
    cv2.imwrite(str(path / "atlas.png"), picture)
    assert (skin_file.read(path / "skin.json").elements[0].sprites[0][..., 3] == 255).all()


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=150)
@given(
    st.sampled_from(["kind", "name", "position", "sprites", "button", "side", "travel", "bar"])
    | st.sampled_from(["direction", "extra"]),
    any_json,
)
def test_any_value_is_read_or_refused_in_one_sentence(tmp_path_factory, key, value):
    path = tmp_path_factory.getbasetemp() / "any" / "skin.json"
    if not path.parent.exists():
        skin_file.write(presets.pad(), path.parent)
        path.rename(path.with_name("original.json"))
    content = json.loads(path.with_name("original.json").read_text())
    content["elements"][2][key] = value
    path.write_text(json.dumps(content))
    said = ""
    try:
        skin_file.read(path)
    except NitrogenError as error:
        said = str(error)
    assert "\n" not in said
