"""The scenes of a stream by number, made when they are asked for, and kept in a folder."""

from __future__ import annotations

import functools
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np

from nitrogen_jax.files import atomic_path
from nitrogen_jax.labeling.parser import scenes
from nitrogen_jax.labeling.parser.grounds import Grounds
from nitrogen_jax.labeling.parser.odd import odd
from nitrogen_jax.labeling.parser.scenes import Drawn, Recorded
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.skins.library import load
from nitrogen_jax.labeling.skins.skin import Skin
from nitrogen_jax.labeling.synth import traces
from nitrogen_jax.labeling.synth.footage import FromFolder, MadeUp

IN_MEMORY = 1200, 300  # drawn and recorded scenes that are also in a folder: 1 GB
VERSION = 3  # of what a kept file holds

S = TypeVar("S", Drawn, Recorded)


@dataclass(frozen=True)
class SceneOptions:
    """What scenes are made of.

    Attributes:
        skins: folders of skins beside the made-up ones.
        footage: a folder of videos and pictures for the background; None: made up.
        traces: files of traces beside the made-up ones.
        pictures: of the pool of backgrounds.
        folder: where finished scenes are kept, about 0.6 MB each; None: in memory alone. It belongs
            to these options: give others another one.
    """

    skins: tuple[str, ...] = ()
    footage: str | None = None
    traces: tuple[str, ...] = ()
    pictures: int = 48
    folder: str | None = None


class Scenes:
    """Scenes by the skin's seed and a number; a negative seed -1 - n is that of skin n of files."""

    def __init__(self, options: SceneOptions):
        self.options = options
        # What is kept in a folder is read again in no time.
        most = (None, None) if options.folder is None else IN_MEMORY
        self.skins = load([Path(p) for p in options.skins]).skins if options.skins else ()
        self.traces = traces.read([Path(p) for p in options.traces])[0] if options.traces else []
        self._skin = functools.lru_cache(maxsize=4)(self._made)
        self.drawn = functools.lru_cache(maxsize=most[0])(self._drawn)
        self.recorded = functools.lru_cache(maxsize=most[1])(self._recorded)

    def _made(self, seed: int) -> Skin:
        return odd(generate(seed), seed) if seed >= 0 else self.skins[-1 - seed]

    @functools.cached_property
    def grounds(self) -> Grounds:
        path = self._path("grounds")
        if path is not None and (found := _read(path)) is not None:
            return Grounds(found["pictures"])
        footage = self.options.footage
        source = MadeUp() if footage is None else FromFolder(Path(footage))
        made = Grounds.make(source, 0, self.options.pictures)
        if path is not None:
            _write(path, {"pictures": made.pictures})
        return made

    def _drawn(self, seed: int, number: int) -> Drawn:
        """See `scenes.draw`."""
        return self._kept(
            Drawn,
            f"drawn-{seed}-{number}",
            lambda: scenes.draw(self._skin(seed), abs(seed), number),
        )

    def _recorded(self, seed: int, number: int) -> Recorded:
        """See `scenes.record`."""

        def make() -> Recorded:
            rng = np.random.default_rng([abs(seed), number, 2])
            trace = None
            if self.traces and rng.random() < 0.5:
                trace = self.traces[rng.integers(len(self.traces))]
            return scenes.record(self._skin(seed), abs(seed), number, self.grounds, trace)

        return self._kept(Recorded, f"clip-{seed}-{number}", make)

    def _path(self, name: str) -> Path | None:
        if self.options.folder is None:
            return None
        folder = Path(self.options.folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}-v{VERSION}.npz"

    def _kept(self, kind: type[S], name: str, make) -> S:
        path = self._path(name)
        if path is not None and (found := _read(path)) is not None:
            return kind(**{field.name: found[field.name] for field in fields(kind)})
        made = make()
        if path is not None:
            _write(path, vars(made))
        return made


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file; None where there is none that is whole."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        return None


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)
