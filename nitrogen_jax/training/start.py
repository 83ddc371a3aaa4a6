"""Where a policy's parameters come from: nothing, a checkpoint of any kind, a tower, or a mixture.

Every start ends in the same place, a nested dict of float32 arrays on the host that has exactly
the parameters of the config; what no file gives is random.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import PolicyConfig
from nitrogen_jax.training import transfer
from nitrogen_jax.training.freeze import check_patterns
from nitrogen_jax.training.transfer import GAMES, Donor
from nitrogen_jax.weights import checkpoint, provenance
from nitrogen_jax.weights.meta import check_games
from nitrogen_jax.weights.rules import Flat, flatten, unflatten


@dataclass(frozen=True)
class Start:
    """What a run starts from; the defaults are random parameters.

    Attributes:
        checkpoint: a policy: the original's `.pt`, its conversion to Orbax or `.safetensors`, one
            of our checkpoints, or a run's folder. None: random parameters.
        vision: takes the vision tower from here: a SigLIP 2 tower alone (a converted one, a
            `.safetensors` file or a folder as Hugging Face publishes it), or a policy, of which
            nothing but the tower is taken. Wins over the tower of `checkpoint`.
        only: regexes of whole paths: what to take from `checkpoint`, such as ("mixer/.*",). The
            rest is random. Empty takes all.
        sizes: sizes of the tower in the files above where they do not say, or say it wrong: a JSON
            file or the name of a preset, as the `--vision` of `nitrogen convert`.
    """

    checkpoint: str | None = None
    vision: str | None = None
    only: tuple[str, ...] = ()
    sizes: str | None = None


class Started(NamedTuple):
    """Parameters to train, and what is to be said about them."""

    params: dict[str, Any]  # nested, float32 NumPy
    games: Mapping[str, int] | None  # name -> row of the game embedding
    provenance: dict[str, Any]  # plain data, for the checkpoints of the run
    notices: list[str]


@dataclass
class _Found:
    """What the files gave so far."""

    flat: Flat = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    games: Mapping[str, int] | None = None
    rows: dict[int, int] = field(default_factory=dict)  # of the new game embedding -> of the old
    table: np.ndarray | None = None  # the old game embedding


def starting_params(
    start: Start, cfg: PolicyConfig, seed: int = 0, games: Mapping[str, int] | None = None
) -> Started:
    """The parameters that a run of `cfg` starts from.

    Raises one error with every difference between a checkpoint and `cfg` that no training bridges.

    Args:
        start: where from.
        cfg: the policy that is to be trained.
        seed: of what is random; the same whatever is read beside it.
        games: name -> row of the game embedding; None keeps the table of the checkpoint.
    """
    if games is not None:
        games = check_games(games, cfg.games, "the config")
    wanted = flatten(policy.shapes(cfg))
    found = _Found(games=games)
    if start.checkpoint is not None:
        _take_policy(start, cfg, wanted, found)
    elif start.only:
        raise NitrogenError("start.only names what to take, and start.checkpoint is not given")
    if start.vision is not None:
        _take_tower(start, cfg, wanted, found)
    _fill(cfg, wanted, seed, found)
    params = unflatten({path: found.flat[path] for path in wanted})
    return Started(params, found.games, found.provenance, found.notices)


def _take_policy(start: Start, cfg: PolicyConfig, wanted: Flat, found: _Found) -> None:
    source, kind, note = _read(start.checkpoint, start.sizes, found)
    if kind != "policy":
        raise NitrogenError(
            f"start.checkpoint {start.checkpoint} is a vision tower alone: name it in start.vision"
        )
    check_patterns(start.only, {**wanted, **source.flat}, "start.only")
    patterns = [re.compile(pattern) for pattern in start.only]

    def take(path: str) -> bool:
        if start.vision is not None and path.startswith("vision/"):
            return False
        return not patterns or any(pattern.fullmatch(path) for pattern in patterns)

    flat, notices = transfer.fit(source, cfg, wanted, take)
    found.flat |= flat
    found.notices += notices
    found.provenance |= note
    if GAMES in source.flat and GAMES in wanted and take(GAMES):
        assert cfg.games is not None
        found.rows, notices = transfer.known_games(source, cfg.games, found.games)
        found.notices += notices
        found.table = source.flat[GAMES]
        found.games = source.games if found.games is None else found.games


def _take_tower(start: Start, cfg: PolicyConfig, wanted: Flat, found: _Found) -> None:
    source, _, note = _read(start.vision, start.sizes, found)
    flat, notices = transfer.fit(source, cfg, wanted, lambda path: path.startswith("vision/"))
    found.flat |= flat
    found.notices += notices
    found.provenance["vision"] = note


def _read(path: str, sizes: str | None, found: _Found) -> tuple[Donor, str, dict[str, Any]]:
    """A checkpoint as a donor, its kind, and where it came from."""
    resolved = checkpoint.resolve(path)
    loaded = provenance.stamped(checkpoint.load(resolved, sizes), resolved)
    if loaded.meta.kind == "segformer":
        raise NitrogenError(f"{path} is a SegFormer, which no part of a policy is")
    found.notices += loaded.meta.notices
    note = {**loaded.meta.provenance, "step": loaded.meta.step}
    if resolved.name.isdigit():  # of a run, where a number alone says too little
        note["source"] = "/".join(resolved.absolute().parts[-3:])
    return transfer.donor(loaded, path), loaded.meta.kind, note


def _fill(cfg: PolicyConfig, wanted: Flat, seed: int, found: _Found) -> None:
    """Makes what no file gave, and the game embedding of known and new rows."""
    missing = [path for path in wanted if path not in found.flat]
    found.flat |= random_params(cfg, seed, missing)
    count = sum(wanted[path].size for path in missing)
    if found.table is not None:
        table = np.array(found.flat[GAMES])
        table[list(found.rows)] = found.table[list(found.rows.values())]
        found.flat[GAMES] = table
        count -= len(found.rows) * table.shape[1]
    if not found.provenance:
        found.provenance["source"] = f"random parameters, seed {seed}"
    elif count:
        parts = sorted({path.partition("/")[0] for path in missing})
        text = f"{count:,} parameters, seed {seed}"
        found.provenance["random"] = text
        found.notices.append(f"random: {text}, all or part of {', '.join(parts)}")


def random_params(cfg: PolicyConfig, seed: int, paths: Iterable[str]) -> Flat:
    """The parameters of `policy.init` at these paths alone: the others are not computed."""
    paths = tuple(paths)
    made = _make(cfg, paths, jax.random.key(seed)) if paths else {}
    return {path: np.asarray(leaf) for path, leaf in made.items()}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _make(cfg: PolicyConfig, paths: tuple[str, ...], key: jax.Array) -> Flat:
    flat = flatten(policy.init(cfg, key))
    return {path: flat[path] for path in paths}
