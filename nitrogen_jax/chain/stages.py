"""Stages: commands one after the other, each done once, however often and wherever it is stopped.

    ROOM/stages/<name>.json   what a stage was asked for, and what it took; "done" once it is done
    ROOM/logs/<name>.txt      what its command has printed

A stage is a command that a person could type. It is not run again where it is done and what it
depends on is as it was: its words, the files it is told, and the stages that it reads. Where they
have changed, what it had made is removed and made anew. One that was stopped in the middle, or that
somebody has run by hand, is run again with the same words, and it is the command's own business to
go on where it was.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nitrogen_jax.chain import process
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path, remove

ROOM = "{room}"  # in the words of a command: the folder of all stages
STAGES, LOGS = "stages", "logs"
FORMAT = 1


class StageFailed(NitrogenError):
    """A command that did not do what it should."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One command.

    Attributes:
        name: in small letters, for files and for `reads`.
        title: what it does, for people.
        argv: the words after "nitrogen"; ROOM in them is replaced.
        out: what it makes, a folder or a file below the room.
        reads: names of the stages whose output it reads.
        files: whose content decides what comes of it.
        seconds: that it takes, about, on two quiet cores: for the time that is left.
        codes: exit codes with which it has done what it should.
        share: how much of it is done, 0 to 1, by what lies in the room; None: what the command
            tells, see `process`.
        env: variables of its environment where it has none of that name; ROOM in them is
            replaced.
        goes_on: whether the command goes on with what it made before it was stopped; else that is
            removed first.
    """

    name: str
    title: str
    argv: tuple[str, ...]
    out: str
    reads: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    seconds: float = 10.0
    codes: tuple[int, ...] = (0,)
    share: Callable[[Path], float | None] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    goes_on: bool = True

    def words(self, room: Path) -> list[str]:
        """What a person would type, without "nitrogen"."""
        return [word.replace(ROOM, str(room)) for word in self.argv]

    def variables(self, room: Path) -> dict[str, str]:
        """What its environment has beside this process's, which go before."""
        return {name: value.replace(ROOM, str(room)) for name, value in self.env.items()}

    def command(self, room: Path) -> str:
        """What a person would type."""
        return shlex.join(["nitrogen", *self.words(room)])


@dataclass(frozen=True)
class Done:
    """What is known of a stage that was begun.

    Attributes:
        wall: seconds, of all attempts.
        cpu: seconds of all processors, of those attempts that came to an end.
        attempts: how often it was begun.
        began, ended: when, in UTC; "" for an end that has not come.
    """

    name: str
    title: str
    command: str
    fingerprint: str
    wall: float = 0.0
    cpu: float = 0.0
    attempts: int = 0
    began: str = ""
    ended: str = ""
    done: bool = False


class Watch:
    """Is told what goes on; this one says nothing."""

    def begin(self, stage: Stage, command: str, log: Path) -> None:
        """A stage begins, or goes on."""

    def share(self, stage: Stage, share: float | None) -> None:
        """How much of the stage is done, 0 to 1; None: nobody knows."""

    def end(self, stage: Stage, done: Done, again: bool) -> None:
        """A stage is done; `again`: it was so before."""

    def note(self, text: str) -> None:
        """Something worth a line of its own."""


def run(
    stages: Sequence[Stage],
    room: Path,
    watch: Watch | None = None,
    only: Sequence[str] | None = None,
) -> dict[str, Done]:
    """Runs what is not done, in the order given; name -> what it took.

    StageFailed where a command fails; KeyboardInterrupt ends the command that is running first.

    Args:
        room: a folder, made where it is not there.
        only: names of the stages that may run here; the others have to be done, or are not read.
    """
    watch = watch or Watch()
    _check(stages)
    room = Path(room)
    (room / STAGES).mkdir(parents=True, exist_ok=True)
    (room / LOGS).mkdir(exist_ok=True)
    found: dict[str, Done] = {}
    with process.alone(room / STAGES / ".lock", room):
        prints = fingerprints(stages)
        for stage in stages:
            if only is not None and stage.name not in only:
                before = read_one(room, stage.name)
                if before is not None and before.done:
                    found[stage.name] = before
                continue
            if lacking := [name for name in stage.reads if name not in found]:
                raise NitrogenError(f"stage {stage.name} needs {lacking[0]}, which is not done")
            found[stage.name] = _run_one(stage, room, prints[stage.name], watch)
    return found


def fingerprints(stages: Sequence[Stage]) -> dict[str, str]:
    """Name -> 16 hexadecimal digits of all that decides what a stage makes."""
    found: dict[str, str] = {}
    for stage in stages:
        told = {
            "format": FORMAT,
            "argv": stage.argv,
            "out": stage.out,
            "env": dict(stage.env),
            "reads": {name: found[name] for name in stage.reads},
            "files": [hashlib.sha256(path.read_bytes()).hexdigest() for path in stage.files],
        }
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        found[stage.name] = digest.hexdigest()[:16]
    return found


def read(room: Path) -> dict[str, Done]:
    """Name -> what is known of each stage that was ever begun in a room."""
    names = [path.stem for path in sorted((Path(room) / STAGES).glob("*.json"))]
    return {name: one for name in names if (one := read_one(room, name)) is not None}


def read_one(room: Path, name: str) -> Done | None:
    """What is known of one stage; None where it was never begun."""
    path = Path(room) / STAGES / f"{name}.json"
    try:
        content = json.loads(path.read_bytes())
        return Done(**content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise NitrogenError(f"{path} cannot be read: {error}") from None


def _check(stages: Sequence[Stage]) -> None:
    names: set[str] = set()
    for stage in stages:
        if stage.name in names:
            raise NitrogenError(f"there are two stages called {stage.name}")
        for name in stage.reads:
            if name not in names:
                raise NitrogenError(f"stage {stage.name} reads {name}, which does not come before")
        names.add(stage.name)


def _run_one(stage: Stage, room: Path, fingerprint: str, watch: Watch) -> Done:
    before = read_one(room, stage.name)
    made = room / stage.out
    if before is not None and before.fingerprint == fingerprint:
        if before.done and made.exists():
            watch.end(stage, before, True)
            return before
        if not stage.goes_on:
            remove(made)
    else:
        if made.exists() and before is not None:
            watch.note(f"{stage.title}: asked for differently than before, and made anew")
            remove(made)
        elif made.exists() and not stage.goes_on:
            raise NitrogenError(f"{made} is there already and was not made by these stages")
        elif made.exists():  # by hand: the command itself knows what it can go on with
            watch.note(f"{stage.title}: {made} is there already, and is gone on with")
        before = None
    command = stage.command(room)
    begun = before or Done(stage.name, stage.title, command, fingerprint)
    begun = dataclasses.replace(
        begun,
        command=command,
        attempts=begun.attempts + 1,
        began=begun.began or _now(),
        ended="",
        done=False,
    )
    _write(room, begun)
    log = room / LOGS / f"{stage.name}.txt"
    watch.begin(stage, command, log)
    start, told = time.monotonic(), [time.monotonic()]

    def tell(share: float | None) -> None:
        if stage.share is not None:
            share = stage.share(room)
        watch.share(stage, share)
        if time.monotonic() - told[0] > 5:  # what an attempt took that will be killed
            told[0] = time.monotonic()
            _write(room, dataclasses.replace(begun, wall=begun.wall + told[0] - start))

    def spent(cpu: float) -> Done:
        wall = round(begun.wall + time.monotonic() - start, 2)
        return dataclasses.replace(begun, wall=wall, cpu=round(begun.cpu + cpu, 2))

    ran = process.run(stage.words(room), log, {**stage.variables(room), **os.environ}, tell)
    if ran.interrupted or ran.code not in stage.codes or not made.exists():
        _write(room, spent(ran.cpu))
        if ran.interrupted:
            raise KeyboardInterrupt
        what = f"exit code {ran.code}" if ran.code not in stage.codes else f"it made no {made}"
        raise StageFailed(
            f"stage {stage.name} failed ({what}): {command}\n{ran.tail}\nAll that it printed is in "
            f"{log}; the same command as before goes on from here."
        )
    done = dataclasses.replace(spent(ran.cpu), ended=_now(), done=True)
    _write(room, done)
    watch.end(stage, done, False)
    return done


def _write(room: Path, one: Done) -> None:
    with atomic_path(room / STAGES / f"{one.name}.json") as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(one), indent=1) + "\n")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
