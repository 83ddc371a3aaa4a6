"""All skins of some folders: presets of input-overlay and skins in our own format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.skins import input_overlay, skin_file
from nitrogen_jax.labeling.skins.fields import read_object
from nitrogen_jax.labeling.skins.skin import Skin

MOST_DEPTH = 6  # folders below the ones that are given
MOST_FILES = 20_000


@dataclass(frozen=True)
class Library:
    """Skins by name, and what could not be read.

    Attributes:
        skins: sorted by name.
        faults: (file, one sentence) of presets that could not be read.
    """

    skins: tuple[Skin, ...]
    faults: tuple[tuple[str, str], ...] = field(default=())

    def __getitem__(self, name: str) -> Skin:
        for skin in self.skins:
            if skin.name == name:
                return skin
        raise KeyError(name)

    def siblings(self, skin: Skin) -> tuple[Skin, ...]:
        """The skins of its geometry, itself included: they differ in their colours."""
        return tuple(one for one in self.skins if one.geometry == skin.geometry)


def load(folders: Sequence[Path]) -> Library:
    """Every skin under the folders; NitrogenError where there is none at all.

    Args:
        folders: searched with all folders below them; also single preset files.
    """
    skins: list[Skin] = []
    faults: list[tuple[str, str]] = []
    for folder in folders:
        folder = Path(folder)
        if not folder.exists():
            raise NitrogenError(f"folder {folder} of skins does not exist")
        for path in _layouts(folder):
            try:
                read = skin_file.read if path.name == skin_file.NAME else input_overlay.read
                found = read(path)
            except (NitrogenError, OSError) as error:
                faults.append((str(path), str(error)))
                continue
            skins += found if isinstance(found, list) else [found]
    if not skins:
        first = f": {faults[0][1]}" if faults else ""
        raise NitrogenError(
            f"no skin lies in {', '.join(map(str, folders))}, where folders with a layout in JSON "
            f"and its PNGs are needed{first}"
        )
    return Library(tuple(_distinct(skins)), tuple(faults))


def _layouts(folder: Path) -> list[Path]:
    """Files that may be layouts: JSON with PNGs beside it."""
    if folder.is_file():
        return [folder]
    found, queue, seen = [], [(folder, 0)], 0
    while queue:
        here, depth = queue.pop(0)
        try:
            # NOTE: names with a dot are leftovers, of macOS or of writing that was stopped.
            children = sorted(child for child in here.iterdir() if child.name[0] != ".")
        except OSError:
            continue
        seen += len(children)
        if seen > MOST_FILES:
            raise NitrogenError(f"folder {folder} of skins holds more than {MOST_FILES} files")
        images = any(child.suffix.lower() == ".png" for child in children)
        for child in children:
            if child.is_dir() and not child.is_symlink() and depth < MOST_DEPTH:
                queue.append((child, depth + 1))
            elif child.suffix.lower() == ".json" and _may_be_skin(child, images):
                found.append(child)
    return found


def _may_be_skin(path: Path, images: bool) -> bool:
    """Whether a JSON file is a skin, or is broken and lies beside pictures.

    JSON of other kinds lies beside pictures too, and is no fault.
    """
    if path.name == skin_file.NAME:
        return True
    try:
        content = read_object(path)
    except NitrogenError:
        return images
    return "overlay_width" in content or "overlay_height" in content


def _distinct(skins: list[Skin]) -> list[Skin]:
    """Sorted by name, with numbers behind names that occur twice."""
    counts: dict[str, int] = {}
    named = []
    for skin in skins:
        counts[skin.name] = counts.get(skin.name, 0) + 1
        number = counts[skin.name]
        named.append(skin if number == 1 else skin.renamed(f"{skin.name}~{number}"))
    return sorted(named, key=lambda skin: skin.name)
