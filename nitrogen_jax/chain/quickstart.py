"""The quick start: watch, label, learn, play and score, as stages that a person could type.

ROOM/recording/   an expert's play with an overlay: videos, and the pads that were held
ROOM/labels/      what is read off the overlay
ROOM/records/     pictures without the overlay, and those labels
ROOM/run/         the training
ROOM/eval/WHO/    who plays how well
ROOM/report.html  all of it on one page, and ROOM/results.json its numbers
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nitrogen_jax.chain.stages import ROOM, Stage
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import tasks
from nitrogen_jax.extras import EXTRAS, install_command

TASK = "vizdoom/defend-the-line"
# Where the overlay lies is black in the records, and not when the policy plays: of each corner it
# has seen pictures with and without.
CORNERS = ("bottom-left", "bottom-right")
SIZE, HORIZON = 64, 4  # pixels that the policy looks at; control steps of its chunks
CONFIG = Path(__file__).with_name("small_policy.py")
POLICY, RANDOM, IDLE, EXPERT = "policy", "random", "idle", "expert"
PLAYERS = (POLICY, RANDOM, IDLE, EXPERT)
REPORT, RESULTS = "report.html", "results.json"
# What is compiled once serves a training that goes on, and others of the same policy.
COMPILED = {"JAX_COMPILATION_CACHE_DIR": f"{ROOM}/compiled"}


@dataclass(frozen=True)
class Plan:
    """How much of it.

    Attributes:
        minutes: of play that is recorded.
        steps: of training.
        episodes: that each player plays.
        execute: actions played of each chunk.
        seed: of the recording, of what is held out and of the training; the evaluation's is the
            next one, so that other episodes are played than those that were learnt from.
        workers: processes that play.
    """

    task: str = TASK
    minutes: float = 3.0
    steps: int = 2500
    episodes: int = 60
    execute: int = 2
    seed: int = 0
    workers: int = 2

    def __post_init__(self):
        least = {"steps": 10, "episodes": 1, "execute": 1, "seed": 0, "workers": 1}
        for name, number in least.items():
            if getattr(self, name) < number:
                raise NitrogenError(
                    f"{name} is {getattr(self, name)}, where at least {number} is needed"
                )
        if not 0.1 <= self.minutes <= 600:
            raise NitrogenError(f"minutes is {self.minutes}, where 0.1 to 600 is possible")
        if self.execute > HORIZON:
            raise NitrogenError(f"execute is {self.execute}, where a chunk has {HORIZON} actions")


SHORT = Plan(minutes=0.5, steps=40, episodes=2)  # the same stages; nothing can be learnt from it


def check(plan: Plan) -> None:
    """NitrogenError, with the line that mends it, where something is not installed."""
    task = tasks.get(plan.task)
    help_ = "in a checkout, ./launch/quickstart.sh installs all that it needs"
    if lacking := task.missing():
        raise NitrogenError(f"{lacking} ({help_})")
    if task.expert is None:
        raise NitrogenError(f"there is no expert for task {plan.task}, so that none can be watched")
    for module in EXTRAS["jax"]:
        if importlib.util.find_spec(module) is None:
            raise NitrogenError(
                f"needs {module}, which is not installed: {install_command('jax')} ({help_})"
            )


def stages(plan: Plan) -> list[Stage]:
    """All stages in their order."""
    return [record(plan), label(plan), records(plan), train(plan), *evaluations(plan), report()]


def record(plan: Plan) -> Stage:
    """An expert's play, with an overlay."""
    words = ("eval", "record", plan.task, "--minutes", f"{plan.minutes:g}")
    words += ("--seed", str(plan.seed), "--overlay", "--overlay-width", "0.3")
    words += ("--corner", *CORNERS, "--out", f"{ROOM}/recording")
    return Stage(
        name="record",
        title="Record an expert's play, with a controller overlay",
        argv=words,
        out="recording",
        seconds=15 + 15 * plan.minutes,
    )


def label(plan: Plan) -> Stage:
    """What the overlay shows."""
    words = ("label", "run", "--videos", f"{ROOM}/recording/videos")
    words += ("--skins", f"{ROOM}/recording/skins", "--game", plan.task, "--out", f"{ROOM}/labels")
    return Stage(
        name="label",
        title="Find the overlay in the videos and read it",
        argv=words,
        out="labels",
        reads=("record",),
        codes=(0, 1),  # of some videos no labels may come; the report tells
        seconds=5 + 10 * plan.minutes,
    )


def records(plan: Plan, name: str = "records", labels: str = "labels", reads="label") -> Stage:
    """Pictures and actions to train on.

    Args:
        labels: the folder of the label tree.
        reads: the stages that make it.
    """
    words = ("data", "build", "--labels", f"{ROOM}/{labels}")
    words += ("--videos", f"{ROOM}/recording/videos", "--out", f"{ROOM}/{name}")
    words += ("--size", str(SIZE), "--horizon", str(HORIZON), "--shift", "1")
    words += ("--frame-stride", "1", "--min-active", "0", "--min-confidence", "0.5")
    words += ("--split", "val=0.1", "--seed", str(plan.seed))
    return Stage(
        name=name,
        title="Build training records: pictures with the overlay blackened, and actions",
        argv=words,
        out=name,
        reads=("record", reads),
        seconds=5 + 5 * plan.minutes,
    )


def train(plan: Plan, name: str = "train", out: str = "run", reads: str = "records") -> Stage:
    """The training.

    Args:
        reads: the stage that makes the records, and their folder.
    """
    words = ("train", "--config", str(CONFIG), "--out", f"{ROOM}/{out}")
    words += (f"--data.records={ROOM}/{reads}", "--resume", f"--steps={plan.steps}")
    words += (f"--seed={plan.seed}", f"--optimizer.warmup={min(100, plan.steps // 10)}")
    words += (f"--optimizer.decay={plan.steps // 2}", f"--validation.every={plan.steps}")
    words += (f"--checkpoints.every={max(5, min(500, plan.steps // 8))}",)
    words += (f"--log_every={max(1, min(50, plan.steps // 20))}",)
    return Stage(
        name=name,
        title="Train a small policy",
        argv=words,
        out=out,
        reads=(reads,),
        files=(CONFIG,),
        env=COMPILED,
        share=training_share(out, plan.steps),
        seconds=25 + 0.04 * plan.steps,
    )


def evaluations(plan: Plan) -> list[Stage]:
    """One for each player."""
    titles = {
        POLICY: "Let the policy play",
        RANDOM: "Let chance play",
        IDLE: "Let nobody play",
        EXPERT: "Let the expert play",
    }
    return [evaluation(plan, who, titles[who]) for who in PLAYERS]


def evaluation(plan: Plan, who: str, title: str, run: str = "run", reads: str = "train") -> Stage:
    """How well somebody plays.

    Args:
        who: one of RANDOM, IDLE and EXPERT, or any name for a policy.
        run: the folder of the policy's training.
        reads: the stage that trains it.
    """
    is_policy = who not in (RANDOM, IDLE, EXPERT)
    words = ("eval", f"{ROOM}/{run}" if is_policy else who, "--task", plan.task)
    words += ("--episodes", str(plan.episodes), "--seed", str(plan.seed + 1))
    words += ("--workers", str(plan.workers), "--out", f"{ROOM}/eval/{who}")
    if is_policy:
        words += ("--execute", str(plan.execute))
    return Stage(
        name=f"eval-{who}",
        title=title,
        argv=words,
        out=f"eval/{who}",
        reads=(reads,) if is_policy else (),
        env=COMPILED if is_policy else {},
        seconds=5 + (2.5 if is_policy else 1.0) * plan.episodes,
    )


def report() -> Stage:
    """The page."""
    return Stage(
        name="report",
        title="Write the report",
        argv=("quickstart", "--out", ROOM, "--report"),
        out=REPORT,
        reads=("record", "label", "records", "train", *(f"eval-{who}" for who in PLAYERS)),
        seconds=8,
        goes_on=False,
    )


def training_share(run: str, steps: int) -> Callable[[Path], float | None]:
    """How far a training is, by the last line of its log."""

    def share(room: Path) -> float | None:
        try:
            with (room / run / "log.jsonl").open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - 4000))
                lines = file.read().splitlines()
            found = [json.loads(line)["step"] for line in lines[1:] if line.endswith(b"}")]
        except (OSError, ValueError, KeyError):
            return None
        return min(1.0, max(found, default=0) / steps)

    return share
