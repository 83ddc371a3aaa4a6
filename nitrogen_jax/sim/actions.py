"""Files of actions: an .npz with `buttons` (N, 21) and `sticks` (N, 4), a row for each step."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.gamepad import NUM_BUTTONS, STICK_AXES, Pad

NAMES = ("buttons", "sticks")


def read(path: str | Path) -> Pad:
    """The actions of a file, a pad (N,): sticks are left x, left y, right x, right y."""
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise NitrogenError(f"actions {path} are a single array, where an .npz is needed")
        with file:
            missing = [name for name in NAMES if name not in file.files]
            if missing:
                raise NitrogenError(
                    f"actions {path} have no array {missing[0]!r}, where buttons (N, "
                    f"{NUM_BUTTONS}) and sticks (N, {len(STICK_AXES)}) are needed"
                )
            buttons, sticks = (file[name] for name in NAMES)
    except NitrogenError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NitrogenError(f"actions {path} cannot be read as .npz: {reason}") from None
    shapes = (buttons.shape, sticks.shape)
    rows = buttons.shape[0] if buttons.ndim else 0
    if shapes != ((rows, NUM_BUTTONS), (rows, len(STICK_AXES))) or not rows:
        raise NitrogenError(
            f"actions {path}: buttons have shape {buttons.shape} and sticks {sticks.shape}, where "
            f"(N, {NUM_BUTTONS}) and (N, {len(STICK_AXES)}) with N of at least 1 are needed"
        )
    try:
        return Pad(buttons, sticks[:, :2], sticks[:, 2:])
    except NitrogenError as error:
        raise NitrogenError(f"actions {path}: {error}") from None


def write(path: str | Path, pad: Pad) -> None:
    """Writes a pad (N,) as a file of actions."""
    if len(pad.shape) != 1:
        raise NitrogenError(f"actions {path}: the pad has shape {pad.shape}, where (N,) is needed")
    sticks = np.concatenate([pad.left, pad.right], axis=-1)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, buttons=pad.pressed, sticks=sticks)
