"""The first claim: labels that are read off an overlay are good enough to learn from.

One policy is trained three times, from the same pictures, with the same seeds and as many updates:
on the pads that were really held, on what was read off the overlay, and on the latter shuffled,
which has all of it but the connection to the pictures. Beside them play chance, nobody and the
expert, whose play all of it is.

The stages of a quick start are part of it, so that both can share a folder.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from nitrogen_jax.chain import quickstart, stages
from nitrogen_jax.chain.quickstart import Plan
from nitrogen_jax.chain.stages import ROOM, Stage
from nitrogen_jax.evaluation import machine, scores, tasks

TRUE, READ, SHUFFLED = "true", quickstart.POLICY, "shuffled"
PLAYERS = (TRUE, READ, SHUFFLED, quickstart.RANDOM, quickstart.IDLE, quickstart.EXPERT)
NAMES = {
    TRUE: "trained on true actions",
    READ: "trained on extracted labels",
    SHUFFLED: "trained on shuffled labels",
    quickstart.RANDOM: "random play",
    quickstart.IDLE: "an idle pad",
    quickstart.EXPERT: "the expert",
}
REPORT, RESULTS = "labels_study.html", "labels_study.json"


def chain(plan: Plan) -> list[Stage]:
    """All stages in their order."""
    own = [
        quickstart.record(plan),
        quickstart.label(plan),
        shuffle(plan),
        quickstart.records(plan),
        quickstart.records(plan, "records-true", "recording/labels", "record"),
        quickstart.records(plan, "records-shuffled", "shuffled", "shuffle"),
    ]
    trainings = [
        quickstart.train(plan),
        quickstart.train(plan, "train-true", "run-true", "records-true"),
        quickstart.train(plan, "train-shuffled", "run-shuffled", "records-shuffled"),
    ]
    titles = {name: f"Let the policy {NAMES[name]} play" for name in (TRUE, SHUFFLED)}
    more = [
        quickstart.evaluation(plan, name, titles[name], f"run-{name}", f"train-{name}")
        for name in (TRUE, SHUFFLED)
    ]
    return [*own, *trainings, *quickstart.evaluations(plan), *more, report()]


def shuffle(plan: Plan) -> Stage:
    """Labels whose actions change places."""
    words = ("data", "shuffle", "--labels", f"{ROOM}/labels", "--out", f"{ROOM}/shuffled")
    return Stage(
        name="shuffle",
        title="Shuffle the labels",
        argv=(*words, "--seed", str(plan.seed)),
        out="shuffled",
        reads=("label",),
        seconds=3,
        goes_on=False,
    )


def report() -> Stage:
    """The page."""
    reads = ("record", "label", "train", "train-true", "train-shuffled")
    return Stage(
        name="labels-study",
        title="Write the report",
        argv=("study", "labels", "--out", ROOM, "--report"),
        out=REPORT,
        reads=(*reads, *(f"eval-{who}" for who in PLAYERS)),
        seconds=6,
        goes_on=False,
    )


def gather(room: Path) -> dict[str, Any]:
    """All numbers of the study; see `quickstart_results.gather` for `numbers` and `about`."""
    from nitrogen_jax.chain import label_truth, quickstart_results

    plan = quickstart_results.read_plan(room)
    players = {who: scores.score(NAMES[who], room / "eval" / who) for who in PLAYERS}
    runs = {TRUE: "run-true", READ: "run", SHUFFLED: "run-shuffled"}
    pairs = ((READ, SHUFFLED), (READ, TRUE), (TRUE, SHUFFLED), (READ, quickstart.RANDOM))
    numbers = {
        "plan": dataclasses.asdict(plan),
        "labels": label_truth.accuracy(room / "labels", room / "recording" / "labels"),
        "training": {who: quickstart_results.training(room / run) for who, run in runs.items()},
        "players": {who: dataclasses.asdict(one) for who, one in players.items()},
        "verdicts": [scores.verdict(players[one], players[two])[1] for one, two in pairs],
        "progress_verdicts": [scores.further(players[one], players[two])[1] for one, two in pairs],
    }
    about = {
        "goal": tasks.get(plan.task).goal,
        "stages": {name: dataclasses.asdict(one) for name, one in stages.read(room).items()},
        "machine": machine.machine(),
        "versions": machine.versions([plan.task.partition("/")[0]])
        | quickstart_results.libraries(),
    }
    return {"numbers": numbers, "about": about}
