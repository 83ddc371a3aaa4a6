"""Parameters of one network for another configuration: what fits, what is converted, what is not.

Fields of the two configurations fall into three groups:

  refused    whatever the parameters' shapes or meaning depend on, such as dit.heads
  converted  the action layout (rows of two matrices change places) and the table of games
  noticed    what the parameters can be trained towards, such as action_shift
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nitrogen_jax import config, gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import PolicyConfig, VisionConfig
from nitrogen_jax.weights.checkpoint import Checkpoint
from nitrogen_jax.weights.rules import Flat, flatten

GAMES = "game_embedding"

_NOTICED = frozenset(
    {
        *("horizon", "action_shift", "frames", "frame_spacing", "context_length", "euler_steps"),
        *("time_alpha", "time_beta", "time_scale"),
        *("mixer.dropout", "mixer.final_dropout", "dit.dropout", "dit.final_dropout"),
    }
)
# Nothing but shapes depends on these: where shapes fit, they may differ.
_SHAPES = frozenset({"width", "action_dim", "embodiments", "max_positions", "position_embedding"})
# A name decides nothing, and of the tower's size in pixels only the whole patches count.
_ELSEWHERE = frozenset({"layout", "games", "vision.name", "vision.image_size"})
# Where a dimension of the action is an axis of a parameter.
_ACTION_AXES = {
    "action_encoder/W1/kernel": 1,
    "action_decoder/layer2/kernel": 2,
    "action_decoder/layer2/bias": 1,
}


@dataclass(frozen=True)
class Donor:
    """What a checkpoint offers: paths and fields are those of a whole policy."""

    name: str
    flat: Flat  # path -> float32 array
    fields: Mapping[str, Any]
    games: Mapping[str, int] | None = None


def donor(loaded: Checkpoint, name: str) -> Donor:
    """A checkpoint of a policy, or of a tower alone, as a donor."""
    if loaded.meta.kind == "vision":
        return Donor(name, flatten(loaded.params, "vision/"), fields(loaded.meta.config))
    return Donor(name, flatten(loaded.params), fields(loaded.meta.config), loaded.meta.games)


def fields(cfg: PolicyConfig | VisionConfig) -> dict[str, Any]:
    """Field -> value with dotted names: "dit.depth"; a tower's are those of a policy's tower."""
    data = {"vision": config.to_dict(cfg)} if isinstance(cfg, VisionConfig) else config.to_dict(cfg)
    found = _dotted(data)
    vision = cfg if isinstance(cfg, VisionConfig) else cfg.vision
    found["vision.tokens"] = vision.tokens
    if isinstance(cfg, PolicyConfig):
        found["dit.cross_width"] = cfg.dit.cross_width or cfg.dit.width
    return found


def _dotted(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables -> {"a.b": value}, in their own order."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        inner = isinstance(value, Mapping)
        found |= _dotted(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return found


def fit(
    source: Donor, cfg: PolicyConfig, wanted: Mapping[str, Any], take: Callable[[str], bool]
) -> tuple[Flat, list[str]]:
    """What `source` gives to `cfg`, and a sentence for each difference that was allowed.

    The game embedding is left out: `known_games` says which of its rows are whose.

    Args:
        source: where parameters come from.
        cfg: the configuration that they go to.
        wanted: path -> shape of all that `cfg` has.
        take: which paths are asked for.
    """
    here = fields(cfg)
    asked = {path for path in (*wanted, *source.flat) if take(path)}
    parts = {path.partition("/")[0] for path in asked}
    differing = [
        name
        for name, value in source.fields.items()
        if value != here[name]
        and (name.partition(".")[0] in parts if "." in name else parts - {"vision", "mixer"})
    ]
    moved = "layout" in differing and not asked.isdisjoint(_ACTION_AXES)

    def said(name: str) -> str:
        return f"{name} {source.fields[name]} there, {here[name]} here"

    lines = _compare(source.flat, wanted, asked)
    allowed = _NOTICED | _ELSEWHERE | (frozenset() if lines else _SHAPES)
    faults = [said(name) for name in differing if name not in allowed]
    if GAMES in source.flat and GAMES not in wanted and GAMES in asked:
        faults.append(said("games"))
    if moved and here["action_dim"] != gamepad.ACTION_DIM:
        faults.append(f"{said('layout')}, which only a gamepad's {gamepad.ACTION_DIM} values have")
    if faults or lines:
        raise NitrogenError(_refusal(source, here, faults, lines))
    flat = {p: source.flat[p] for p in wanted if p in asked and p in source.flat and p != GAMES}
    notices = [f"{source.name}: {said(name)}" for name in differing if name in _NOTICED]
    longer = "horizon" in differing and here["horizon"] > source.fields["horizon"]
    if longer and here["position_embedding"]:
        first, last = source.fields["horizon"], here["horizon"] - 1
        notices.append(f"{source.name}: rows {first}-{last} of position_embedding were not trained")
    if moved:
        notices.append(f"{source.name}: {said('layout')}: converted")
        flat = relaid(flat, source.fields["layout"], here["layout"])
    return flat, notices


def relaid(flat: Flat, old: str, new: str) -> Flat:
    """The network that does for vectors of layout `new` what `flat` does for those of `old`.

    Exact: a dimension of the action is one row of the encoder's first matrix, and one column of
    the decoder's last with its bias, and nothing else knows of it.
    """
    order = gamepad.convert_layout(np.arange(gamepad.ACTION_DIM), old, new)
    moved = {
        path: np.take(flat[path], order, axis=axis)
        for path, axis in _ACTION_AXES.items()
        if path in flat
    }
    return {**flat, **moved}


def known_games(
    source: Donor, rows: int, games: Mapping[str, int] | None
) -> tuple[dict[int, int], list[str]]:
    """Row of the new game embedding -> the row of `source` that it starts from, and notices.

    Args:
        source: has a game embedding.
        rows: how many the new one has.
        games: name -> row of the new one; None keeps the rows, and the names, of `source`.
    """
    old_rows = source.flat[GAMES].shape[0]
    if games is None:
        if rows < old_rows:
            raise NitrogenError(
                f"{source.name}: it has a game embedding of {old_rows} rows and the config one of "
                f"{rows}: give the names of the games that go on"
            )
        notice = f"{source.name}: {rows - old_rows} rows of {GAMES} are new and random"
        return {row: row for row in range(old_rows)}, [notice] if rows > old_rows else []
    if source.games is None:
        notice = f"{source.name}: it does not name its games, so all rows of {GAMES} are random"
        return {0: 0}, [notice]
    # NOTE: row 0 is "no game" on either side, whatever it is called: it is zero and stays so.
    same = {
        row: source.games[name] for name, row in games.items() if row and source.games.get(name)
    }
    new = sorted(name for name, row in games.items() if row and row not in same)
    lost = sorted(n for n, row in source.games.items() if row and row not in same.values())
    notices = []
    if new:
        notices.append(f"{source.name}: games that are new to it start random: {', '.join(new)}")
    if lost:
        notices.append(f"{source.name}: games that are left behind: {', '.join(lost)}")
    return {0: 0, **same}, notices


def _compare(found: Flat, wanted: Mapping[str, Any], asked: set[str]) -> list[str]:
    """A line for every asked parameter that is missing, extra or mis-shaped; games may be new."""
    lines = []
    for path in (path for path in wanted if path in asked):
        shape = tuple(wanted[path].shape)
        if path not in found:
            if path != GAMES:
                lines.append(f"missing: {path} {shape}")
            continue
        there = found[path].shape
        if there[path == GAMES :] != shape[path == GAMES :]:
            lines.append(f"mis-shaped: {path} is {there}, needed {shape}")
    extra = (path for path in found if path in asked and path not in wanted)
    return lines + [f"extra: {path} {found[path].shape}" for path in extra]


def _refusal(source: Donor, here: Mapping[str, Any], faults: list[str], lines: list[str]) -> str:
    """One text with all that does not fit."""
    text = f"{source.name} is of another architecture than the config: {'; '.join(faults)}"
    resolution = ("vision.image_size", "vision.patch_size")
    if any(fault.startswith(("vision.tokens", resolution[1])) for fault in faults):
        (size, patch), (size_here, patch_here) = (
            [values[name] for name in resolution] for values in (source.fields, here)
        )
        text += (
            f"; its tower looks at {size} x {size} pixels in patches of {patch} and the config's "
            f"at {size_here} x {size_here} in patches of {patch_here}, and patch and position "
            "embeddings do not carry over to another resolution"
        )
    if lines:
        listing = "\n  ".join(lines)
        text += f"\n  {listing}"
    return text + (
        "\nGive the config these sizes, or name with start.only what is to be taken all the same."
    )
