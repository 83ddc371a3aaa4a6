"""The lumps of Doom's WAD files."""

from __future__ import annotations

import struct
from pathlib import Path

from nitrogen_jax.errors import NitrogenError


def lumps(path: str | Path) -> list[tuple[str, bytes]]:
    """Name and content of all lumps, in the file's order; names occur more than once."""
    data = Path(path).read_bytes()
    try:
        kind, number, directory = struct.unpack_from("<4sii", data)
        entries = [struct.unpack_from("<ii8s", data, directory + 16 * i) for i in range(number)]
    except struct.error as error:
        raise NitrogenError(f"{path} is no WAD file, or is not whole: {error}") from error
    if kind not in (b"IWAD", b"PWAD"):
        raise NitrogenError(f"{path} is no WAD file: it begins with {kind!r}")
    return [(name.rstrip(b"\0").decode("latin-1"), data[at : at + n]) for at, n, name in entries]
