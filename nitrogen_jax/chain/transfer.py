"""The transfer study as stages: does pre-training on other games help on one that is new?

One policy is pre-trained on scripted play of some tasks. Two tasks are held out: one near to those,
one far from them. For each, and for each amount of play, a policy that starts from the pre-trained
one and one that starts from nothing see the same records in the same order for the same number of
updates, and play the same episodes.

    ROOM/play/, records-*/  scripted play and the training records made of it
    ROOM/runs/, evals/      trainings and evaluations, named by `Study.run`
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nitrogen_jax.chain.quickstart import training_share
from nitrogen_jax.chain.stages import ROOM, Stage
from nitrogen_jax.errors import NitrogenError

NEAR, FAR = "near", "far"
WHERE = (NEAR, FAR)
PRETRAINED, SCRATCH = "pretrained", "scratch"
STARTS = (PRETRAINED, SCRATCH)
PRETRAIN, ZERO = "pretrain", "zero-shot"
REFERENCES = ("random", "expert")
CONFIGS = Path("configs/transfer")
CONFIG_OF = {PRETRAIN: "pretrain.py", PRETRAINED: "finetune.py", SCRATCH: "scratch.py"}
WORKERS = 2  # that play; answers are made for as many at a time, whatever the machine


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        played: tasks whose play is recorded for pre-training.
        near, far: the tasks that are held out; where they are among `played`, too.
        pretrain_minutes: of play of each task that is pre-trained on.
        minutes: amounts of play of a held-out task.
        seeds: of the trainings on held-out tasks: order of samples, noise, random parameters.
        pretrain_steps, steps: updates.
        stride: steps of the play from one picture that is trained on to the next.
        execute: actions that are played of each chunk.
        episodes: that each policy plays.
        counts: held-out task -> what its judge counts, the more the better, which is told beside
            success and progress: these end at 0.
        train: further words for `nitrogen train`, the same for every training.
        play_seed, eval_seed: of the play that is recorded, and of the episodes.
    """

    played: tuple[str, ...]
    near: str
    far: str
    pretrain_minutes: float = 2.0
    minutes: tuple[float, ...] = (1.0, 5.0, 20.0)
    seeds: tuple[int, ...] = (0,)
    pretrain_steps: int = 3000
    steps: int = 700
    stride: int = 1
    execute: int = 2
    episodes: int = 20
    counts: Mapping[str, str] = field(default_factory=dict)
    train: tuple[str, ...] = ()
    play_seed: int = 1000
    eval_seed: int = 0

    def check(self) -> Study:
        """Returns itself; raises one sentence about the first thing that makes no sense."""
        from nitrogen_jax.evaluation import suite

        for task in suite.chosen(names=(*self.played, self.near, self.far)):
            if task.expert is None:
                raise NitrogenError(f"study: task {task.name} has no expert to learn from")
        if not self.pretrain or not self.minutes or not self.seeds:
            raise NitrogenError("study: tasks, minutes and seeds need at least one each")
        if self.near == self.far:
            raise NitrogenError(f"study: near and far are two tasks, and {self.near} is named")
        if unknown := self.counts.keys() - {self.near, self.far}:
            raise NitrogenError(f"study: counts names {min(unknown)}, which is not held out")
        for name in ("minutes", "seeds"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise NitrogenError(f"study: {name} names one of them twice")
        for name in ("pretrain_steps", "steps", "stride", "execute", "episodes"):
            if getattr(self, name) < 1:
                raise NitrogenError(
                    f"study: {name} is {getattr(self, name)}, where at least 1 is needed"
                )
        # NOTE: equal seeds would put episodes that are played into what is learned from.
        if self.play_seed == self.eval_seed:
            raise NitrogenError("study: play_seed and eval_seed are the same")
        return self

    @property
    def pretrain(self) -> tuple[str, ...]:
        """The tasks that are pre-trained on."""
        return tuple(task for task in self.played if task not in (self.near, self.far))

    def held_out(self, where: str) -> str:
        """The held-out task of NEAR or FAR."""
        return self.near if where == NEAR else self.far

    @staticmethod
    def run(where: str, minutes: float, start: str, seed: int) -> str:
        """What a training and its evaluation are called."""
        return f"{_data(where, minutes)}-{start}-{seed}"


def stages(study: Study) -> list[Stage]:
    """All of them, in order; the words of their commands are the study's own numbers.

    Small amounts of play come first: what is compared early can be looked at early.
    """
    every = [*_play(study, PRETRAIN, study.played, study.pretrain_minutes)]
    every += [*_pretraining(study), *_references(study)]
    for minutes in study.minutes:
        for where in WHERE:
            task = study.held_out(where)
            every += _play(study, _data(where, minutes), (task,), minutes)
            every += _fine_tuning(study, where, minutes)
    return every


def _play(study: Study, name: str, tasks: tuple[str, ...], minutes: float) -> Iterator[Stage]:
    """Scripted play, and the records made of it."""
    argv = ("eval", "record", *tasks, "--minutes", f"{minutes:g}", "--seed")
    yield Stage(
        name=f"play-{name}",
        title=f"scripted play: {_told(study, name)}",
        argv=(*argv, str(study.play_seed), "--out", f"{ROOM}/play/{name}"),
        out=f"play/{name}",
        seconds=5 + 8 * minutes * len(tasks),
    )
    yield _records(study, name, minutes * len(tasks))


def _records(study: Study, name: str, minutes: float) -> Stage:
    play = f"{ROOM}/play/{name}"
    argv = ("data", "build", "--labels", f"{play}/labels", "--videos", f"{play}/videos")
    argv += ("--out", f"{ROOM}/records-{name}", "--split", "val=0", "--size", "64")
    # Rest is an action here: a policy that never learned it would never stand still.
    argv += ("--frame-stride", str(study.stride), "--horizon", "4", "--min-active", "0")
    if name == PRETRAIN:
        argv += tuple(
            word
            for task in study.played
            if task not in study.pretrain
            for word in ("--holdout", task)
        )
    return Stage(
        name=f"records-{name}",
        title=f"training records: {_told(study, name)}",
        argv=argv,
        out=f"records-{name}",
        reads=(f"play-{name}",),
        seconds=4 + 3 * minutes,
    )


def _references(study: Study) -> Iterator[Stage]:
    for name in REFERENCES:
        argv = ("eval", name, *_episodes(study, study.near, study.far))
        yield Stage(
            name=f"eval-{name}",
            title=f"who never learned: {name}",
            argv=(*argv, "--out", f"{ROOM}/evals/{name}"),
            out=f"evals/{name}",
            seconds=5 + 4 * study.episodes,
            codes=(0, 1),
        )


def _pretraining(study: Study) -> Iterator[Stage]:
    yield Stage(
        name=f"train-{PRETRAIN}",
        title=f"pre-training on {len(study.pretrain)} tasks",
        argv=_training(study, PRETRAIN, PRETRAIN, PRETRAIN, 0),
        out=f"runs/{PRETRAIN}",
        reads=(f"records-{PRETRAIN}",),
        files=_files(PRETRAIN),
        seconds=20 + 0.05 * study.pretrain_steps,
        share=training_share(f"runs/{PRETRAIN}", study.pretrain_steps),
    )
    yield _evaluation(study, ZERO, PRETRAIN, (study.near, study.far))


def _fine_tuning(study: Study, where: str, minutes: float) -> Iterator[Stage]:
    data = _data(where, minutes)
    for seed in study.seeds:
        for start in STARTS:
            run = study.run(where, minutes, start, seed)
            more = (f"--start.checkpoint={ROOM}/runs/{PRETRAIN}",) if start == PRETRAINED else ()
            yield Stage(
                name=f"train-{run}",
                title=f"{start}, seed {seed}: {_told(study, data)}",
                argv=(*_training(study, start, run, data, seed), *more),
                out=f"runs/{run}",
                reads=(f"records-{data}", *([f"train-{PRETRAIN}"] if more else [])),
                files=_files(start),
                seconds=20 + 0.05 * study.steps,
                share=training_share(f"runs/{run}", study.steps),
            )
            yield _evaluation(study, run, run, (study.held_out(where),))


def _training(study: Study, kind: str, run: str, data: str, seed: int) -> tuple[str, ...]:
    steps = study.pretrain_steps if kind == PRETRAIN else study.steps
    return (
        *("train", "--config", str(CONFIGS / CONFIG_OF[kind])),
        *("--out", f"{ROOM}/runs/{run}", "--resume", f"--data.records={ROOM}/records-{data}"),
        *(f"--steps={steps}", f"--seed={seed}", f"--optimizer.warmup={steps // 20}"),
        *(f"--optimizer.decay={steps // 2}", f"--checkpoints.every={max(25, steps // 6)}"),
        *study.train,
    )


def _evaluation(study: Study, name: str, run: str, tasks: tuple[str, ...]) -> Stage:
    argv = ("eval", f"{ROOM}/runs/{run}", *_episodes(study, *tasks))
    argv += ("--execute", str(study.execute), "--batch", str(WORKERS))
    return Stage(
        name=f"eval-{name}",
        title=f"{study.episodes} episodes each: {name}",
        argv=(*argv, "--out", f"{ROOM}/evals/{name}"),
        out=f"evals/{name}",
        reads=(f"train-{run}",),
        seconds=12 + 3 * study.episodes * len(tasks),
    )


def _episodes(study: Study, *tasks: str) -> tuple[str, ...]:
    return (
        *("--task", *tasks, "--episodes", str(study.episodes), "--seed", str(study.eval_seed)),
        *("--workers", str(WORKERS), "--no-clips", "--strict"),
    )


def _files(kind: str) -> tuple[Path, ...]:
    """Configs of which a training is made; the others are made of that of pre-training."""
    return tuple(CONFIGS / CONFIG_OF[name] for name in dict.fromkeys((PRETRAIN, kind)))


def _data(where: str, minutes: float) -> str:
    return f"{where}-{minutes:g}"


def _told(study: Study, data: str) -> str:
    """What play or records are of, for people."""
    if data == PRETRAIN:
        return f"{study.pretrain_minutes:g} min of each task for pre-training"
    where, _, minutes = data.partition("-")
    return f"{minutes} min of {study.held_out(where)} ({where})"


def asked(study: Study) -> dict[str, object]:
    """The study as plain data."""
    return dataclasses.asdict(study)
