"""JSON of skins, which people write by hand: what it must hold, refused in one sentence else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError

MOST_BYTES = 16 << 20  # of a JSON file
MOST_NUMBER = 1e6  # a larger one is a mistake


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds, with or without a byte order mark."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NitrogenError(f"{path} is larger than {MOST_BYTES >> 20} MiB, so it is no skin")
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except NitrogenError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise NitrogenError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise NitrogenError(f"{path} holds a {type(content).__name__}, where an object is needed")
    return content


def number(one: Mapping[str, Any], name: str, path: Path) -> float:
    """A finite number, which may be written as a string."""
    return _finite(one.get(name), name, one, path)


def whole(one: Mapping[str, Any], name: str, path: Path) -> int:
    """A number, rounded."""
    return round(number(one, name, path))


def wholes(one: Mapping[str, Any], name: str, length: int, path: Path) -> list[int]:
    """The first `length` numbers of a list, rounded."""
    values = one.get(name)
    if not isinstance(values, list) or len(values) < length:
        raise NitrogenError(
            f"{path}: {name}{_of(one)} is {values!r:.40}, where {length} numbers are needed"
        )
    pairs = enumerate(values[:length])
    return [round(_finite(value, f"{name}[{at}]", one, path)) for at, value in pairs]


def _finite(value: Any, name: str, one: Mapping[str, Any], path: Path) -> float:
    found = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = math.nan
    if not math.isfinite(found) or abs(found) > MOST_NUMBER:
        raise NitrogenError(
            f"{path}: {name}{_of(one)} is {value!r:.40}, where a number up to "
            f"{MOST_NUMBER:.0f} is needed"
        )
    return found


def _of(one: Mapping[str, Any]) -> str:
    """Words that say of which element."""
    return f" of element {one['id']!r:.40}" if "id" in one else ""
