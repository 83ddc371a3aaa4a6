"""Presets of input-overlay: every element, and every oddity met in the wild."""

from __future__ import annotations

import importlib.util
import json
import struct
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.skins import input_overlay
from nitrogen_jax.labeling.skins.skin import Skin

_spec = importlib.util.spec_from_file_location("presets", Path(__file__).parent / "presets.py")
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)
element, write = presets.element, presets.write

A = element(2, "a", code=0)


def read_one(tmp_path, *elements, **more):
    """The only skin of a preset."""
    (skin,) = input_overlay.read(write(tmp_path / "pad", list(elements), **more))
    return skin


def shown(skin, name):
    """An element by its name."""
    return next(one for one in skin.elements if one.name == name)


def test_a_button_and_its_pressed_sprite(tmp_path):
    skin = read_one(tmp_path, element(2, "a", (11, 12), (20, 30, 8, 6), code=1))
    one, atlas = skin.elements[0], presets.atlas()
    assert (one.kind, one.button, one.position) == ("button", "EAST", (11, 12))
    np.testing.assert_array_equal(one.sprites[0], presets.rgba(atlas, 20, 30, 8, 6))
    np.testing.assert_array_equal(one.sprites[1], presets.rgba(atlas, 20, 39, 8, 6))
    assert skin.size == presets.SIZE
    assert skin.unread == ()


@pytest.mark.parametrize(
    ("code", "button"),
    [(0, "SOUTH"), (4, "BACK"), (8, "RIGHT_THUMB"), (9, "LEFT_SHOULDER"), (14, "DPAD_RIGHT")],
)
def test_codes_are_those_of_sdl_also_with_the_old_offset(tmp_path, code, button):
    skin = read_one(tmp_path, element(2, "n", code=code), element(2, "o", code=0xEC00 + code))
    assert [one.button for one in skin.elements] == [button, button]


@pytest.mark.parametrize("code", [16, 99, 0xEC00 + 15, -1])
def test_an_unknown_code_is_drawn_at_rest_and_named(tmp_path, code):
    skin = read_one(tmp_path, A, element(2, "odd", code=code))
    assert shown(skin, "odd").kind == "texture"
    assert skin.unread == (f"odd: button code {code} is not known, so it is drawn at rest",)


def test_a_stick(tmp_path):
    skin = read_one(tmp_path, element(5, "s", box=(0, 0, 9, 9), side=1, stick_radius=4.5))
    one, atlas = skin.elements[0], presets.atlas()
    assert (one.kind, one.side, one.button) == ("stick", "right", "RIGHT_THUMB")
    assert one.travel == (4.5, 4.5)
    np.testing.assert_array_equal(one.sprites[1], presets.rgba(atlas, 0, 12, 9, 9))


def test_the_side_is_right_and_the_id_is_not(tmp_path):
    stick = element(5, "left_stick", side=1, stick_radius=4)
    trigger = element(6, "r2", side=0, trigger_mode=False, direction=1)
    skin = read_one(tmp_path, stick, trigger)
    assert [one.side for one in skin.elements] == ["right", "left"]


def test_an_unknown_side_is_drawn_at_rest(tmp_path):
    skin = read_one(tmp_path, A, element(5, "s", side=2, stick_radius=4))
    assert shown(skin, "s").kind == "texture"
    assert "side 2 is not known" in skin.unread[0]


@pytest.mark.parametrize(
    ("mode", "bar"), [(True, False), (False, True), (1, False), ("true", False), (None, True)]
)
@pytest.mark.parametrize(
    ("direction", "way"), [(1, "up"), (2, "down"), (3, "left"), (4, "right"), (9, "up")]
)
def test_triggers(tmp_path, mode, bar, direction, way):
    trigger = element(6, "lt", side=0, trigger_mode=mode, direction=direction)
    one = read_one(tmp_path, trigger).elements[0]
    assert (one.kind, one.bar, one.direction) == ("trigger", bar, way)


def test_a_trigger_without_a_direction_grows_upwards(tmp_path):
    assert read_one(tmp_path, element(6, "lt", side=0)).elements[0].direction == "up"


def test_a_dpad_has_nine_sprites_to_the_right(tmp_path):
    skin = read_one(tmp_path, element(8, "d", box=(5, 7, 10, 11)))
    atlas = presets.atlas()
    for at, sprite in enumerate(skin.elements[0].sprites):
        np.testing.assert_array_equal(sprite, presets.rgba(atlas, 5 + 13 * at, 7, 10, 11))


def test_the_guide_button_is_the_fourth_frame_to_the_right(tmp_path):
    skin = read_one(tmp_path, element(7, "id", box=(5, 7, 10, 11)))
    one = skin.elements[0]
    assert one.button == "GUIDE"
    wanted = presets.rgba(presets.atlas(), 5 + 4 * 13, 7, 10, 11)
    np.testing.assert_array_equal(one.sprites[1], wanted)


@pytest.mark.parametrize("kind", [1, 3, 4, 9])
def test_keys_and_mice_are_left_out_and_named(tmp_path, kind):
    skin = read_one(tmp_path, A, {"type": kind, "id": "k"})
    assert len(skin.elements) == 1
    assert "is no part of a gamepad" in skin.unread[0]


def test_an_unknown_type_is_left_out_and_named(tmp_path):
    skin = read_one(tmp_path, A, element(42, "k"))
    assert skin.unread == ("k: type 42 is not known",)


def test_a_byte_order_mark_does_not_matter(tmp_path):
    assert read_one(tmp_path, A, bom=True).elements[0].button == "SOUTH"


def test_the_order_in_the_file_decides_and_z_levels_do_not(tmp_path):
    names = ["c", "a", "b"]
    levels = ["2", 0, 1]
    ones = [element(2, n, code=0) | {"z_level": z} for n, z in zip(names, levels, strict=True)]
    assert [one.name for one in read_one(tmp_path, *ones).elements] == names


def test_numbers_may_be_strings(tmp_path):
    one = element(2, "a", code="3") | {"pos": ["4", "5"]}
    skin = read_one(tmp_path, one)
    assert (skin.elements[0].button, skin.elements[0].position) == ("NORTH", (4, 5))


def test_elements_of_one_name_get_numbers(tmp_path):
    twins = [element(2, name, code=0) for name in ("a", "a#2", "a", "a")]
    assert [one.name for one in read_one(tmp_path, *twins).elements] == ["a", "a#2", "a#3", "a#4"]


def test_an_element_without_a_name_gets_one(tmp_path):
    one = {key: value for key, value in A.items() if key != "id"}
    assert read_one(tmp_path, one).elements[0].name == "element0"


def test_an_atlas_may_be_a_few_pixels_too_small(tmp_path):
    one = read_one(tmp_path, element(2, "a", box=(195, 0, 12, 6), code=0)).elements[0]
    assert one.sprites[0].shape == (6, 12, 4)
    np.testing.assert_array_equal(
        one.sprites[0][:, :5], presets.rgba(presets.atlas(), 195, 0, 5, 6)
    )
    assert not one.sprites[0][:, 5:].any()


def test_pressed_sprites_may_lie_below_the_atlas(tmp_path):
    one = read_one(tmp_path, element(2, "a", box=(0, 190, 8, 10), code=0)).elements[0]
    assert not one.sprites[1].any()


def test_an_atlas_that_is_far_too_small_is_refused(tmp_path):
    path = write(tmp_path / "pad", [element(2, "a", box=(195, 0, 40, 6), code=0)])
    with pytest.raises(
        NitrogenError, match=r"no PNG of at least 235 x 6 .*overlay.png \(200 x 200\)"
    ):
        input_overlay.read(path)


def test_every_png_is_a_colour_its_own_name_first(tmp_path):
    skins = input_overlay.read(write(tmp_path / "pad", [A], pngs=("blue", "overlay", "red")))
    assert [skin.name for skin in skins] == ["pad-overlay", "pad-blue", "pad-red"]
    assert len({skin.geometry for skin in skins}) == 1
    assert len({skin.elements[0].sprites[0].tobytes() for skin in skins}) == 3


def test_a_skin_has_its_folders_name(tmp_path):
    (skin,) = input_overlay.read(write(tmp_path / "xbox-360", [A], pngs=("xbox-360",)))
    assert (skin.name, skin.controller) == ("xbox-360", "xbox360")


def test_several_layouts_in_a_folder_take_the_pictures_of_their_names(tmp_path):
    folder = tmp_path / "pad"
    one = write(folder, [A], name="one", pngs=("one", "one-red", "other"))
    two = write(folder, [A], name="one-left", pngs=("one-left",))
    three = write(folder, [A], name="three", pngs=())
    assert [skin.name for skin in input_overlay.read(one)] == ["pad-one", "pad-one-red"]
    assert [skin.name for skin in input_overlay.read(two)] == ["pad-one-left"]
    assert [skin.name for skin in input_overlay.read(three)] == ["pad-other"]


def test_leftovers_of_macos_are_no_pictures(tmp_path):
    path = write(tmp_path / "pad", [A])
    (path.parent / "._overlay.png").write_bytes(b"\0\5\x16\7")
    assert len(input_overlay.read(path)) == 1


@pytest.mark.parametrize("channels", ["grey", "bgr", "sixteen"])
def test_pictures_without_alpha_or_with_16_bits(tmp_path, channels):
    path = write(tmp_path / "pad", [A], pngs=())
    flat = np.full((60, 60, 3), (10, 20, 30), np.uint8)
    picture = {
        "grey": np.full((60, 60), 77, np.uint8),
        "bgr": flat,
        "sixteen": (flat.astype(np.uint16) << 8) | 99,
    }[channels]
    cv2.imwrite(str(path.with_suffix(".png")), picture)
    pixel = input_overlay.read(path)[0].elements[0].sprites[0][0, 0]
    assert tuple(pixel) == ((77, 77, 77, 255) if channels == "grey" else (30, 20, 10, 255))


def test_alpha_is_premultiplied(tmp_path):
    path = write(tmp_path / "pad", [A], pngs=())
    cv2.imwrite(str(path.with_suffix(".png")), np.full((60, 60, 4), (0, 100, 200, 128), np.uint8))
    pixel = input_overlay.read(path)[0].elements[0].sprites[0][0, 0]
    assert tuple(pixel) == (100, 50, 0, 128)


def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path):
    path = write(tmp_path / "pad", [A], pngs=())
    head = struct.pack(">IIBBBBB", 16000, 16000, 8, 6, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(NitrogenError, match=r"overlay.png \(cannot be read\)"):
        input_overlay.read(path)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_pictures_that_are_none_are_named(tmp_path, content):
    path = write(tmp_path / "pad", [A], pngs=())
    path.with_suffix(".png").write_bytes(content)
    with pytest.raises(NitrogenError, match=r"no PNG .* \(cannot be read\) will not do"):
        input_overlay.read(path)


def test_a_missing_picture_is_said(tmp_path):
    with pytest.raises(NitrogenError, match="no PNG of at least 8 x 6 lies beside it"):
        input_overlay.read(write(tmp_path / "pad", [A], pngs=()))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '{"elements": "x"}'])
def test_json_that_is_no_layout_is_refused(tmp_path, text):
    path = write(tmp_path / "pad", [A])
    path.write_text(text)
    with pytest.raises(NitrogenError):
        input_overlay.read(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mapping": [0, 0, 8]}, "mapping of element 'a'"),
        ({"mapping": [-1, 0, 8, 6]}, "no rectangle of an atlas"),
        ({"mapping": [0, 0, 0, 6]}, "no rectangle of an atlas"),
        ({"mapping": [0, 0, 99999, 6]}, "no rectangle of an atlas"),
        ({"mapping": None}, "4 numbers are needed"),
        ({"pos": [1]}, "2 numbers are needed"),
        ({"pos": [1e300, 0]}, r"pos\[0\] of element 'a'"),
        ({"pos": [float("nan"), 0]}, r"pos\[0\] of element 'a'"),
        ({"code": 10**400}, "code of element 'a'"),
        ({"code": True}, "code of element 'a' is True"),
        ({"code": None}, "code of element 'a' is None"),
        ({"type": "x"}, "type of element 'a'"),
        ({"type": 5, "side": 0, "stick_radius": 1e5}, "stick_radius of element 'a' is 100000"),
        ({"type": 5, "side": 0, "stick_radius": -3}, "stick_radius of element 'a' is -3"),
        ({"type": 5, "side": 0}, "stick_radius of element 'a' is None"),
    ],
)
def test_impossible_values_are_refused_in_a_sentence(tmp_path, change, words):
    with pytest.raises(NitrogenError, match=words) as caught:
        read_one(tmp_path, A | change)
    assert "\n" not in str(caught.value)
    assert "overlay.json" in str(caught.value)


@pytest.mark.parametrize("size", [(0, 10), (10, None), (10**7, 10), ("wide", 1), (9000, 10)])
def test_impossible_sizes_are_refused(tmp_path, size):
    with pytest.raises(NitrogenError):
        read_one(tmp_path, A, size=size)


def test_what_lies_far_outside_of_the_picture_is_left_out(tmp_path):
    skin = read_one(tmp_path, A, element(2, "lost", (90_000, 3), code=1))
    assert [one.name for one in skin.elements] == ["a"]
    assert skin.unread == ("lost: it lies at [90000, 3], far outside of the picture",)


def test_a_layout_without_a_pad_is_refused(tmp_path):
    with pytest.raises(NitrogenError, match="no element shows a button or a stick"):
        read_one(tmp_path, element(0, "body"), {"type": 1, "id": "key"})


def test_more_elements_than_anybody_draws_are_refused(tmp_path):
    with pytest.raises(NitrogenError, match="501 elements"):
        read_one(tmp_path, *[A] * 501)


def test_sprites_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(input_overlay, "MOST_PIXELS", 500)
    with pytest.raises(NitrogenError, match=r"its sprites have 2,000 pixels"):
        read_one(tmp_path, element(0, "body", box=(0, 0, 50, 20)))


def test_what_is_a_layout(tmp_path):
    good = write(tmp_path / "pad", [A])
    other = tmp_path / "theme.json"
    other.write_text(json.dumps({"id": "x"}))
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert [input_overlay.is_layout(path) for path in (good, other, broken)] == [True, False, False]


leaves = st.one_of(
    *(st.none(), st.booleans(), st.integers(-5, 20), st.integers(), st.floats()),
    *(st.text(max_size=5), st.sampled_from(["0", "1", "1e9", "nan"])),
)
values = st.one_of(leaves, st.lists(leaves, max_size=5), st.dictionaries(st.text(), leaves))
fields = st.sampled_from(
    ["type", "id", "pos", "mapping", "code", "side", "stick_radius", "trigger_mode", "direction"]
)
elements = st.dictionaries(fields, values, max_size=9)
near = st.builds(
    lambda kind, change: element(kind, code=0, side=0, stick_radius=3) | change,
    st.sampled_from([0, 1, 2, 5, 6, 7, 8]),
    st.dictionaries(fields, values, max_size=2),
)


@settings(max_examples=150)
@given(st.lists(st.one_of(elements, near, leaves), max_size=4))
def test_any_json_is_read_or_refused_in_one_sentence(content):
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "pad", content)
        said = ""
        try:
            skins = input_overlay.read(path)
        except NitrogenError as error:
            skins, said = [], str(error)
    assert said or skins
    assert all(isinstance(skin, Skin) for skin in skins)
    assert "\n" not in said
    assert len(said) < 1000
