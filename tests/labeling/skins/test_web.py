"""Skins of web pages: which files make one, and what its elements mean."""

from __future__ import annotations

import json

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.skins import web
from nitrogen_jax.labeling.skins.browser import inside


def theme(folder, **more):
    """A theme of Open Joystick Display."""
    folder.mkdir(exist_ok=True)
    (folder / "theme.json").write_text(json.dumps({"id": folder.name} | more))
    (folder / "theme.html").write_text("<div ojd-button='A' src='%DIRECTORY%/a.png'>plain</div>")
    for name in ("theme.css", "theme-red.css", "theme-wide.css"):
        (folder / name).write_text("")
    (folder / "theme-wide.html").write_text("<div ojd-svg='%DIRECTORY%/i/p.svg'>wide</div>")
    return folder


STYLES = [
    {"id": "red", "name": "Red"},
    {"id": "w", "file": "theme-wide.html", "mastercss": "theme-wide.css"},
]


def test_a_style_sheet_gets_the_document_of_its_site(tmp_path):
    (tmp_path / "my pad.css").write_text(".custom .stick { top: 0 }")
    source = web.open_source(tmp_path / "my pad.css")
    assert (source.name, source.family, source.folder) == ("my pad", "classes", tmp_path)
    assert 'class="controller custom active"' in source.html
    assert 'href="my pad.css"' in source.html
    assert web.open_source(tmp_path) == source


def test_a_style_sheet_for_a_console_of_the_site(tmp_path):
    (tmp_path / "x.css").write_text(".ds4.white .stick { top: 0 } .ps4 {}")
    assert 'class="controller ds4 active"' in web.open_source(tmp_path / "x.css").html


def test_a_theme_and_its_styles(tmp_path):
    folder = theme(tmp_path / "pad", styles=STYLES)
    plain = web.open_source(folder)
    assert (plain.name, plain.family) == ("pad", "attributes")
    assert "src='./a.png'" in plain.html
    assert "theme.css" in plain.html
    assert "theme-red.css" not in plain.html
    red = web.open_source(folder, "red")
    assert red.name == "pad-red"
    assert red.html.index("theme.css") < red.html.index("theme-red.css")
    wide = web.open_source(folder, "w")
    assert "wide</div>" in wide.html
    assert "theme-wide.css" in wide.html
    assert '"theme.css"' not in wide.html
    assert wide.vectors == ("./i/p.svg",)


def test_a_style_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    folder = theme(tmp_path / "pad", styles=STYLES)
    with pytest.raises(NitrogenError, match=r"no style 'blue'; its styles: red, w"):
        web.open_source(folder, "blue")


@pytest.mark.parametrize("styles", [None, 3, ["x"], [{}], {"id": "x"}])
def test_odd_styles_do_not_matter(tmp_path, styles):
    assert web.open_source(theme(tmp_path / "pad", styles=styles)).name == "pad"


def test_a_theme_never_names_a_file_outside_of_its_folder(tmp_path):
    (tmp_path / "secret.css").write_text("")
    folder = theme(tmp_path / "pad", styles=[{"id": "s", "mastercss": "../secret.css"}])
    assert "secret" not in web.open_source(folder, "s").html


def test_a_page_of_its_own(tmp_path):
    page = tmp_path / "index.html"
    page.write_text("<span data-button='0'></span>")
    assert web.open_source(page).family == "data"
    page.write_text("<span class='button a'></span>")
    assert web.open_source(tmp_path).family == "classes"


def test_a_folder_that_does_not_say_which_is_refused(tmp_path):
    for name in ("one.css", "two.css"):
        (tmp_path / name).write_text("")
    with pytest.raises(NitrogenError, match=r"several skins \(one.css, two.css\)"):
        web.open_source(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NitrogenError, match="no HTML or CSS file"):
        web.open_source(tmp_path / "empty")
    with pytest.raises(NitrogenError, match="does not exist"):
        web.open_source(tmp_path / "nowhere")


def test_every_rule_names_a_button_or_a_side(tmp_path):
    for family in ("classes", "attributes", "data"):
        rules, unread = web.rules(web.Source("s", family, tmp_path, ""), ["A", "L2", "UP"])
        assert unread == []
        for rule in rules:
            known = {"button": BUTTON_INDEX, "dpad": ("dpad",)}.get(rule.kind, ("left", "right"))
            assert rule.target in known, rule
        assert {rule.kind for rule in rules} >= {"button", "stick", "trigger"}


def test_keywords_that_say_nothing_are_named(tmp_path):
    rules, unread = web.rules(
        web.Source("s", "attributes", tmp_path, ""), ["RUN", "CUP", 'a"b', "start"]
    )
    assert [sentence.split(":")[0] for sentence in unread] == ["CUP", "RUN", 'a"b']
    assert [rule.target for rule in rules if rule.kind == "button"] == ["START"]


@pytest.mark.parametrize(("name", "button"), [("xbox", "SOUTH"), ("nintendo-64", "EAST")])
def test_letters_lie_where_the_maker_puts_them(tmp_path, name, button):
    source = web.Source(name, "attributes", tmp_path / name, "")
    rules, _ = web.rules(source, ["A"])
    assert rules[-1].target == button


@pytest.mark.parametrize("name", ["../secret", "/../secret", "a/../../secret", "link", "a\0b", "."])
def test_no_name_leads_out_of_a_folder(tmp_path, name):
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "page"
    (folder / "a").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "a" / "fine").write_text("x")
    assert inside(folder, name) is None
    assert inside(folder, "/a/fine") == (folder / "a" / "fine").resolve()
