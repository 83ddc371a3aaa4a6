"""Records tasks of the suite as they are played: the folder of `nitrogen sim record`, judged.

    OUT/videos/<video>.mp4          a frame for each step, the first one that of the reset
    OUT/actions/<video>.npz         a row for each step
    OUT/labels/actions/SHARD_.../   the label tree, whose game is the task's name
    OUT/skins/<skin>/               the skin of the overlay, where one is drawn
    OUT/record.json                 what was asked for, and every episode that is finished

An episode is in record.json once its files are written, so that a run may be killed at any moment:
the same command goes on, and in games that repeat it ends with the same files.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import players, results, rollout, suite
from nitrogen_jax.evaluation.task import Task, Verdict
from nitrogen_jax.files import atomic_path, remove
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.labeling.skins import skin_file
from nitrogen_jax.sim import record
from nitrogen_jax.sim.overlay import Look
from nitrogen_jax.sim.pad_env import PadEnv

MAKER = "nitrogen eval record"
RECORD = record.RECORD
HOPELESS = 20  # episodes in a row that are not kept, after which a task is given up
SHORTEST = 5.0  # seconds: with less than that missing, a recording is long enough


class Hopeless(NitrogenError):
    """A player of whom hardly an episode is kept."""


@dataclass(frozen=True)
class Plan:
    """What is recorded.

    Attributes:
        tasks: one after the other.
        player: one of `players.BASELINES`.
        episodes: of each task; None: as many as `minutes` needs.
        minutes: of game time of each task that are kept; the last episode is cut there.
        seed: of the whole recording; episodes have seeds of their own, as in an evaluation.
        only_success: whether episodes that do not reach the goal are left out.
        frame_skip: frames of the game to one; None: the task's own.
        looks: of the overlay, one episode after the other; none: none is drawn.
        tree: whether labels are written.
    """

    tasks: tuple[Task, ...]
    player: str = "expert"
    episodes: int | None = None
    minutes: float | None = None
    seed: int = 0
    only_success: bool = False
    frame_skip: int | None = None
    looks: tuple[Look, ...] = ()
    tree: bool = True

    def __post_init__(self):
        if (self.episodes is None) == (self.minutes is None):
            raise NitrogenError("a recording needs either a number of episodes or of minutes")
        if self.episodes is not None and self.episodes < 1:
            raise NitrogenError(f"episodes is {self.episodes}, where at least 1 is needed")
        if self.minutes is not None and not 0.01 <= self.minutes <= 6000:
            raise NitrogenError(f"minutes is {self.minutes}, where 0.01 to 6000 is possible")
        for task in self.tasks:
            players.baseline(task, self.player)  # says where there is none

    def asked(self) -> dict[str, Any]:
        """What decides the files, for record.json."""
        looks = [{**vars(look), "skin": look.skin.name} for look in self.looks]
        plain = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {**plain, "tasks": [task.name for task in self.tasks], "looks": looks}


@dataclass(frozen=True)
class Take:
    """One episode that was played.

    Attributes:
        number: of the episode, counted for each task.
        outcome: one of `rollout.OUTCOMES`.
        kept: whether it has files; those named below are 0 where it has none.
        frames: of the video, one more than steps.
    """

    task: str
    number: int
    video_id: str
    seed: int
    outcome: str
    progress: float
    kept: bool
    frames: int = 0
    rate: float = 0.0
    size: tuple[int, int] = (0, 0)
    chunks: int = 0
    facts: Mapping[str, float | str] = field(default_factory=dict)


def record_tasks(
    plan: Plan, out: Path, advance: Callable[[float], None] = lambda seconds: None
) -> list[Take]:
    """Records what is not recorded yet, and returns all episodes.

    Args:
        out: a folder, made where it is not there; one of the same plan is gone on with.
        advance: is told the seconds of game time that are recorded.
    """
    for task in plan.tasks:
        if lacking := task.missing():
            raise NitrogenError(f"task {task.name} cannot be played here: {lacking}")
    out = Path(out)
    takes = _begin(plan, out)
    advance(sum(take.frames / take.rate for take in takes if take.kept))
    for task in plan.tasks:
        # A game that has crashed is started anew.
        while _following(plan, task, takes) is not None:
            with task.make(plan.frame_skip, (32, 32)) as env:
                while (number := _following(plan, task, takes)) is not None:
                    takes.append(_take(plan, task, number, env, out, takes, advance))
                    _write_about(plan, out, takes)
                    if takes[-1].outcome in (rollout.CRASH, rollout.STUCK):
                        break
    _write_about(plan, out, takes, complete=True)
    return takes


def seconds(plan: Plan) -> float:
    """Of game time that a plan keeps, at most."""
    if plan.minutes is not None:
        return 60 * plan.minutes * len(plan.tasks)
    assert plan.episodes is not None
    return plan.episodes * sum(task.seconds for task in plan.tasks)


def read(out: Path) -> list[Take]:
    """The episodes of a folder, as `record_tasks` gave them."""
    return _read(Path(out))[1]


def _take(
    plan: Plan,
    task: Task,
    number: int,
    env: PadEnv,
    out: Path,
    takes: Sequence[Take],
    advance: Callable[[float], None],
) -> Take:
    rate = env.fps / env.frame_skip
    seed = suite.seed_of(plan.seed, task.name, number)
    video_id = record.video_name(task.game, task.name.partition("/")[2], plan.player, number)
    most = None if plan.minutes is None else round(_left(plan, task, takes) * rate)
    look = plan.looks[number % len(plan.looks)] if plan.looks else None
    _clear(out, video_id)
    with record.Tape(out, video_id, task.name, rate, look, plan.tree, MAKER, most) as tape:

        def see(picture: np.ndarray, pad: Pad | None, verdict: Verdict) -> None:
            before = tape.frames
            tape.see(picture, pad)
            if not plan.only_success:
                advance((tape.frames - before) / rate)

        episode = rollout.play(task, players.baseline(task, plan.player), seed, env, see)
        wanted = (rollout.SUCCESS, *([] if plan.only_success else [rollout.FAILURE]))
        kept = episode.outcome in wanted and tape.frames > 1
        if not kept:
            tape.discard()
    if kept and plan.only_success:
        advance(tape.frames / rate)
    return Take(
        task=task.name,
        number=number,
        video_id=video_id,
        seed=seed,
        outcome=episode.outcome,
        progress=float(episode.verdict.progress),
        kept=kept,
        facts={name: results.plain(value) for name, value in episode.verdict.facts.items()},
        **({"frames": tape.frames, "rate": rate, "chunks": tape.chunks} if kept else {}),
        size=tape.size if kept else (0, 0),
    )


def _following(plan: Plan, task: Task, takes: Sequence[Take]) -> int | None:
    """The number of the next episode of a task; None where there is enough of it."""
    own = [take for take in takes if take.task == task.name]
    kept = [take for take in own if take.kept]
    if plan.episodes is not None and len(kept) >= plan.episodes:
        return None
    if plan.minutes is not None and _left(plan, task, takes) < min(SHORTEST, 30 * plan.minutes):
        return None
    if len(own) >= HOPELESS and not any(take.kept for take in own[-HOPELESS:]):
        raise Hopeless(
            f"{plan.player} was given {HOPELESS} episodes of {task.name} in a row of which none "
            "is kept: another player, or no --only-success, is needed"
        )
    return len(own)


def _left(plan: Plan, task: Task, takes: Sequence[Take]) -> float:
    """Seconds that are missing of a task's minutes."""
    assert plan.minutes is not None
    kept = (take for take in takes if take.task == task.name and take.kept)
    return 60 * plan.minutes - sum(take.frames / take.rate for take in kept)


# ---------------------------------------------------------------------------------------------
# The folder


def _begin(plan: Plan, out: Path) -> list[Take]:
    """The episodes that are there already."""
    if (out / RECORD).exists():
        asked, takes = _read(out)
        if differs := [name for name, value in plan.asked().items() if asked.get(name) != value]:
            name = differs[0]
            raise NitrogenError(
                f"{out} was begun with {name} {asked.get(name)}, where {plan.asked()[name]} is "
                "asked for now: give the same, or another --out"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NitrogenError(f"{out} exists and is no recording: a recording needs a new folder")
    else:
        takes = []
        out.mkdir(parents=True, exist_ok=True)
        _write_about(plan, out, takes)
    for name in ("videos", "actions"):
        (out / name).mkdir(exist_ok=True)
        for path in (out / name).glob(".*.tmp-*"):  # halves of a run that was killed
            remove(path)
    for look in plan.looks:
        (out / "skins").mkdir(exist_ok=True)
        if not (out / "skins" / look.skin.name).exists():
            skin_file.write(look.skin, out / "skins" / look.skin.name)
    return takes


def _read(out: Path) -> tuple[dict[str, Any], list[Take]]:
    about = results.read_json(out / RECORD)
    names = {one.name for one in dataclasses.fields(Take)}
    try:
        rows = [{name: row[name] for name in names} for row in about["episodes"]]
        takes = [Take(**{**row, "size": tuple(row["size"])}) for row in rows]
        return dict(about["asked"]), takes
    except (KeyError, TypeError, ValueError) as error:
        raise NitrogenError(
            f"{out / RECORD} is not of '{MAKER}': {type(error).__name__} {error}"
        ) from None


def _write_about(plan: Plan, out: Path, takes: Sequence[Take], complete: bool = False) -> None:
    about = {
        "maker": MAKER,
        "asked": plan.asked(),
        "complete": complete,
        "seconds": sum(take.frames / take.rate for take in takes if take.kept),
        "episodes": [vars(take) for take in takes],
    }
    with atomic_path(out / RECORD) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _clear(out: Path, video_id: str) -> None:
    """Takes away what a run that was killed has left of an episode."""
    remove(out / "videos" / f"{video_id}.mp4")
    remove(out / "actions" / f"{video_id}.npz")
    remove(out / "labels" / "actions" / record.SHARD / video_id)
