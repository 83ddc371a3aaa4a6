"""Whatever a program or its controller does, the session says so, and nothing is left behind."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from nitrogen_jax.sim import watch
from nitrogen_jax.sim.errors import (
    BootTimeout,
    GameExited,
    LaunchError,
    SessionError,
    StepTimeout,
)
from nitrogen_jax.sim.session import Session

_spec = importlib.util.spec_from_file_location("compiled", Path(__file__).with_name("compiled.py"))
compiled = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compiled)

launch, numbers = compiled.launch, compiled.numbers


def children() -> set[int]:
    """All processes below this one, and orphans do not count."""
    below, waiting = set(), [os.getpid()]
    while waiting:
        parent = waiting.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found = set(map(int, task.read_text().split())) - below
                below |= found
                waiting += found
    return below


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def homes() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("nitrogen-sim-*"))


def left_in_memory(before: frozenset[str]) -> frozenset[str]:
    """Names of shared memory that are new, and that nobody who works beside these tests uses."""
    return watch.forsaken(watch.held().memory - before)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def await_end(pids, seconds=60) -> list[int]:
    """Those that are still there after a long while."""
    until = time.monotonic() + seconds
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < until:
        time.sleep(0.02)
    return left


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(autouse=True)
def nothing_is_left(own_temporary_folder):
    before, memory = children(), watch.held().memory
    yield
    assert children() == before
    assert not homes()
    assert not left_in_memory(memory)


@pytest.mark.parametrize(
    ("words", "code"), [(["exit=4"], 0), (["exit=4", "code=7"], 7), (["abort=4"], -signal.SIGABRT)]
)
def test_a_game_that_ends_says_how(words, code):
    with Session(launch("sdl2", *words)) as session:
        session.step(2)
        with pytest.raises(GameExited, match="sdl2") as caught:
            session.step(5)
        assert caught.value.code == session.exit_code == code
        assert session.frames == 2
        assert session.frame().shape == (48, 64, 3)  # the last one can still be looked at
        with pytest.raises(GameExited):
            session.step()


def test_a_game_that_ends_before_its_first_frame(tmp_path):
    with pytest.raises(GameExited, match=r"exit code 9 before its first frame.*no SDL: ") as caught:
        Session(launch(env={"SDL_VIDEODRIVER": "no-such"}))
    assert caught.value.code == 9


@pytest.mark.parametrize("words", [["hang=3"], ["spin=3"]])
def test_a_game_that_hangs(words):
    with Session(launch("sdl2", *words, step_timeout=0.5)) as session:
        session.step()
        with pytest.raises(StepTimeout, match="0 of 1 frames"):
            session.step()
        with pytest.raises(StepTimeout):
            session.step()


def test_a_program_that_presents_nothing():
    with pytest.raises(BootTimeout, match="no frame in 1 s"):
        Session(launch("sdl2", "spin=1", boot_timeout=1))


@pytest.mark.parametrize("words", [["fork"], ["fork", "fork-stay"]])
def test_a_game_that_draws_in_a_child(words):
    with Session(launch("sdl2", *words)) as session:
        session.step(5)
        assert numbers(session)["frame"] == 6
        assert session.game_pid != session.pid
        pids = session.game_pid, session.pid
    assert not await_end(pids)


def test_the_death_of_a_child_that_draws():
    with Session(launch("sdl2", "fork", "exit=4", "code=3")) as session:
        session.step(2)
        with pytest.raises(GameExited):
            session.step(5)


def test_children_that_left_the_group_are_ended(tmp_path):
    told = tmp_path / "pid"
    script = tmp_path / "game.sh"
    game = compiled.program("sdl2")
    script.write_text(
        f"#!/bin/sh\nsetsid sh -c 'echo $$ >{told}; while :; do sleep 1000; done' &\nexec {game}\n"
    )
    script.chmod(0o755)
    description = launch()
    with Session(type(description)((str(script),), display="dummy")) as session:
        session.step(3)
        assert numbers(session)["frame"] == 4
        while not told.exists() or not told.read_text():
            time.sleep(0.01)
        pid = int(told.read_text())
        assert lives(pid)
    assert not await_end([pid])


CONTROLLER = """
import json, sys, time
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.session import Session
sessions = [Session(Launch((sys.argv[1], "sleeper"), display=d)) for d in sys.argv[2:]]
for session in sessions:
    session.step(3)
servers = [s._display.server.pid for s in sessions if s._display.server]
names = [s._display.name for s in sessions if s._display.name]
told = {"pids": [s.pid for s in sessions], "homes": [str(s.home) for s in sessions]}
print(json.dumps({**told, "servers": servers, "names": names}), flush=True)
END
"""


@pytest.mark.parametrize(
    "end",
    ["time.sleep(600)", "raise SystemExit(3)", "import os; os._exit(0)", "sessions.clear()"],
)
def test_nothing_outlives_the_controller(end, tmp_path):
    displays = ["dummy"]
    if compiled.shutil.which("Xvfb"):
        displays.append("xvfb")
    code = CONTROLLER.replace("END", end)
    words = [sys.executable, "-c", code, str(compiled.program("sdl2")), *displays]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    memory = watch.held().memory
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as controller:
        told = json.loads(controller.stdout.readline())
        if "sleep" in end:
            assert all(lives(pid) for pid in told["pids"])
            controller.kill()
        controller.wait()
    assert not await_end(told["pids"] + told["servers"])
    until = time.monotonic() + 30
    while any(map(os.path.exists, told["homes"])) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(map(os.path.exists, told["homes"]))
    for name in told["names"]:
        assert not Path(f"/tmp/.X{name[1:]}-lock").exists()
        assert not Path(f"/tmp/.X11-unix/X{name[1:]}").exists()
    assert not left_in_memory(memory)


def test_the_death_of_the_guard_is_the_programs_death():
    with Session(launch()) as session:
        session.step()
        os.kill(session._program._guard.pid, signal.SIGKILL)
        assert not await_end([session.pid])
        with pytest.raises(GameExited):
            session.step()


def test_files_with_large_numbers():
    many = []
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        many += [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        with Session(launch()) as session:
            session.step(2)
            assert session.exit_code is None
    finally:
        for file in many:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_50_sessions_leave_nothing():
    Session(launch()).close()  # what is loaded once
    files, memory = open_files(), watch.held().memory
    for _ in range(50):
        with Session(launch("sdl2", "sleeper")) as session:
            session.step(2)
            assert len(homes()) == 1
    assert open_files() == files
    assert not left_in_memory(memory)
    assert not homes()


def test_a_session_that_nobody_closes_ends_with_its_object():
    session = Session(launch())
    pid = session.pid
    del session
    assert not await_end([pid])


def test_a_session_outlives_the_thread_that_made_it():
    made = []
    thread = threading.Thread(target=lambda: made.append(Session(launch())))
    thread.start()
    thread.join()
    with made[0] as session:
        session.step(3)
        assert session.frames == 3


def test_a_closed_session_refuses():
    session = Session(launch())
    session.close()
    session.close()
    for call in (session.step, session.frame, lambda: session.time, lambda: session.stats):
        with pytest.raises(SessionError, match="closed"):
            call()


def test_a_forked_child_does_not_end_its_parents_session():
    with Session(launch()) as session:
        child = os.fork()
        if child == 0:
            session.close()
            os._exit(0)
        os.waitpid(child, 0)
        session.step(2)
        assert session.frames == 2


def test_wait_exit_lets_time_run():
    with Session(launch("sdl2", "delay=10", "exit=20", "code=5")) as session:
        assert session.wait_exit(60) == 5


# ---------------------------------------------------------------------------------------------
# What cannot be started


def copy_of(tmp_path, mode, name="sdl2", **options):
    path = tmp_path / "copy"
    path.write_bytes(compiled.program(name, **options).read_bytes())
    path.chmod(mode)
    return path


def refuse(match, command, **options):
    description = launch(**options)
    fields = {name: getattr(description, name) for name in description.__dataclass_fields__}
    with pytest.raises(LaunchError, match=match):
        Session(type(description)(**{**fields, "command": (str(command),)}))


def test_programs_that_are_not_there(tmp_path):
    refuse("not on PATH: is the game installed", "no-such-game")
    refuse("there is no program", tmp_path / "nothing")
    refuse("not executable", copy_of(tmp_path, 0o644))


@pytest.mark.parametrize(("mode", "name"), [(0o4755, "set-user-ID"), (0o2755, "set-group-ID")])
def test_programs_with_special_rights(tmp_path, mode, name):
    refuse(f"a {name} program.*run a copy", copy_of(tmp_path, mode))


def test_static_programs(tmp_path):
    refuse("linked statically.*shared libraries", copy_of(tmp_path, 0o755, "waits", static=True))


def test_programs_for_another_machine(tmp_path):
    path = copy_of(tmp_path, 0o755)
    head = bytearray(path.read_bytes())
    head[18:20] = (8).to_bytes(2, "little")  # MIPS
    path.write_bytes(head)
    refuse("another processor", path)
    head[4] = 1
    path.write_bytes(head)
    refuse("is a 32-bit program", path)


def test_a_script_without_its_interpreter(tmp_path):
    path = tmp_path / "game"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    refuse("cannot be executed: No such file", path)


def test_displays_that_are_not_there(monkeypatch, tmp_path):
    program = compiled.program("sdl2")
    refuse("no X server answers at display :4711", program, display=":4711")
    monkeypatch.setenv("CC", " ".join(compiled.build.find_compiler()))
    monkeypatch.setenv("PATH", str(tmp_path))
    refuse("apt install xvfb", program, display="xvfb")


def test_no_compiler(monkeypatch, tmp_path):
    program = compiled.program("sdl2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    refuse("no C compiler was found", program)


def test_no_memory():
    code = (
        "import resource, sys\n"
        "from nitrogen_jax.sim.launch import Launch\n"
        "from nitrogen_jax.sim.session import Session\n"
        "from nitrogen_jax.sim import build\n"
        "build.built()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        "Session(Launch((sys.argv[1],), display='dummy'))\n"
    )
    words = [sys.executable, "-c", code, str(compiled.program("sdl2"))]
    done = subprocess.run(words, capture_output=True, text=True)
    assert "MiB of shared memory" in done.stderr


def test_a_home_template_that_is_no_folder(tmp_path):
    refuse("is not a folder", compiled.program("sdl2"), home=tmp_path / "none")


def test_the_home_is_a_fresh_copy(tmp_path):
    template = tmp_path / "template"
    (template / "sub").mkdir(parents=True)
    (template / "sub/file").write_text("from the template")
    (template / "link").symlink_to(template / "sub/file")
    files = {".config/game/settings.ini": "sound=0\n", "link": "not through the link"}
    with Session(launch(home=template, home_files=files)) as session:
        assert (session.home / "sub/file").read_text() == "from the template"
        assert (session.home / ".config/game/settings.ini").read_text() == "sound=0\n"
        assert not (session.home / "link").is_symlink()
        (session.home / "sub/file").write_text("changed")
        assert Path(f"/proc/{session.pid}/environ").read_bytes().count(bytes(session.home)) >= 2
        home = session.home
    assert not home.exists()
    assert (template / "sub/file").read_text() == "from the template"
