"""Checks of the machine: compiler, display, memory, disk, network, programs."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from nitrogen_jax.doctor.check import Check, size

POLICY_PORT = 5555  # where the policy server listens unless told otherwise
SHM_ENOUGH = 2**28  # bytes; containers are often given 64 MiB
DISK_ENOUGH = 5 * 2**30  # bytes; the released checkpoint is 2 GB, and a converted copy as much

# program -> Debian packages that bring it (with its data, where that is a package of its own)
GAMES = {
    "supertux2": "supertux",
    "chocolate-doom": "chocolate-doom freedoom",
    "openarena": "openarena",
    "neverball": "neverball",
    "etr": "extremetuxracer",
    "xmoto": "xmoto",
    "chromium-bsu": "chromium-bsu",
    "frozen-bubble": "frozen-bubble",
    "lbreakout2": "lbreakout2",
    "luanti": "luanti",
}
FORMER_NAMES = {"luanti": "minetest"}  # the program's and its package's name up to Debian 12


def check_compiler(names: Iterable[str] = ("cc", "gcc", "clang")) -> Check:
    """Is there a C compiler that builds a shared library? Games are clocked through one."""
    remedy = "apt-get install gcc libc6-dev"
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        return Check("C compiler", "absent", "no cc, gcc or clang", remedy)
    source = b"#include <stdio.h>\nint answer(void) { return EOF; }\n"
    with tempfile.TemporaryDirectory() as folder:
        command = [path, "-shared", "-fPIC", "-x", "c", "-", "-o", f"{folder}/answer.so"]
        try:
            built = subprocess.run(command, input=source, capture_output=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            return Check("C compiler", "warn", f"{path} does not run: {error}", remedy)
    if built.returncode != 0:
        complaint = (built.stderr.decode(errors="replace").strip().splitlines() or ["no reason"])[0]
        return Check("C compiler", "warn", f"{path} builds nothing: {complaint}", remedy)
    return Check("C compiler", "ok", path)


def check_display(display: str | None = None) -> Check:
    """Does an X server answer at $DISPLAY?"""
    display = os.environ.get("DISPLAY", "") if display is None else display
    if not display:
        return Check("display", "absent", "DISPLAY is not set: games run on virtual displays")
    parsed = re.fullmatch(r"(?P<host>[^:]*):(?P<number>\d+)(\.\d+)?", display)
    if parsed is None:
        return Check("display", "warn", f"DISPLAY={display} is not host:number", "unset DISPLAY")
    number = int(parsed["number"])
    try:
        if parsed["host"] in ("", "unix"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(f"/tmp/.X11-unix/X{number}")
        else:
            socket.create_connection((parsed["host"], 6000 + number), timeout=5).close()
    except (OSError, OverflowError) as error:
        return Check("display", "warn", f"nothing answers at {display}: {error}", "unset DISPLAY")
    return Check("display", "ok", display)


def check_program(program: str, packages: str) -> Check:
    """Is a program installed? Debian puts games where PATH does not always lead."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/games"])
    path = shutil.which(program, path=folders)
    if path is None and program in FORMER_NAMES:
        path = shutil.which(FORMER_NAMES[program], path=folders)
    if path is None:
        remedy = f"apt-get install {packages}"
        if program in FORMER_NAMES:
            remedy += f" || apt-get install {FORMER_NAMES[program]}"
        return Check(program, "absent", "not installed", remedy)
    return Check(program, "ok", path)


def check_shm(path: str = "/dev/shm", enough: int = SHM_ENOUGH) -> Check:
    """Is there shared memory for frames, and how much?"""
    folder = Path(path)
    if not folder.is_dir():
        remedy = f"mkdir -p {path} && mount -t tmpfs shm {path}"
        return Check("shared memory", "warn", f"{path} does not exist", remedy)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        detail = f"{path} cannot be written: {error.strerror}"
        return Check("shared memory", "warn", detail, f"chmod 1777 {path}")
    free = shutil.disk_usage(folder).free
    if free < enough:
        detail = f"{size(free)} free in {path}: {size(enough)} are wanted"
        return Check("shared memory", "warn", detail, f"mount -o remount,size=1G {path}")
    return Check("shared memory", "ok", f"{size(free)} free in {path}")


def check_disk(name: str, path: str | os.PathLike[str], enough: int = DISK_ENOUGH) -> Check:
    """How much space is left where `path` is, or will be?"""
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < enough:
        detail = f"{size(free)} free in {folder}: {size(enough)} are wanted"
        return Check(name, "warn", detail, f"du -xh -d 1 {folder} | sort -h | tail")
    return Check(name, "ok", f"{size(free)} free in {folder}")


def cache_folder() -> Path:
    """Where programs of this user keep what they can make again."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if given else Path.home() / ".cache"


def check_loopback() -> Check:
    """Can a server be opened on this machine at all?"""
    try:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        return Check("loopback", "fail", f"127.0.0.1 does not work: {error}", "ip link set lo up")
    return Check("loopback", "ok", "127.0.0.1 takes connections")


def check_port(port: int = POLICY_PORT) -> Check:
    """Is the port of the policy server free?"""
    name = f"port {port}"
    try:
        with socket.socket() as server:
            # As a server would: a port whose last connections are only closing counts as free.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Check(name, "warn", f"cannot be opened: {error.strerror}")
        return Check(name, "warn", "in use", f"ss -ltnp 'sport = :{port}'")
    return Check(name, "ok", "free")
