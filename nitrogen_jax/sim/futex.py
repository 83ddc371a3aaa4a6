"""Waiting for, and waking, another process through a word of shared memory."""

from __future__ import annotations

import ctypes
import platform

from nitrogen_jax.sim.errors import LaunchError

_NUMBERS = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "i686": 240, "ppc64le": 221}
_WAIT, _WAKE = 0, 1
_ALL = 2**31 - 1

_libc = ctypes.CDLL(None, use_errno=True)
_number = _NUMBERS.get(platform.machine())


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def check() -> None:
    """Refuses processors for which the kernel's number of this call is not known."""
    if _number is None:
        raise LaunchError(
            f"games are run on {', '.join(_NUMBERS)} only, and this is {platform.machine()}"
        )


def wait(address: int, seen: int, seconds: float) -> None:
    """Returns when the word is no longer `seen`, was woken, or the time is over; other threads run.

    Args:
        address: of a 32-bit word.
    """
    whole = int(seconds)
    time = _Timespec(whole, int((seconds - whole) * 1e9))
    _libc.syscall(
        ctypes.c_long(_number),
        ctypes.c_void_p(address),
        ctypes.c_int(_WAIT),
        ctypes.c_uint32(seen),
        ctypes.byref(time),
        None,
        ctypes.c_int(0),
    )


def wake(address: int) -> None:
    """Wakes all who wait for the word."""
    _libc.syscall(
        ctypes.c_long(_number),
        ctypes.c_void_p(address),
        ctypes.c_int(_WAKE),
        ctypes.c_int(_ALL),
        None,
        None,
        ctypes.c_int(0),
    )
