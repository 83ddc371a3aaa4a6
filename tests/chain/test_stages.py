"""Stages with real commands: done once, made anew where asked for differently, killed, gone on."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from descendants import below, until

from nitrogen_jax.chain import stages, view
from nitrogen_jax.chain.stages import ROOM, Stage, StageFailed, Watch
from nitrogen_jax.errors import NitrogenError

pytestmark = pytest.mark.needs("av", "pyarrow")
DEMO = ("--videos", "1", "--seconds", "2", "--rate", "15", "--size", "160x160", "--games", "1")


def demo(name="demo", seed=0, **more) -> Stage:
    """A small made-up data set."""
    argv = ("data", "demo", f"{ROOM}/{name}", *DEMO, "--seed", str(seed))
    return Stage(name=name, title=f"makes {name}", argv=argv, out=name, goes_on=False, **more)


def inspect(**more) -> Stage:
    """A page about it."""
    argv = ("data", "inspect", f"{ROOM}/demo/labels", "--out", f"{ROOM}/page.html")
    return Stage(name="page", title="page", argv=argv, out="page.html", reads=("demo",), **more)


class Told(Watch):
    def __init__(self):
        self.ran, self.again, self.shares, self.notes = [], [], [], []

    def begin(self, stage, command, log):
        self.ran.append(stage.name)

    def share(self, stage, share):
        self.shares.append(share)

    def end(self, stage, done, again):
        if again:
            self.again.append(stage.name)

    def note(self, text):
        self.notes.append(text)


def ran(given, room, **more):
    told = Told()
    found = stages.run(given, room, told, **more)
    return found, told


def test_what_was_run_by_hand_is_gone_on_with(tmp_path):
    room = tmp_path / "room"
    ran([demo()], room)
    (room / "page.html").write_text("made by hand, half of it")
    found, told = ran([demo(), inspect()], room)
    assert told.ran == ["page"]
    assert found["page"].done
    assert told.notes == [f"page: {room}/page.html is there already, and is gone on with"]
    assert (room / "page.html").read_text().startswith("<!")


def test_what_is_done_is_not_done_again(tmp_path):
    room = tmp_path / "a room"
    found, told = ran([demo(), inspect()], room)
    assert told.ran == ["demo", "page"]
    assert told.shares
    assert (room / "page.html").exists()
    one = found["page"]
    assert one.done
    assert one.attempts == 1
    assert one.wall > 0
    assert one.cpu > 0
    assert one.command == (f"nitrogen data inspect '{room}/demo/labels' --out '{room}/page.html'")
    assert "wrote " in (room / "logs" / "page.txt").read_text()
    made = (room / "page.html").stat().st_mtime_ns
    again, told = ran([demo(), inspect()], room)
    assert again == found == stages.read(room)
    assert (told.ran, told.again) == ([], ["demo", "page"])
    assert (room / "page.html").stat().st_mtime_ns == made
    # The room may be moved.
    moved = room.rename(tmp_path / "moved")
    assert ran([demo(), inspect()], moved)[1].ran == []
    # What has disappeared is made again.
    (moved / "page.html").unlink()
    assert ran([demo(), inspect()], moved)[1].ran == ["page"]


def test_what_is_asked_for_differently_is_made_anew_with_all_that_reads_it(tmp_path):
    other = demo("other")
    ran([demo(), other, inspect()], tmp_path)
    (tmp_path / "demo" / "mine.txt").write_text("left over")
    found, told = ran([demo(seed=1), other, inspect()], tmp_path)
    assert (told.ran, told.again) == (["demo", "page"], ["other"])
    assert len(told.notes) == 2
    assert not (tmp_path / "demo" / "mine.txt").exists()
    assert found["demo"].attempts == 1


def test_files_that_decide_it(tmp_path):
    file = tmp_path / "config.py"
    file.write_text("one")
    room = tmp_path / "room"
    ran([demo(files=(file,))], room)
    assert ran([demo(files=(file,))], room)[1].ran == []
    file.write_text("two")
    assert ran([demo(files=(file,))], room)[1].ran == ["demo"]
    assert ran([demo(files=(file,), env={"A": "b"})], room)[1].ran == ["demo"]


def test_a_command_that_fails(tmp_path):
    bad = dataclasses.replace(inspect(), argv=("data", "inspect", f"{ROOM}/nothing"), reads=())
    with pytest.raises(StageFailed, match="stage page failed \\(exit code 2\\)") as raised:
        stages.run([bad], tmp_path)
    assert f"nitrogen data inspect {tmp_path}/nothing\n" in str(raised.value)
    assert "nothing" in str(raised.value).splitlines()[1]
    assert str(tmp_path / "logs" / "page.txt") in str(raised.value)
    assert not stages.read(tmp_path)["page"].done
    # A code that is as good as 0, but nothing is made.
    fine = dataclasses.replace(bad, codes=(0, 2))
    with pytest.raises(StageFailed, match="it made no"):
        stages.run([fine], tmp_path)
    assert stages.read(tmp_path)["page"].attempts == 2


def test_only_some_of_them(tmp_path):
    with pytest.raises(NitrogenError, match="page needs demo, which is not done"):
        stages.run([demo(), inspect()], tmp_path, only=["page"])
    assert ran([demo(), inspect()], tmp_path, only=["demo"])[1].ran == ["demo"]
    assert ran([demo(), inspect()], tmp_path, only=["page"])[1].ran == ["page"]


def test_what_others_made_is_left_alone(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("mine")
    with pytest.raises(NitrogenError, match="demo is there already"):
        stages.run([demo()], tmp_path)
    assert (tmp_path / "demo" / "mine.txt").read_text() == "mine"


def test_orders_that_cannot_be(tmp_path):
    with pytest.raises(NitrogenError, match="page reads demo, which does not come before"):
        stages.run([inspect(), demo()], tmp_path)
    with pytest.raises(NitrogenError, match="two stages called demo"):
        stages.run([demo(), demo()], tmp_path)
    ran([demo()], tmp_path)
    (tmp_path / "stages" / "demo.json").write_text("{")
    with pytest.raises(NitrogenError, match=r"demo\.json cannot be read"):
        stages.run([demo()], tmp_path)


# ---------------------------------------------------------------------------------------------
# Ends that nobody has planned. A program that runs two stages, the second of which is long.

SHORT = f"data demo {ROOM}/demo {' '.join(DEMO)}"
LONG = f"data demo {ROOM}/long --videos 40 --seconds 20 --rate 30 --size 320x240 --games 1"
PROGRAM = f"""\
import sys
from pathlib import Path
from nitrogen_jax.chain import stages, view

def stage(name, command):
    return stages.Stage(name=name, title=name, argv=tuple(command.split()), out=name)

both = [stage("demo", {SHORT!r}), stage("long", {LONG!r})]
try:
    with view.watching(both, "two") as watch:
        stages.run(both, Path(sys.argv[1]), watch)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def running(tmp_path):
    """The program while its second stage is at work: process, room, its descendants."""
    room = tmp_path / "room"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(room)], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            until(lambda: list(room.glob(".long.tmp-*/videos/*")) or process.poll() is not None)
            children = below(process.pid)
            assert children
            yield process, room, children
        finally:
            process.kill()


def gone(pids: set[int]) -> bool:
    def alive(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False

    return not any(map(alive, pids))


def test_killed(running):
    """Nothing is left, and the next run does the second stage alone, and at once."""
    process, room, children = running
    process.kill()
    process.wait()
    until(lambda: gone(children), 10)
    assert not stages.read(room)["long"].done
    short = Stage(name="demo", title="", argv=tuple(SHORT.split()), out="demo")
    assert ran([short], room)[1].again == ["demo"]


def test_interrupted(running):
    process, room, children = running
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130
    assert gone(children)
    assert not stages.read(room)["long"].done
    told = process.stderr.read()
    assert "[1/2] demo" in told
    assert "[2/2] long" in told
    assert f"nitrogen data demo {room}/long" in told


def test_one_run_at_a_time(running):
    _, room, _ = running
    with pytest.raises(NitrogenError, match="another run works in"):
        stages.run([demo()], room)


def test_what_is_killed_has_taken_its_time(tmp_path):
    """Attempts add up."""
    ran([demo()], tmp_path)
    path = tmp_path / "stages" / "demo.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"done": False, "wall": 1000.0}))
    found, told = ran([demo()], tmp_path)
    assert told.ran == ["demo"]
    assert found["demo"].wall > 1000
    assert found["demo"].attempts == 2


def test_the_time_that_is_left():
    one, two = demo("one", seconds=10.0), demo("two", seconds=30.0)
    clock = view.Clock([one, two])
    assert (clock.share(None, 0), clock.eta(None, 0, 0)) == (0, 40)
    assert clock.share(one, 0.5) == 0.125
    clock.done(one, 20.0)  # twice as slow as was thought
    assert clock.share(None, 0) == 0.25
    assert 30 < clock.eta(two, 0, 0) < 60
    # It does not grow while nobody knows how far a stage is.
    waited = [clock.eta(two, 0, wall) for wall in range(0, 300, 10)]
    assert waited == sorted(waited, reverse=True)
    assert waited[-1] > 0
    # Its own pace, once it is known.
    assert clock.eta(two, 0.5, 40) == pytest.approx(40)
    clock.done(two, None)
    assert (clock.share(None, 0), clock.eta(None, 0, 0)) == (1, 0)
    assert [view.clock(seconds) for seconds in (0, 65.4, 3723)] == ["0:00", "1:05", "1:02:03"]
