"""`nitrogen label bake-skin`: what it writes and says."""

from __future__ import annotations

import importlib.util

import pytest

from nitrogen_jax import cli
from nitrogen_jax.labeling.skins import browser, skin_file
from nitrogen_jax.labeling.skins.skin import Skin

no_browser = pytest.mark.skipif(
    importlib.util.find_spec("websocket") is None or browser.find_browser() is None,
    reason="bake needs websocket-client and Chromium, which are not installed",
)

PAGE = """\
<style>span { position: absolute; width: 20px; height: 20px; background: gray }
[data-pressed=true] { background: red }</style>
<span data-button="1"></span>
<span data-button="10" data-axis-x="0" data-axis-y="1" style="left: 60px; top: 60px"></span>"""


@pytest.fixture
def bake_skin(capsys):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["label", "bake-skin", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def page(tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    return tmp_path / "page.html"


@no_browser
def test_a_page_becomes_a_folder(bake_skin, page, tmp_path):
    out = tmp_path / "baked"
    code, said, err = bake_skin(page, "--out", out, "--name", "mine", "--scale", "2")
    assert (code, err) == (0, "")
    assert "2 buttons, 1 sticks" in said
    skin = skin_file.read(out / skin_file.NAME)
    assert skin.name == "mine"
    assert skin.buttons == ("EAST", "LEFT_THUMB")
    stick = next(one for one in skin.elements if one.kind == "stick")
    assert stick.travel == pytest.approx((50, 50), abs=0.1)


def test_a_skin_is_replaced_by_another(bake_skin, page, tmp_path, monkeypatch):
    baked = Skin("one", (9, 9), (), unread=("something: is odd",))
    monkeypatch.setattr("nitrogen_jax.labeling.skins.bake.bake", lambda *_, **__: baked)
    for name in ("one", "two"):
        code, said, _ = bake_skin(page, "--out", tmp_path / "baked", "--name", name)
        assert code == 0
        assert "something: is odd" in said
        assert skin_file.read(tmp_path / "baked" / skin_file.NAME).name == name


def test_other_files_are_never_replaced(bake_skin, page, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    code, _, err = bake_skin(page, "--out", tmp_path / "home")
    assert code == 2
    assert "it holds other files" in err
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("name", "out", "words"),
    [
        ("nowhere.html", "x", "nowhere.html does not exist"),
        ("page.html", "no/x", "the folder no does not exist"),
        ("page.html", "page.html", "it is a file"),
    ],
)
def test_impossible_paths_are_refused(bake_skin, page, monkeypatch, name, out, words):
    monkeypatch.chdir(page.parent)
    code, _, err = bake_skin(name, "--out", out)
    assert code == 2
    assert words in err


def test_a_missing_browser_is_said(bake_skin, page, tmp_path):
    pytest.importorskip("websocket", reason="bake needs websocket-client, which is not installed")
    code, _, err = bake_skin(page, "--out", tmp_path / "x", "--browser", "/nowhere/chromium")
    assert code == 2
    assert "no browser is found as /nowhere/chromium" in err
    assert not (tmp_path / "x").exists()
