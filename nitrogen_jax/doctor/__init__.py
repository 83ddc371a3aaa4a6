"""Looks at the machine and says, one line each, what is there, what is not, and what mends it.

A check is a function without arguments that returns one `Check`; `CHECKS` lists them in the order
of the report, so a new one is a function and an entry. What may crash or hang (drivers, native
libraries) runs in a process of its own with a time limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from nitrogen_jax.doctor import libraries, machine
from nitrogen_jax.doctor.check import Check
from nitrogen_jax.extras import EXTRAS

CHECKS: tuple[Callable[[], Check], ...] = (
    libraries.check_python,
    libraries.check_package,
    libraries.check_base,
    libraries.check_opencv,
    libraries.check_jax,
    *(partial(libraries.check_extra, extra) for extra in EXTRAS),
    libraries.check_video,
    partial(machine.check_program, "ffmpeg", "ffmpeg"),
    machine.check_compiler,
    machine.check_display,
    partial(machine.check_program, "Xvfb", "xvfb"),
    machine.check_shm,
    partial(machine.check_disk, "disk here", "."),
    lambda: machine.check_disk("disk, cache", machine.cache_folder()),
    machine.check_loopback,
    machine.check_port,
    *(partial(machine.check_program, game, packages) for game, packages in machine.GAMES.items()),
)


def examine(checks: Iterable[Callable[[], Check]] = CHECKS) -> list[Check]:
    """Runs every check; one that breaks is a finding, and the others still run."""
    found = []
    for check in checks:
        try:
            found.append(check())
        except Exception as error:
            name = getattr(getattr(check, "func", check), "__name__", "check")
            found.append(Check(name, "fail", f"the check itself broke: {error!r}"))
    return found


def healthy(checks: Iterable[Check]) -> bool:
    """True unless something that is needed is broken."""
    return all(check.status != "fail" for check in checks)
