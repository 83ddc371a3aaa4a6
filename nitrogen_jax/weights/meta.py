"""What every checkpoint of ours says about itself, as JSON, and the check of it on load."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nitrogen_jax import __version__, config, gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig, VisionConfig
from nitrogen_jax.models.segformer_config import SegformerConfig
from nitrogen_jax.weights import tower_sizes

KINDS = {"policy": PolicyConfig, "vision": VisionConfig, "segformer": SegformerConfig}
FORMAT, VERSION = "nitrogen_jax", 1
TIME_CONVENTION = "t=0 noise, t=1 action, x_t=(1-t)noise+t*action, v=action-noise, floor(buckets*t)"


@dataclass(frozen=True)
class Meta:
    """Everything of a checkpoint but its arrays."""

    config: PolicyConfig | VisionConfig | SegformerConfig
    games: Mapping[str, int] | None = None  # name -> row of the game embedding
    control_rate: float | None = None  # Hz at which the actions of a chunk follow each other
    step: int = 0
    epoch: int = 0
    original_config: Mapping[str, Any] | None = None  # the `ckpt_config` it came with
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()  # what was ignored when it was read; not written

    @property
    def kind(self) -> str:
        """ "policy", "vision" for a tower alone, or "segformer"."""
        return next(kind for kind, sizes in KINDS.items() if isinstance(self.config, sizes))

    @property
    def name_of_kind(self) -> str:
        """What a sentence calls it."""
        return {"vision": "vision tower", "segformer": "SegFormer"}.get(self.kind, self.kind)


def to_json(meta: Meta) -> dict[str, Any]:
    """Meta -> plain data."""
    data: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "kind": meta.kind,
        "config": config.to_dict(meta.config),
        "step": meta.step,
        "epoch": meta.epoch,
        "provenance": {**meta.provenance, "written_by": f"nitrogen_jax {__version__}"},
    }
    if meta.kind == "policy":
        data["games"] = None if meta.games is None else dict(meta.games)
        data["original_config"] = meta.original_config
        data["time"] = TIME_CONVENTION
        data["action"] = {
            "layout": meta.config.layout,
            "dimensions": _dimensions(meta.config),
            "horizon": meta.config.horizon,
            "shift": meta.config.action_shift,
            "rate": meta.control_rate,
        }
    return data


def from_json(data: Any, source: str) -> Meta:
    """Plain data -> Meta; raises where this version cannot obey what the checkpoint says."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise NitrogenError(f"{source}: its metadata is not that of a nitrogen_jax checkpoint")
    version = data.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise NitrogenError(
            f"{source}: it is of format version {version!r} and this program reads "
            f"up to {VERSION}: upgrade nitrogen_jax"
        )
    if data.get("kind") not in list(KINDS):  # a list, because the kind may be unhashable
        raise NitrogenError(
            f"{source}: its kind is {data.get('kind')!r}, where one of {', '.join(KINDS)} is needed"
        )
    sizes, notices = config.from_dict(KINDS[data["kind"]], data.get("config"), source)
    if isinstance(sizes, PolicyConfig):
        check_sizes(sizes, source)
        _check_conventions(data, sizes, source)
    elif isinstance(sizes, VisionConfig):
        tower_sizes.check(sizes, source)
    else:
        check_segformer(sizes, source)
    games = data.get("games")
    if games is not None:
        games = check_games(games, getattr(sizes, "games", None), source)
    return Meta(
        config=sizes,
        games=games,
        control_rate=_rate(data, source),
        step=_field(data, "step", int, source) or 0,
        epoch=_field(data, "epoch", int, source) or 0,
        original_config=_field(data, "original_config", Mapping, source),
        provenance=_field(data, "provenance", Mapping, source) or {},
        notices=tuple(notices),
    )


def changed(meta: Meta, **fields: Any) -> Meta:
    """`meta` with some fields replaced."""
    return dataclasses.replace(meta, **fields)


def with_vision(meta: Meta, option: str | Path | None, path: Path) -> Meta:
    """`meta` whose tower is what the user or a `vision.json` beside `path` says, if either does."""
    if meta.kind == "segformer":
        return meta  # it has no tower, whatever lies beside it
    sizes, games = tower_sizes.resolve(option, path.parent)
    if sizes is None:
        return meta
    if meta.kind == "vision":
        return changed(meta, config=sizes)
    cfg = check_sizes(dataclasses.replace(meta.config, vision=sizes), str(path))
    games = meta.games if games is None else check_games(games, cfg.games, str(path))
    return changed(meta, config=cfg, games=games)


def check_sizes(sizes: PolicyConfig, source: str) -> PolicyConfig:
    """Returns `sizes` if they fit each other; an error names `source`."""
    for part in ("mixer", "dit"):
        depth = getattr(sizes, part).depth
        if not 0 <= depth <= tower_sizes.MOST_LAYERS:
            raise NitrogenError(
                f"{source}: {part} has {depth} layers, where {tower_sizes.MOST_LAYERS} are the most"
            )
    tower_sizes.check(sizes.vision, source)
    try:
        return sizes.check()
    except NitrogenError as error:
        raise NitrogenError(f"{source}: {error}") from None


def check_segformer(sizes: SegformerConfig, source: str) -> SegformerConfig:
    """Returns `sizes` if they fit each other; an error names `source`."""
    try:
        return sizes.check()
    except NitrogenError as error:
        raise NitrogenError(f"{source}: {error}") from None


def check_games(games: Any, rows: int | None, source: str) -> dict[str, int]:
    """A name -> row mapping that fits an embedding of `rows` rows."""
    valid = isinstance(games, Mapping) and all(
        isinstance(name, str) and isinstance(row, int) and not isinstance(row, bool) and row >= 0
        for name, row in games.items()
    )
    if not valid:
        raise NitrogenError(f"{source}: games is {games!r}, where a table of name -> row is needed")
    highest = max(games.values(), default=-1)
    if highest >= (rows or 0):
        has = f"{rows} rows in its game embedding" if rows else "no game embedding"
        raise NitrogenError(f"{source}: games names row {highest}, and there are {has}")
    return dict(games)


def _field(data: Mapping[str, Any], name: str, kind: type, source: str) -> Any:
    value = data.get(name)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        wanted = "a table" if kind is Mapping else "a whole number"
        raise NitrogenError(f"{source}: {name} is {value!r}, where {wanted} is needed")
    return value


def _rate(data: Mapping[str, Any], source: str) -> float | None:
    """Of the actions, where the checkpoint says: those of other programs do not."""
    rate = (_field(data, "action", Mapping, source) or {}).get("rate")
    if rate is not None and (type(rate) not in (int, float) or not 0 < rate < 10_000):
        raise NitrogenError(f"{source}: action.rate is {rate!r}, where a number of Hz is needed")
    return None if rate is None else float(rate)


def _dimensions(sizes: PolicyConfig) -> list[str] | None:
    """Names of the action's dimensions; None where it is not a gamepad's."""
    if sizes.action_dim != gamepad.ACTION_DIM:
        return None
    return list(gamepad.layout_names(sizes.layout))


def _check_conventions(data: Mapping[str, Any], sizes: PolicyConfig, source: str) -> None:
    if data.get("time") != TIME_CONVENTION:
        raise NitrogenError(
            f"{source}: its time convention is {data.get('time')!r} and this program's is "
            f"{TIME_CONVENTION!r}"
        )
    action = _field(data, "action", Mapping, source) or {}
    wanted = {
        "layout": sizes.layout,
        "dimensions": _dimensions(sizes),
        "horizon": sizes.horizon,
        "shift": sizes.action_shift,
    }
    for name, value in wanted.items():
        if action.get(name) != value:
            raise NitrogenError(
                f"{source}: action.{name} is {action.get(name)!r} and its config says {value!r}"
            )
