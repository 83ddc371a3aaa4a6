"""Baking: skins of web pages in a real browser, and what needs none of it."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling.skins import browser, skin_file
from nitrogen_jax.labeling.skins.bake import bake, grows
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region
from nitrogen_jax.labeling.skins.skin import States

no_browser = pytest.mark.skipif(
    importlib.util.find_spec("websocket") is None or browser.find_browser() is None,
    reason="bake needs websocket-client and Chromium, which are not installed",
)

# A style sheet for GamepadViewer. What it imports from elsewhere must not be asked for.
SHEET = """\
@import url(http://127.0.0.1:PORT/import.css);
.controller.custom { position: absolute; width: 200px; height: 100px; background: rgb(40, 40, 40);
  transform: translate(-50%, -50%) }
.custom .bumper { position: absolute; top: 4px; width: 30px; height: 10px; background: gray }
.custom .bumper.left { left: 10px } .custom .bumper.right { right: 10px }
.custom .bumper.pressed { background: red }
.custom .trigger { position: absolute; top: -14px; width: 30px; height: 10px; background: white }
.custom .trigger.left { left: 10px } .custom .trigger.right { right: 10px }
.custom .button { position: absolute; width: 20px; height: 20px; background: rgb(0, 0, 90);
  transition: all 3s }
.custom .button.pressed { background: url(pressed.svg); box-shadow: 0 0 8px white }
.custom .a { left: 150px; top: 60px } .custom .b { left: 170px; top: 40px }
.custom .x, .custom .y { display: none }
.custom .stick { position: absolute; top: 60px; width: 24px; height: 24px; background: gray;
  border-radius: 12px }
.custom .stick.left { left: 40px } .custom .stick.right { left: 100px }
.custom .stick.left.pressed { background: rgb(0, 200, 200) }
.custom .face { position: absolute; left: 10px; top: 30px; width: 30px; height: 30px; opacity: 0 }
.custom .face.up { background: linear-gradient(red 30%, transparent 30%) }
.custom .face.right { background: linear-gradient(270deg, lime 30%, transparent 30%) }
.custom .face.pressed { opacity: 1 }
.custom .fstick { position: absolute; left: 140px; top: 5px; width: 16px; height: 16px;
  background: orange }
.custom .fstick.up { top: 1px } .custom .fstick.left { left: 136px; background: black }
.touchpad { position: absolute; visibility: hidden; width: 20px; height: 20px; background: red }
"""
GREEN = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">'
    '<rect width="20" height="20" fill="rgb(0,255,0)"/></svg>'
)

# A theme of Open Joystick Display: drawings, bars that grow to two sides, something above a stick.
THEME_HTML = """\
<div class="all"><div ojd-svg="%DIRECTORY%/images/pad.svg"></div>
<div class="well"><div ojd-directional="0" class="stick"></div></div>
<div class="lid gone"></div>
<div class="slot"><div ojd-trigger="0" ojd-trigger-scale="0" class="bar up"></div></div>
<div class="slot other"><div ojd-trigger="1" ojd-trigger-scale="1" class="bar down"></div></div>
<div ojd-button="RUN" class="run"></div><div ojd-button="START" class="same"></div>
<script>document.body.textContent = ""</script>
<img src="http://127.0.0.1:PORT/picture.png" onerror="document.body.textContent = ''"></div>
"""
THEME_CSS = """\
.all { position: absolute; left: 30px; top: 20px; width: 200px; height: 100px;
  background: rgb(60, 60, 60) }
.all * { position: absolute }
.well { left: 50px; top: 50px; width: 20px; height: 30px }
.stick { width: 30px; height: 30px; margin: -15px 0 0 -15px; background: rgb(200, 200, 0) }
.lid { left: 55px; top: 60px; width: 8px; height: 8px; background: blue }
.slot { left: 10px; top: 10px; width: 10px; height: 40px } .slot.other { left: 180px }
.bar { width: 100%; background: lime } .bar.up { bottom: 0 } .bar.down { top: 0 }
.run { left: 100px; top: 80px; width: 9px; height: 9px; background: white }
.same { left: 120px; top: 80px; width: 9px; height: 9px; background: white }
img { display: none } .gone { background-image: url(gone.png) }
.key { fill: rgb(90, 0, 0) } .key.active { fill: rgb(255, 160, 0) }
"""
THEME_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100">
<circle class="key" ojd-button="A" cx="150" cy="30" r="10"/>
<script>document.body.textContent = ""</script></svg>
"""


# A script that tries every way out.
CURIOUS = """
for (const ask of [
  () => fetch('http://127.0.0.1:PORT/fetch'),
  () => new WebSocket('ws://127.0.0.1:PORT/socket'),
  () => new EventSource('http://127.0.0.1:PORT/events'),
  () => { new Image().src = 'http://127.0.0.1:PORT/image' },
  () => window.open('http://127.0.0.1:PORT/window'),
  () => navigator.sendBeacon('http://127.0.0.1:PORT/beacon'),
  () => { document.body.append(Object.assign(document.createElement('iframe'),
    {src: 'http://127.0.0.1:PORT/frame'})) },
]) try { Promise.resolve(ask()).catch(() => 0) } catch (error) {}
"""


@pytest.fixture(scope="module")
def listener():
    """A server that nobody may ask anything: (port, paths that were asked for)."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/test")
    assert asked == ["/test"]
    asked.clear()
    yield server.server_port, asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def sheet(tmp_path_factory, listener):
    """A baked style sheet."""
    folder = tmp_path_factory.mktemp("ds4")
    (folder / "pad.css").write_text(SHEET.replace("PORT", str(listener[0])))
    (folder / "pressed.svg").write_text(GREEN)
    return bake(folder)


@pytest.fixture(scope="module")
def theme(tmp_path_factory, listener):
    """A baked theme, twice as large."""
    folder = tmp_path_factory.mktemp("theme")
    (folder / "images").mkdir()
    files = {"theme.html": THEME_HTML, "theme.css": THEME_CSS, "images/pad.svg": THEME_SVG}
    for name, text in files.items():
        (folder / name).write_text(text.replace("PORT", str(listener[0])))
    (folder / "theme.json").write_text(json.dumps({"id": "theme"}))
    return bake(folder, scale=2.0)


def named(skin):
    return {one.name: one for one in skin.elements}


def pixel(skin, x, y, *pressed, left=(0, 0), triggers=(0, 0)):
    """The colour at a place of a skin's picture."""
    state = States.idle()
    state.buttons[0, [BUTTON_INDEX[name] for name in pressed]] = True
    state.left[0], state.triggers[0] = left, triggers
    painter = Painter(skin, Placement(1, 0, 0), Region(0, 0, *skin.size))
    return tuple(int(v) for v in np.rint(next(iter(painter.states(state)))[y, x]))


@no_browser
def test_a_style_sheet_becomes_elements(sheet):
    assert sheet.size[0] == 200
    assert set(sheet.buttons) == {
        *("SOUTH", "EAST", "LEFT_SHOULDER", "RIGHT_SHOULDER", "LEFT_THUMB"),
        *("LEFT_TRIGGER", "RIGHT_TRIGGER"),
        *("DPAD_UP", "DPAD_RIGHT", "DPAD_DOWN", "DPAD_LEFT"),
    }
    assert sheet.sides == ("left", "right")
    assert sheet.controller == "ps4"


@no_browser
def test_positions_and_travel_are_read_off_the_pictures(sheet):
    # The body's top left corner is at (0, top): triggers, and sticks that go far, lie beyond it.
    elements = named(sheet)
    body = next(one for one in sheet.elements if one.kind == "texture")
    x, y = body.position
    assert elements["left_stick"].position == (x + 40, y + 60)
    assert elements["left_stick"].travel == pytest.approx((25, 25), abs=0.1)
    assert elements["left_stick"].size == (24, 24)
    assert elements["LEFT_SHOULDER"].position == (x + 10, y + 4)
    # Its glow needs room.
    glow = elements["SOUTH"]
    assert glow.size[0] > 30
    assert glow.extent[0] + glow.extent[2] == pytest.approx(2 * (x + 160), abs=2)


@no_browser
def test_pressed_looks_are_shown(sheet):
    x, y = (int(v) for v in named(sheet)["left_stick"].position)
    x, y = x - 40, y - 60
    assert pixel(sheet, x + 160, y + 70) == (0, 0, 90, 255)
    assert pixel(sheet, x + 160, y + 70, "SOUTH") == (0, 255, 0, 255)
    assert pixel(sheet, x + 20, y + 8, "LEFT_SHOULDER") == (255, 0, 0, 255)
    assert pixel(sheet, x + 52, y + 72, "LEFT_THUMB") == (0, 200, 200, 255)
    assert pixel(sheet, x + 52 + 25, y + 72, left=(1, 0)) == (128, 128, 128, 255)
    assert pixel(sheet, x + 20, y - 10, triggers=(1, 0)) == (255, 255, 255, 255)
    assert pixel(sheet, x + 20, y - 10)[3] == 0


@no_browser
def test_sprites_of_a_dpad_may_lie_on_each_other(sheet):
    x, y = (int(v) for v in named(sheet)["left_stick"].position)
    x, y = x - 40, y - 60
    both = ("DPAD_UP", "DPAD_RIGHT")
    assert pixel(sheet, x + 15, y + 34, *both) == (255, 0, 0, 255)
    assert pixel(sheet, x + 36, y + 50, *both) == (0, 255, 0, 255)
    assert pixel(sheet, x + 15, y + 34, "DPAD_RIGHT") == (40, 40, 40, 255)


@no_browser
def test_the_sprites_show_what_the_page_shows(sheet, theme):
    for skin in (sheet, theme):
        assert not [note for note in skin.unread if "differ" in note]


@no_browser
def test_what_is_not_understood_is_said(sheet, theme):
    assert any(note.startswith("LEFT_TRIGGER: how far") for note in sheet.unread)
    assert any(note.startswith("RUN: this button is not known") for note in theme.unread)
    assert any(note.startswith("START: it looks the same pressed") for note in theme.unread)


@no_browser
def test_the_page_reaches_nothing_but_its_folder(sheet, theme, listener):
    assert listener[1] == []
    assert not any("refused" in note for note in sheet.unread)
    assert any("refused: /gone.png" in note for note in theme.unread)


@no_browser
def test_a_theme_becomes_elements_and_its_scripts_do_not_run(theme):
    assert theme.size == (400, 200)
    # A click of its stick cannot be seen.
    assert set(theme.buttons) == {"SOUTH", "LEFT_TRIGGER", "RIGHT_TRIGGER"}
    assert pixel(theme, 300, 60) == (90, 0, 0, 255)
    assert pixel(theme, 300, 60, "SOUTH") == (255, 160, 0, 255)


@no_browser
def test_a_stick_may_travel_differently_in_x_and_y(theme):
    assert named(theme)["left_stick"].travel == pytest.approx((20, 30), abs=0.1)


@no_browser
def test_what_lies_above_a_stick_stays_above(theme):
    assert pixel(theme, 118, 128) == (0, 0, 255, 255)
    assert pixel(theme, 118, 128, left=(0.3, 0.1)) == (0, 0, 255, 255)


@no_browser
def test_bars_grow_as_on_the_page(theme):
    elements = named(theme)
    assert [elements[f"{side}_TRIGGER"].bar for side in ("LEFT", "RIGHT")] == [True, True]
    assert elements["LEFT_TRIGGER"].direction == "up"
    assert elements["RIGHT_TRIGGER"].direction == "down"
    assert pixel(theme, 30, 90, triggers=(0.5, 0)) == (0, 255, 0, 255)
    assert pixel(theme, 30, 30, triggers=(0.5, 0)) == (60, 60, 60, 255)


@no_browser
def test_the_settings_of_the_site_are_obeyed(tmp_path):
    (tmp_path / "pad.css").write_text(
        ".custom .stick.left { position: absolute; width: 20px; height: 20px; background: gray }"
        ".custom .trigger.right { position: absolute; left: 60px; width: 20px; height: 40px;"
        " background: red }"
    )
    elements = named(bake(tmp_path, stick_pixels=12, meter=True))
    assert elements["left_stick"].travel == pytest.approx((12, 12), abs=0.1)
    assert elements["RIGHT_TRIGGER"].bar
    assert elements["RIGHT_TRIGGER"].direction == "up"


@no_browser
def test_the_stick_of_an_arcade_controller_is_a_dpad(sheet):
    one = named(sheet)["dpad"]
    assert one.kind == "dpad"
    x, y = (int(v) for v in named(sheet)["left_stick"].position)
    x, y = x - 40 + 137, y - 60 + 2
    assert pixel(sheet, x, y)[:3] == (40, 40, 40)
    assert pixel(sheet, x, y, "DPAD_LEFT", "DPAD_UP")[:3] == (0, 0, 0)
    assert pixel(sheet, x + 10, y, "DPAD_UP")[:3] == (255, 165, 0)


@no_browser
def test_a_baked_skin_can_be_kept(sheet, tmp_path):
    path = skin_file.write(sheet, tmp_path / "skin")
    assert skin_file.read(path / "skin.json").geometry == sheet.geometry


@no_browser
def test_numbered_elements_of_a_page_and_scripts_if_they_are_wanted(tmp_path, listener):
    (tmp_path / "page.html").write_text(
        "<style>span { position: absolute; width: 20px; height: 20px; background: gray }"
        "[data-pressed=true] { background: red }</style>"
        '<span data-button="0"></span><span data-button="11" data-axis-x="2" data-axis-y="3" '
        'style="left: 60px; top: 60px"></span><script>'
        + CURIOUS.replace("PORT", str(listener[0]))
        + 'document.querySelector("span").style.left = "40px"</script>'
    )
    skin = bake(tmp_path / "page.html", scripts=True)
    assert listener[1] == []
    elements = named(skin)
    assert {"SOUTH", "right_stick"} <= set(elements)
    assert elements["right_stick"].side == "right"
    assert elements["SOUTH"].position[0] == elements["right_stick"].position[0] - 20


@no_browser
@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("<p>hello</p>", "none of its elements shows a button"),
        ('<b data-button="0"></b>', "its page is empty in every state"),
        ('<b data-button="0">A</b>', "nothing in its picture changes"),
    ],
)
def test_pages_that_show_no_pad_are_refused(tmp_path, page, words):
    (tmp_path / "page.html").write_text(page)
    with pytest.raises(NitrogenError, match=words):
        bake(tmp_path / "page.html")


def living(group) -> list[str]:
    """Processes of a group that have not ended; those that nobody has waited for have."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(stat.parent.name)
    return found


@no_browser
def test_the_browser_and_its_profile_are_gone_afterwards(tmp_path, monkeypatch):
    pids, profiles = [], []
    real = browser.subprocess.Popen

    def start(*arguments, **options):
        process = real(*arguments, **options)
        pids.append(process.pid)
        profiles.append(Path(options["env"]["TMPDIR"]))
        return process

    monkeypatch.setattr(browser.subprocess, "Popen", start)
    with browser.browse(tmp_path, "<p>") as page:
        page.open(100, 100)
        assert page.shot().shape == (100, 100, 4)
        assert living(pids[0])
        assert any(profiles[0].iterdir())
        with pytest.raises(NitrogenError, match="the page failed: Error: no"):
            page.evaluate("(() => { throw new Error('no') })()")
        with pytest.raises(NitrogenError, match=r"the browser refused No\.such"):
            page.call("No.such")
    assert living(pids[0]) == []
    assert not profiles[0].exists()


@no_browser
def test_a_long_path_of_temporary_files_does_not_matter(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with browser.browse(tmp_path, "<p>") as page:
        page.open(10, 10)


def test_a_missing_browser_is_said(tmp_path, monkeypatch):
    pytest.importorskip("websocket", reason="bake needs websocket-client, which is not installed")
    (tmp_path / "pad.css").write_text(".custom {}")
    monkeypatch.setattr(browser, "NAMES", ("no-such-browser",))
    with pytest.raises(NitrogenError, match="no browser is found as no-such-browser: install"):
        bake(tmp_path)
    with pytest.raises(NitrogenError, match="no browser is found as /nowhere/chromium"):
        bake(tmp_path, browser="/nowhere/chromium")


def test_a_browser_that_does_not_start_is_said(tmp_path):
    pytest.importorskip("websocket", reason="bake needs websocket-client, which is not installed")
    (tmp_path / "pad.css").write_text(".custom {}")
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    fake.chmod(0o755)
    with pytest.raises(NitrogenError, match=r"fake does not start: it is broken"):
        bake(tmp_path / "pad.css", browser=str(fake))


def test_a_missing_client_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "websocket", None)
    (tmp_path / "pad.css").write_text(".custom {}")
    with pytest.raises(NitrogenError, match=r"pip install 'nitrogen_jax\[bake\]'"):
        bake(tmp_path)


@pytest.mark.parametrize("scale", [0, -1, 9, float("nan")])
def test_impossible_scales_are_refused(tmp_path, scale):
    with pytest.raises(NitrogenError, match="the scale is"):
        bake(tmp_path, scale=scale)
    with pytest.raises(NitrogenError, match="a stick moves by"):
        bake(tmp_path, stick_pixels=scale if scale != 9 else 501)


@pytest.mark.parametrize(
    ("part", "way"),
    [
        (np.s_[20:, :], "up"),
        (np.s_[:20, :], "down"),
        (np.s_[:, 15:], "left"),
        (np.s_[:, :15], "right"),
        (np.s_[10:30, :], None),
        (np.s_[:20, :15], None),
        (np.s_[:2, :], None),
        (np.s_[:0, :], None),
        (np.s_[:, :], None),
    ],
)
def test_to_which_side_a_bar_grows(part, way):
    full, half = np.zeros((60, 50), bool), np.zeros((60, 50), bool)
    full[10:50, 10:40] = True
    half[10:50, 10:40][part] = True
    assert grows(half, full) == way
