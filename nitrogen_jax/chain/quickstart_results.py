"""What came of a quick start: every number of its page, gathered from what the stages wrote."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from nitrogen_jax.chain import label_truth, stages
from nitrogen_jax.chain.quickstart import PLAYERS, POLICY, RANDOM, Plan
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import machine, recording, scores, tasks
from nitrogen_jax.files import atomic_path

PLAN = "plan.json"


def write_plan(plan: Plan, room: Path) -> None:
    """Notes what was asked for, for the page."""
    room.mkdir(parents=True, exist_ok=True)
    with atomic_path(room / PLAN) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(plan), indent=1) + "\n")


def read_plan(room: Path) -> Plan:
    """What was asked for."""
    try:
        return Plan(**json.loads((room / PLAN).read_bytes()))
    except FileNotFoundError:
        raise NitrogenError(f"{room} is no quick start: it has no {PLAN}") from None
    except (OSError, ValueError, TypeError) as error:
        raise NitrogenError(f"{room / PLAN} cannot be read: {error}") from None


def gather(room: Path) -> dict[str, Any]:
    """All numbers.

    `numbers` depends on the plan alone, so that a run that was stopped and gone on with has the
    same; `about` holds what took how long, and where.
    """
    plan = read_plan(room)
    takes = [take for take in recording.read(room / "recording") if take.kept]
    players = {who: scores.score(named(who), room / "eval" / who) for who in PLAYERS}
    better, sentence = scores.verdict(players[POLICY], players[RANDOM])
    further, progress = scores.further(players[POLICY], players[RANDOM])
    numbers = {
        "plan": dataclasses.asdict(plan),
        "recording": {
            "episodes": len(takes),
            "successes": sum(take.outcome == "success" for take in takes),
            "frames": sum(take.frames for take in takes),
            "minutes": sum(take.frames / take.rate for take in takes) / 60,
        },
        "labels": label_truth.accuracy(room / "labels", room / "recording" / "labels"),
        "training": training(room / "run"),
        "players": {who: dataclasses.asdict(one) for who, one in players.items()},
        "better": better,
        "verdict": sentence,
        "further": further,
        "progress_verdict": progress,
    }
    about = {
        "goal": tasks.get(plan.task).goal,
        "stages": {name: dataclasses.asdict(one) for name, one in stages.read(room).items()},
        "machine": machine.machine(),
        "versions": machine.versions([plan.task.partition("/")[0]]) | libraries(),
    }
    return {"numbers": numbers, "about": about}


def named(who: str) -> str:
    """A player, in words."""
    words = {POLICY: "the learned policy", RANDOM: "random play", "idle": "an idle pad"}
    return words.get(who, f"the {who}")


def training(run: Path) -> dict[str, Any]:
    """What a run has learnt: its last loss, and what it says of pictures `held_out` and `trained`.

    Each of the two has samples, button_f1 (over all buttons), left_r2 and right_r2, over all
    actions of the chunks; a number is None where nothing was pressed or moved.
    """
    path = run / "result.json"
    try:
        result = json.loads(path.read_bytes())
        metrics = result["metrics"]
        found = {"steps": result["step"], "loss": metrics["train"]["loss"]}
        for name, told in (("held_out", "validation"), ("trained", "trained")):
            if told not in metrics:
                continue
            overall = metrics[told]["overall"]
            found[name] = {
                "samples": metrics[told]["samples"],
                "button_f1": overall["buttons"]["micro_f1"],
                **{f"{side}_r2": overall["sticks"][side]["r2"] for side in ("left", "right")},
            }
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NitrogenError(f"{path} cannot be read: {error}") from None


def libraries() -> dict[str, str]:
    """Versions of what computes and writes here."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("jax", "jaxlib", "flax", "av", "pyarrow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
