"""The doctor: each check on machines that are well and machines that are not."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from nitrogen_jax import cli, doctor
from nitrogen_jax.commands import doctor as command
from nitrogen_jax.doctor import libraries, machine
from nitrogen_jax.doctor.check import Check, probe, size


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH with nothing in it; `programs(name, script)` puts an executable there."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def add(name: str, script: str = "exit 0") -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return add


# --- probes


def test_probe_returns_the_last_line():
    assert probe("print('hello'); print('{\"a\": 1}')") == {"a": 1}


def test_probe_survives_what_it_runs():
    assert probe("raise ValueError('no device')")["error"] == "ValueError: no device"
    assert "signal 6" in probe("import os; os.abort()")["error"]
    assert "exit code 3" in probe("raise SystemExit(3)")["error"]


def test_probe_does_not_wait_for_what_hangs():
    begin = time.monotonic()
    assert "no answer within 0.5 s" in probe("import time; time.sleep(60)", 0.5)["error"]
    assert time.monotonic() - begin < 30


def test_probe_does_not_import_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "colorsys.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert probe("import colorsys; print('{}')") == {}


# --- libraries


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 10, 14), "fail"), ((3, 11, 0), "ok"), ((3, 13, 9), "ok"), ((3, 14, 0), "fail")],
)
def test_python_versions(version, status):
    check = libraries.check_python(version)
    assert check.status == status
    assert bool(check.remedy) == (status == "fail")


def test_an_installed_version_that_is_not_this_one(monkeypatch):
    monkeypatch.setattr(libraries, "version_of", lambda name: "0.0.1")
    check = libraries.check_package()
    assert check.status == "warn"
    assert "0.0.1" in check.detail


def test_base_libraries():
    assert libraries.check_base().status == "ok"
    check = libraries.check_base(["json", "library_of_nobody"])
    assert check.status == "fail"
    assert "library_of_nobody" in check.detail


@pytest.mark.parametrize(
    ("wheels", "status"),
    [
        ({}, "fail"),
        ({"opencv-python-headless": "5.0"}, "ok"),
        ({"opencv-python": "5.0"}, "ok"),
        ({"opencv-python": "5.0", "opencv-python-headless": "4.9"}, "warn"),
    ],
)
def test_opencv_wheels(wheels, status):
    check = libraries.check_opencv(wheels.get)
    assert check.status == status
    assert all(name in check.detail for name in wheels)
    assert bool(check.remedy) == (status != "ok")


@pytest.mark.parametrize(
    ("answer", "has_nvidia", "status", "words"),
    [
        ({"backend": "cpu", "devices": [[1, "cpu", "cpu"]]}, False, "ok", "1 x cpu"),
        ({"backend": "cpu", "devices": [[1, "cpu", "cpu"]]}, True, "warn", "not used"),
        ({"backend": "gpu", "devices": [[2, "gpu", "Big One"]]}, True, "ok", "2 x gpu (Big One)"),
        ({"error": "gave no answer within 120 s"}, True, "fail", "no answer"),
    ],
)
def test_jax_as_it_may_answer(monkeypatch, answer, has_nvidia, status, words):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(libraries, "probe", lambda *_: {"version": "0.10", **answer})
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: name)
    check = libraries.check_jax(has_nvidia=has_nvidia)
    assert check.status == status
    assert words in check.detail


def test_no_jax(monkeypatch):
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: None)
    check = libraries.check_jax()
    assert check.status == "absent"
    assert check.remedy == "pip install 'nitrogen_jax[jax]'"


@pytest.mark.needs("jax")
def test_the_real_jax():
    import jax

    check = libraries.check_jax()
    assert check.status == "ok"
    assert check.detail.startswith(f"{jax.__version__} on ")


def test_a_driver_that_fails(monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("JAX_PLATFORMS", "platform_of_nobody")
    check = libraries.check_jax()
    assert check.status == "fail"
    assert "platform_of_nobody" in check.detail


def test_extras_that_are_here_or_not():
    versions = {"torch": "2.13.0", "transformers": "5.23.0"}
    check = libraries.check_extra("parity", has=lambda module: True, version=versions.get)
    assert (check.status, check.detail) == ("ok", "torch 2.13.0, transformers 5.23.0")
    check = libraries.check_extra("parity", has=lambda module: module == "torch")
    assert (check.status, check.detail) == ("absent", "not installed: transformers")
    assert check.remedy == "pip install 'nitrogen_jax[parity]'"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ({"encode": True, "decode": True}, "ok", "decodes and encodes"),
        ({"encode": False, "decode": True}, "warn", "no encoder"),
        ({"encode": False, "decode": False}, "warn", "no decoder and no encoder"),
        ({"error": "libx.so is missing"}, "fail", "libx.so"),
    ],
)
def test_video_as_it_may_answer(monkeypatch, answer, status, words):
    monkeypatch.setattr(libraries, "probe", lambda *_: {"version": "18", **answer})
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: name)
    check = libraries.check_video()
    assert check.status == status
    assert words in check.detail


@pytest.mark.needs("av")
def test_the_real_video_library():
    import av

    check = libraries.check_video()
    assert check.status != "fail"
    assert av.__version__ in check.detail


# --- the machine


def test_no_compiler(programs):
    assert machine.check_compiler().status == "absent"


def test_a_compiler_that_cannot_build(programs):
    programs("gcc", "echo 'stdio.h: no such file' >&2; exit 1")
    check = machine.check_compiler()
    assert check.status == "warn"
    assert "stdio.h" in check.detail


def test_a_compiler_that_builds(programs):
    path = programs("clang", 'test "$(cat)" && exit 0')
    os.environ["PATH"] += ":/bin:/usr/bin"  # cat
    assert machine.check_compiler(["clang"]) == Check("C compiler", "ok", str(path))


def test_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert machine.check_display().status == "absent"
    for wrong in ("screen", ":", ":1x", ":987654"):
        check = machine.check_display(wrong)
        assert (check.status, check.remedy) == ("warn", "unset DISPLAY")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        number = server.getsockname()[1] - 6000
        if number >= 0:
            assert machine.check_display(f"127.0.0.1:{number}.0").status == "ok"
    assert machine.check_display(f"127.0.0.1:{max(number, 0)}").status == "warn"


def test_programs(programs):
    assert machine.check_program("game-of-nobody", "a-game data") == Check(
        "game-of-nobody", "absent", "not installed", "apt-get install a-game data"
    )
    path = programs("game-of-nobody")
    check = machine.check_program("game-of-nobody", "a-game")
    assert check == Check("game-of-nobody", "ok", str(path))


def test_a_game_under_its_former_name(programs, monkeypatch):
    monkeypatch.setitem(machine.FORMER_NAMES, "game-of-nobody", "older-game")
    assert "apt-get install older-game" in machine.check_program("game-of-nobody", "x").remedy
    path = programs("older-game")
    assert machine.check_program("game-of-nobody", "x").detail == str(path)


def test_shared_memory(tmp_path):
    assert machine.check_shm(str(tmp_path), enough=1).status == "ok"
    check = machine.check_shm(str(tmp_path), enough=2**70)
    assert check.status == "warn"
    assert "remount" in check.remedy
    assert machine.check_shm(str(tmp_path / "nowhere")).status == "warn"


def test_disk(tmp_path):
    assert machine.check_disk("disk", tmp_path / "not" / "yet", enough=1).status == "ok"
    check = machine.check_disk("disk", tmp_path / "not" / "yet", enough=2**70)
    assert check.status == "warn"
    assert str(tmp_path) in check.detail


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/where")
    assert machine.cache_folder() == Path("/some/where")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert machine.cache_folder() == Path.home() / ".cache"


def test_ports():
    assert machine.check_loopback().status == "ok"
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        check = machine.check_port(port)
        assert (check.name, check.status, check.detail) == (f"port {port}", "warn", "in use")
    assert machine.check_port(port).status == "ok"


def test_sizes():
    assert size(2**26) == "64 MiB"
    assert size(3 * 2**29) == "1.5 GiB"


# --- the report


WELL = Check("a", "ok", "here")
LACKS = Check("longer", "absent", "not installed", "apt-get install [it]")
BROKEN = Check("b", "fail", "gone", "make it")


def test_a_check_that_breaks_is_a_finding():
    def check_thing():
        raise OSError("no such thing")

    found = doctor.examine([check_thing, partial(check_thing), lambda: WELL])
    assert [check.status for check in found] == ["fail", "fail", "ok"]
    assert found[0].name == found[1].name == "check_thing"
    assert "no such thing" in found[0].detail


def test_only_a_failure_makes_a_machine_ill():
    assert doctor.healthy([WELL, LACKS, Check("c", "warn", "slow")])
    assert not doctor.healthy([WELL, BROKEN])


def test_lines():
    assert [str(line) for line in command.lines([WELL, LACKS])] == [
        "a       ok      here",
        "longer  absent  not installed  -> apt-get install [it]",
    ]


@pytest.mark.parametrize(("checks", "code"), [([WELL, LACKS], 0), ([WELL, BROKEN], 1)])
def test_the_verb(monkeypatch, capsys, checks, code):
    monkeypatch.setattr(doctor, "examine", lambda: checks)
    assert cli.main(["doctor"]) == code
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert cli.main(["doctor", "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (code == 0)
    assert [Check(**check) for check in report["checks"]] == checks


def test_this_machine(run_python):
    ran = run_python("-m", "nitrogen_jax.cli", "doctor", "--json")
    report = json.loads(ran.stdout)
    assert ran.returncode == (0 if report["ok"] else 1)
    checks = {check["name"]: Check(**check) for check in report["checks"]}
    assert len(checks) == len(doctor.CHECKS)
    assert checks["python"].detail.startswith(f"{sys.version_info.major}.")
    assert checks.keys() >= set(machine.GAMES)
    assert all(check.remedy for check in checks.values() if check.status == "fail")
