"""The live view on a terminal, plain lines elsewhere, and a terminal left as it was."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from rich.console import Console

from nitrogen_jax.training import live
from nitrogen_jax.training.live import LiveView, PlainView, Status

VALUES = {
    "loss": 0.51234,
    "grad_norm": 1.5,
    "rate": 1e-4,
    "samples_per_s": 612.3,
    "step_ms": 52.2,
    "data_wait": 0.012,
    "mfu": 0.471,
    "device_memory_mib": 20480.0,
    "device_limit_mib": 81920.0,
    "host_memory_mib": 1024.0,
    "skipped": 2,
}
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor


def status(**changes) -> Status:
    given = {"steps": 1000, "step": 250, "values": VALUES, "smooth_loss": 0.6}
    return Status(**given | changes)


def console(terminal: bool, width: int = 120) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=width, color_system=None, soft_wrap=True
    )


def drawn(shown: Status, width: int = 120) -> str:
    screen = console(False, width)
    screen.print(live.drawing(shown))
    return screen.file.getvalue()


def test_all_that_is_asked_of_the_view():
    text = drawn(status(validation=(200, "f1 0.9"), checkpoint=240, phase="saving", pace=2.0))
    for part in (
        "step 250/1,000",
        "25.0%",
        "0.5123",
        "0.6",
        "1.5",
        "0.0001",
        "612.3",
        "1.2%",
        "47.1%",
        "20.0 GiB of 80",
        "f1 0.9 (step 200)",
        "step 240",
        "saving",
    ):
        assert part in text
    assert "ETA" in text


def test_the_same_on_one_line():
    line = live.one_line(status(validation=(200, "f1 0.9"), checkpoint=240))
    assert "\n" not in line
    for part in ("step 250/1000 (25.0%)", "loss 0.5123", "MFU 47.1%", "f1 0.9 (step 200)"):
        assert part in line


def test_what_nobody_knows():
    line = live.one_line(Status(steps=0))
    assert line == "step 0/0 (100%), ETA -"
    assert "loss" in drawn(Status(steps=10))
    host = {name: value for name, value in VALUES.items() if "device" not in name}
    assert "host memory 1.0 GiB" in live.one_line(status(values=host))


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_any_width(width):
    shown = drawn(status(validation=(1, "x" * 500)), width)
    assert max(map(len, shown.splitlines())) <= width


def test_eta():
    assert live.eta(status(pace=2.0)) == "0:25:00"  # 750 steps
    assert live.eta(status(step=1000, pace=2.0)) == "0:00:00"
    assert live.eta(status()) == "-"


NAMES = ["[red]x[/red]", "[/]", "[/nothing]", ":smile:", "\\[a]"]


@pytest.mark.parametrize("text", NAMES)
def test_brackets_are_no_markup(text):
    assert text in drawn(status(validation=(1, text), phase=text))
    for make in (lambda s, c: PlainView(s, c, 0), LiveView):
        screen = console(True)
        view = make(status(), screen)
        view.note(text)
        view.close()
        assert text.replace(":smile:", "") in screen.file.getvalue()


def test_plain_lines_come_every_so_many_seconds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    screen, shown = console(False), Status(steps=1000)
    view = PlainView(shown, screen, every=30)
    for step in range(1, 101):
        now[0] += 1.0
        shown.step, shown.values = step, {"loss": step / 8}
        view.update()
    view.close()
    view.close()
    lines = screen.file.getvalue().splitlines()
    assert [line.split()[3] for line in lines] == [
        "1/1000",
        "31/1000",
        "61/1000",
        "91/1000",
        "100/1000",
    ]
    assert "\x1b" not in screen.file.getvalue()


def test_a_view_for_each_kind_of_stderr(monkeypatch):
    for terminal, kind in ((True, LiveView), (False, PlainView)):
        monkeypatch.setattr(live.terminal, "console", lambda terminal=terminal: console(terminal))
        monkeypatch.setenv("TERM", "xterm")
        view = live.open_view(status())
        view.close()
        assert type(view) is kind
    monkeypatch.setattr(live.terminal, "console", lambda: console(True))
    monkeypatch.setenv("TERM", "dumb")
    assert type(live.open_view(status())) is PlainView


def test_a_reader_that_went_away_stops_nothing():
    screen = console(False)
    view = PlainView(status(), screen, 0)
    screen.file.close()
    view.note("x")
    view.close()


def test_the_terminal_is_left_as_it_was(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        screen = console(True)
        view = LiveView(status(), screen)
        assert HIDE in screen.file.getvalue()
        assert sys.stderr is not stream
        logging.getLogger("x").warning("careful [b]")
        view.close()
        view.close()
    finally:
        logging.getLogger().removeHandler(handler)
    assert sys.stderr is stream
    assert handler.stream is stream
    text = screen.file.getvalue()
    assert "careful [b]" in text  # above the view and not across it
    assert text.rindex(SHOW) > text.rindex(HIDE)


DIES = """
import sys
from rich.console import Console
from nitrogen_jax import terminal
from nitrogen_jax.training import live
terminal.console = lambda: Console(file=sys.stderr, force_terminal=True)
view = live.open_view(live.Status(steps=10))
raise KeyboardInterrupt
"""


def test_the_cursor_comes_back_where_nobody_closes(run_python):
    ended = run_python("-c", DIES, TERM="xterm")
    assert ended.returncode != 0
    assert HIDE in ended.stderr
    assert ended.stderr.rindex(SHOW) > ended.stderr.rindex(HIDE)
