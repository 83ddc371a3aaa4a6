"""The Python in which procgen2 lives: it needs an old NumPy, so it has packages of its own.

NITROGEN_PROCGEN_PYTHON names another one, which must have procgen2 and msgpack.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

REQUIREMENTS = ("procgen2>=0.10.7,<0.11", "msgpack>=1.1,<2")
VARIABLE = "NITROGEN_PROCGEN_PYTHON"


def folder() -> Path:
    """The virtual environment of its own, in the cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nitrogen_jax" / "procgen"


def python() -> Path:
    """The Python that has procgen2."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else folder() / "bin" / "python"


def install_line() -> str:
    """The line that makes the virtual environment."""
    where = shlex.quote(str(folder()))
    wanted = " ".join(shlex.quote(one) for one in REQUIREMENTS)
    return f"python3 -m venv {where} && {where}/bin/pip install {wanted}"


def lacking() -> str | None:
    """A sentence where that Python, or procgen2 in it, is not there."""
    given = os.environ.get(VARIABLE)
    if given:
        return None if os.access(given, os.X_OK) else f"{VARIABLE} is {given}, which is no program"
    if os.access(python(), os.X_OK) and list(folder().glob("lib/python*/site-packages/procgen")):
        return None
    return f"Procgen is not installed: {install_line()}"
