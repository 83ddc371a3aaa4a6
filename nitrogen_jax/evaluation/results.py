"""The folder of an evaluation: what was played and what came of it; written once, read by many.

eval.json       policy, tasks with their tags, seed, machine, the command that repeats it
episodes.jsonl  one finished episode a line, never changed once it is there
actions/*.npz   what was held, replayable (`sim.actions`)
clips/*.mp4     the first success and the first failure of each task
verdicts.json   what a person said
report.html     all of it as a page
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.rollout import OUTCOMES
from nitrogen_jax.evaluation.task import CATEGORIES, Task

FORMAT = "nitrogen eval 1"
ABOUT, EPISODES = "eval.json", "episodes.jsonl"
REPORT, ACTIONS, CLIPS = "report.html", "actions", "clips"


@dataclass(frozen=True, kw_only=True)
class Played:
    """One finished episode: a line of episodes.jsonl.

    Attributes:
        task: its name.
        episode: 0, 1, ... of that task.
        seed: of the game, 0 to 2**31 - 1.
        outcome: one of `rollout.OUTCOMES`.
        progress: 0 to 1, of the last verdict.
        facts: what the judge read.
        steps: that were played, `frame_skip` frames of the game each.
        seconds: of game time.
        wall: seconds of real time.
        why: what went wrong, "" if nothing did.
        frames_hash: of all that was seen; "" where nothing is known.
        actions, clip: files, relative to the folder; None where there is none.
    """

    task: str
    episode: int
    seed: int
    outcome: str
    progress: float = 0.0
    facts: Mapping[str, float | str] = field(default_factory=dict)
    steps: int = 0
    frame_skip: int = 1
    seconds: float = 0.0
    wall: float = 0.0
    why: str = ""
    frames_hash: str = ""
    actions: str | None = None
    clip: str | None = None

    @property
    def stem(self) -> str:
        """Of its files' names."""
        return f"{self.task.replace('/', '__')}-{self.episode}"


@dataclass(frozen=True)
class Results:
    """An evaluation that was read.

    Attributes:
        folder: where it lies.
        about: eval.json.
        episodes: sorted by task and episode.
    """

    folder: Path
    about: Mapping[str, Any]
    episodes: tuple[Played, ...]

    @property
    def tags(self) -> Mapping[str, Mapping[str, Any]]:
        """Task -> category, dimensions, procedural, goal, seconds; of all tasks asked for."""
        return self.about["tags"]

    @property
    def missing(self) -> list[tuple[str, int]]:
        """(task, episode) that were asked for and are not played yet, skipped tasks left out."""
        done = {(one.task, one.episode) for one in self.episodes}
        wanted = [task for task in self.about["tasks"] if task not in self.about["skipped"]]
        every = [(task, at) for task in wanted for at in range(self.about["episodes"])]
        return [one for one in every if one not in done]

    def file(self, relative: str | None) -> Path | None:
        """A file that an episode names, None where it is not there."""
        path = None if relative is None else self.folder / relative
        return path if path is not None and path.is_file() else None


def tags_of(task: Task) -> dict[str, Any]:
    """What eval.json keeps of a task, so that it can be read where there is no such task."""
    return {
        "goal": task.goal,
        "category": task.category,
        "dimensions": task.dimensions,
        "procedural": task.procedural,
        "seconds": task.seconds,
        "repeats": task.repeats,
    }


# ---------------------------------------------------------------------------------------------
# Reading: what others wrote is checked


def read(folder: str | Path) -> Results:
    """A folder's results; half a last line, of a run that was killed, is left out."""
    folder = Path(folder)
    about = read_about(folder)
    episodes, _ = read_episodes(folder)
    unknown = sorted({one.task for one in episodes} - about["tags"].keys())
    if unknown:
        raise NitrogenError(f"{folder / EPISODES}: {unknown[0]} is none of the tasks of {ABOUT}")
    return Results(folder, about, tuple(sorted(episodes, key=lambda one: (one.task, one.episode))))


def read_about(folder: Path) -> dict[str, Any]:
    """eval.json, checked."""
    path = folder / ABOUT
    about = read_json(path)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise NitrogenError(f"{path} is not of the format {FORMAT!r}")
    needed = {"policy": dict, "tasks": list, "tags": dict, "skipped": dict, "seed": int}
    for name, kind in {**needed, "episodes": int}.items():
        if not isinstance(about.get(name), kind):
            raise NitrogenError(f"{path}: {name} is not a {kind.__name__}")
    for task in about["tasks"]:
        tag = about["tags"].get(task) if isinstance(task, str) else None
        if (
            not isinstance(tag, dict)
            or tag.get("category") not in CATEGORIES
            or tag.get("dimensions") not in (2, 3)
            or not isinstance(tag.get("procedural"), bool)
        ):
            raise NitrogenError(f"{path}: the tags of task {task!r:.60} are not complete")
    return about


def read_episodes(folder: Path) -> tuple[list[Played], int]:
    """All episodes in the order of the file, and how many bytes of it are whole lines."""
    path, found, whole = folder / EPISODES, {}, 0
    data = _bytes(path) if path.exists() else b""
    rows = data.split(b"\n")
    for number, row in enumerate(rows, 1):
        if number == len(rows):
            break  # what stands behind the last newline is no whole line
        try:
            one = played_from(json.loads(row, parse_constant=_no_number))
        except (NitrogenError, ValueError, RecursionError) as error:
            # A machine that lost its power may leave a last line of zeros.
            if number == len(rows) - 1:
                break
            raise NitrogenError(f"{path}, line {number}: {error}") from None
        if (one.task, one.episode) in found:
            raise NitrogenError(
                f"{path}, line {number}: episode {one.episode} of {one.task} is there twice"
            )
        found[one.task, one.episode] = one
        whole += len(row) + 1
    return list(found.values()), whole


def played_from(data: Any) -> Played:
    """One line's data as an episode, checked."""
    if not isinstance(data, dict):
        raise NitrogenError("it is no JSON object")
    names = {one.name for one in dataclasses.fields(Played)}
    given = {name: value for name, value in data.items() if name in names}
    for name in ("task", "episode", "seed", "outcome"):
        if name not in given:
            raise NitrogenError(f"it has no {name}")
    for name in ("task", "outcome", "why", "frames_hash"):
        _check(given, name, isinstance(given.get(name, ""), str), "a text")
    for name in ("episode", "seed", "steps", "frame_skip"):
        value = given.get(name, 0)
        _check(given, name, type(value) is int and value >= 0, "a whole number")
    for name in ("progress", "seconds", "wall"):
        value = given.get(name, 0.0)
        right = isinstance(value, int | float) and not isinstance(value, bool)
        right = right and math.isfinite(value) and 0 <= value <= (1 if name == "progress" else 1e9)
        _check(given, name, right, "a number of 0 to 1" if name == "progress" else "a number")
    _check(given, "outcome", given["outcome"] in OUTCOMES, f"one of {', '.join(OUTCOMES)}")
    _check(given, "facts", isinstance(given.get("facts", {}), dict), "an object")
    for name in ("actions", "clip"):
        _check(given, name, given.get(name) is None or _inside(given[name]), "a path inside")
    return Played(**given)


def played_to(one: Played) -> dict[str, Any]:
    """The inverse of `played_from`."""
    return dataclasses.asdict(one) | {"facts": dict(one.facts)}


def plain(value: object) -> float | str:
    """A judge's fact as JSON can say it."""
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else str(number)


def read_json(path: Path) -> Any:
    """A file of JSON; NitrogenError where it is none."""
    data = _bytes(path)
    try:
        return json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise NitrogenError(f"{path} is not JSON: {error}") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NitrogenError(f"cannot read {path}: {error.strerror}") from None


def _check(data: Mapping[str, Any], name: str, right: bool, wanted: str) -> None:
    if not right:
        raise NitrogenError(f"{name} is {data[name]!r:.60}, where {wanted} is needed")


def _inside(path: Any) -> bool:
    if not isinstance(path, str) or not path or "\0" in path:
        return False
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")
