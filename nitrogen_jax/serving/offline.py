"""Many observations through one policy: batched, fed by a thread, resumable.

What is predicted for an example depends on the policy, the seed and the example's number alone,
so neither the batch size nor an interruption changes it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nitrogen_jax import config, gamepad
from nitrogen_jax.data.example import Example, PartlyRead, Problem, Source
from nitrogen_jax.data.prefetch import prefetch
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.action_metrics import ActionSums, StickSums, add, merge, summarize
from nitrogen_jax.gamepad import ACTION_DIM
from nitrogen_jax.serving.parts import Parts
from nitrogen_jax.serving.sampler import Sampler, draw_noise
from nitrogen_jax.weights import rules
from nitrogen_jax.weights.checkpoint import Checkpoint

LAYOUT = "buttons_first"  # of all actions that leave this file
PART_BATCHES = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What is asked of the policy."""

    seed: int = 0
    batch: int = 16
    game: int = 0  # row of the game embedding; 0: no game
    forbidden: frozenset[str] = frozenset()  # buttons that are never pressed


@dataclass(frozen=True)
class Position:
    """How far a source has been read."""

    example: int = 0  # examples before
    item: int = 0  # the item to go on with
    within: int = 0  # its examples before
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, eq=False)
class Predicted:
    """Consecutive examples and what the policy does about each; there may be none in the last."""

    sources: tuple[str, ...]
    frames: tuple[int, ...]
    times: tuple[float, ...]  # seconds
    actions: np.ndarray  # (B, T, 25) float32, buttons_first
    sums: ActionSums  # agreement with the truth, where that is known
    after: Position


def predict(
    sampler: Sampler, source: Source, settings: Settings, start: Position | None = None
) -> Iterator[Predicted]:
    """Batches of predictions in order; the last one may be smaller, or empty."""
    check_gamepad(sampler.cfg)
    for examples, after in prefetch(_batches(source, settings.batch, start or Position())):
        actions = _sample(sampler, examples, settings, after.example - len(examples))
        yield Predicted(
            tuple(one.source for one in examples),
            tuple(one.frame for one in examples),
            tuple(one.time for one in examples),
            actions,
            _compare(actions, examples),
            after,
        )


def predict_to_file(
    sampler: Sampler,
    source: Source,
    settings: Settings,
    parts: Parts,
    about: Mapping[str, Any],
    advance: Callable[[int], None] = lambda examples: None,
) -> dict[str, Any]:
    """Runs a job, or what is left of it, and returns the metadata of the file that it makes.

    Args:
        parts: of the job, after `begin`.
        about: plain data to add to the metadata.
        advance: called with the number of examples done since the last call.
    """
    notes = parts.finished()
    start = _position(notes[-1]["after"]) if notes else Position()
    advance(start.example)
    sums = ActionSums()
    for note in notes:
        sums = merge(sums, _sums(note["sums"]))
    after, waiting = start, []

    def write() -> None:
        note = {
            "after": dataclasses.asdict(after),
            "sums": dataclasses.asdict(_total([one.sums for one in waiting])),
        }
        table = pa.concat_tables([_table(one, sampler.cfg.horizon) for one in waiting])
        parts.add(len(notes), table, note)
        notes.append(note)
        waiting.clear()

    for predicted in predict(sampler, source, settings, start):
        after, sums = predicted.after, merge(sums, predicted.sums)
        if predicted.sources:
            waiting.append(predicted)
            advance(len(predicted.sources))
        if len(waiting) == PART_BATCHES:
            write()
    if waiting:
        write()
    return parts.merge(schema(sampler.cfg.horizon), {**about, **outcome(after, sums)})


def outcome(after: Position, sums: ActionSums) -> dict[str, Any]:
    """What a run that ended at `after` has to report, as plain data."""
    return {
        "examples": after.example,
        "problems": [problem._asdict() for problem in after.problems],
        "metrics": summarize(sums) if sums.steps else None,
    }


def describe_job(
    policy: Checkpoint, sampler_settings: Mapping[str, Any], source: Source, settings: Settings
) -> dict[str, Any]:
    """Plain data that decides every prediction; the batch size does not."""
    return {
        "inputs": _digest(dict(source.identity)),
        "policy": policy_digest(policy),
        "seed": settings.seed,
        "game": settings.game,
        "forbidden": sorted(settings.forbidden),
        **sampler_settings,
    }


def policy_digest(policy: Checkpoint) -> str:
    """SHA-256 of sizes and parameters: the same in whatever format the policy is stored."""
    digest = hashlib.sha256(_digest(config.to_dict(policy.meta.config)).encode())
    for path, leaf in rules.flatten(policy.params).items():
        digest.update(path.encode())
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()


def check_gamepad(cfg: Any) -> None:
    """Refuses a policy whose actions are not those of a gamepad."""
    if cfg.action_dim != ACTION_DIM:
        raise NitrogenError(
            f"the policy has {cfg.action_dim} action dimensions, where the {ACTION_DIM} of a "
            "gamepad are needed"
        )


def schema(horizon: int) -> pa.Schema:
    """The columns of the file: one row for each example."""
    return pa.schema(
        {
            "source": pa.string(),
            "frame": pa.int64(),
            "time": pa.float64(),
            "actions": pa.list_(pa.float32(), horizon * ACTION_DIM),
        }
    )


def _batches(
    source: Source, size: int, start: Position
) -> Iterator[tuple[list[Example], Position]]:
    """Full batches, then the rest, which may be empty; and the position after each."""
    waiting: list[Example] = []
    example, problems = start.example, list(start.problems)
    for item in range(start.item, len(source.names)):
        within = start.within if item == start.item else 0
        try:
            for one in source.read(item, within):
                waiting.append(one)
                within, example = within + 1, example + 1
                if len(waiting) == size:
                    yield waiting, Position(example, item, within, tuple(problems))
                    waiting = []
        except PartlyRead as error:
            log.warning("%s", error)
            problems.append(error.problem)
    yield waiting, Position(example, len(source.names), 0, tuple(problems))


def _sample(
    sampler: Sampler, examples: list[Example], settings: Settings, first: int
) -> np.ndarray:
    cfg = sampler.cfg
    shape = (cfg.horizon, cfg.action_dim)
    if not examples:
        return np.zeros((0, *shape), np.float32)
    actions = sampler(
        np.stack([one.frames for one in examples]),
        draw_noise(settings.seed, range(first, first + len(examples)), shape),
        np.stack([one.dropped for one in examples]),
        np.full(len(examples), settings.game, np.int32),
    )
    finite = np.isfinite(actions).all(axis=(1, 2))
    if not finite.all():
        bad = examples[int(finite.argmin())]
        raise NitrogenError(
            f"the policy's actions for {bad.source}, frame {bad.frame}, are not finite numbers"
        )
    actions = gamepad.convert_layout(actions, cfg.layout, LAYOUT)
    actions[..., [gamepad.BUTTON_INDEX[name] for name in sorted(settings.forbidden)]] = 0
    return actions


def _compare(actions: np.ndarray, examples: list[Example]) -> ActionSums:
    known = [i for i, one in enumerate(examples) if one.true is not None]
    if not known:
        return ActionSums()
    true = gamepad.decode(np.stack([examples[i].true for i in known]))
    valid = np.stack([examples[i].valid for i in known])
    return add(ActionSums(), gamepad.decode(actions[known]), true, valid)


def _table(predicted: Predicted, horizon: int) -> pa.Table:
    wanted = schema(horizon)
    flat = pa.array(predicted.actions.ravel(), pa.float32())
    actions = pa.FixedSizeListArray.from_arrays(flat, horizon * ACTION_DIM)
    columns = [predicted.sources, predicted.frames, predicted.times]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, wanted, strict=False)]
    return pa.Table.from_arrays([*arrays, actions], schema=wanted)


def _total(all_sums: list[ActionSums]) -> ActionSums:
    total = ActionSums()
    for sums in all_sums:
        total = merge(total, sums)
    return total


def _position(data: Mapping[str, Any]) -> Position:
    problems = tuple(Problem(*problem) for problem in data["problems"])
    return Position(data["example"], data["item"], data["within"], problems)


def _sums(data: Mapping[str, Any]) -> ActionSums:
    """The inverse of `dataclasses.asdict` after a trip through JSON, which has no tuples."""

    def tuples(values: Mapping[str, Any]) -> dict[str, Any]:
        return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}

    sticks = {name: StickSums(**tuples(data[name])) for name in ("left", "right")}
    return ActionSums(**{**tuples(data), **sticks})


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
