"""The page of a quick start: what each stage made, how well the policy plays, what it took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nitrogen_jax.chain import quickstart, quickstart_results
from nitrogen_jax.chain.quickstart import EXPERT, HORIZON, PLAYERS, POLICY, SIZE, Plan
from nitrogen_jax.chain.stages import Stage
from nitrogen_jax.chain.view import clock
from nitrogen_jax.evaluation import scores
from nitrogen_jax.evaluation.scores import Score
from nitrogen_jax.files import atomic_path
from nitrogen_jax.report import embedded, html, plots, quickstart_pictures
from nitrogen_jax.report.embedded import number
from nitrogen_jax.report.html import Html, Section, escape
from nitrogen_jax.training import jsonl

MOST_FILM = 3_000_000  # bytes of a recording that is shown as it is
ACCURACY = (  # of labels: words, and what `label_truth` calls it
    ("frames with a label", "coverage"),
    ("videos whose overlay was found", "localisation_recall"),
    ("button F1, mean over buttons that were pressed", "button_macro_f1"),
    ("onset F1, within one frame", "onset_f1"),
    ("stick R2, mean over sticks that moved and videos", "stick_r2"),
)


def write(room: Path) -> Path:
    """Writes report.html and results.json of a quick start whose stages are done."""
    room = Path(room)
    found = quickstart_results.gather(room)
    with atomic_path(room / quickstart.RESULTS) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    with atomic_path(room / quickstart.REPORT) as temporary:
        temporary.write_text(page(room, found), encoding="utf-8")
    return room / quickstart.REPORT


def page(room: Path, found: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        found: as `quickstart_results.gather` gives it.
    """
    numbers, about = found["numbers"], found["about"]
    plan = Plan(**numbers["plan"])
    sections = [
        Section("", _lead(plan, numbers, about)),
        Section("1. Watch: an expert plays, with a controller overlay", _watched(room, numbers)),
        Section("2. Label: the overlay is found and read", _labelled(room, numbers["labels"])),
        Section("3. Learn", _learnt(room, numbers["training"])),
        Section("4. Play and score", _played(room, plan, numbers)),
        Section("What was run", ran(quickstart.stages(plan), about)),
        Section("Where", where(about)),
    ]
    title = f"Quick start: {plan.task}"
    return html.page(title, sections, style=embedded.style())


def _lead(plan: Plan, numbers: Mapping[str, Any], about: Mapping[str, Any]) -> list[str]:
    recorded, stages = numbers["recording"], about["stages"]
    wall = sum(one["wall"] for one in stages.values())
    cpu = sum(one["cpu"] for one in stages.values())
    parts = [
        Html(f'<p class="verdict">{escape(numbers["verdict"])}</p>'),
        f"By progress, which counts what was done towards the goal: {numbers['progress_verdict']}",
        f"The task: {about['goal']} The policy saw {recorded['minutes']:.1f} minutes of an "
        f"expert's play ({recorded['episodes']} episodes), as videos with a controller overlay; "
        "what was pressed it learnt from what was read off the overlay, never from the game. It "
        f"was then scored on {plan.episodes} other episodes, whose seeds were not recorded.",
        f"All stages together took {clock(wall)} ({cpu / 60:.1f} minutes of processor time), "
        "without the installation.",
    ]
    if plan.steps < 1000:
        parts.append(
            f"This was the short form: {plan.steps} steps of training, from which nothing can be "
            "learnt. It shows that every stage works, and no more."
        )
    return parts


def _watched(room: Path, numbers: Mapping[str, Any]) -> list[str]:
    recorded, folder = numbers["recording"], room / "recording"
    parts = [
        f"{recorded['episodes']} episodes, of which the expert won {recorded['successes']}; "
        f"{recorded['frames']:,} frames, encoded as H.264. The skin of the overlay is a made-up "
        "one; the pads that were really held are kept aside, to judge the labels."
    ]
    first = min((folder / "videos").glob("*.mp4"), key=lambda path: path.stat().st_size)
    if first.stat().st_size <= MOST_FILM:
        parts.append(embedded.film(first, f"{first.name}, as it was recorded"))
    return parts


def _labelled(room: Path, labels: Mapping[str, Any]) -> list[str]:
    folder, between = room / "recording", labels["intervals"]
    table = [(words, number(labels[name], between[name])) for words, name in ACCURACY]
    read = quickstart_pictures.located(room / "labels", folder / "videos")
    skin = quickstart_pictures.template(folder / "skins")
    pressed = ", ".join(labels["pressed"]) or "none"
    return [
        html.side_by_side(
            [
                html.picture(
                    read,
                    "a frame with a red box",
                    "A frame, where the overlay was found (red), and the pad as it was read.",
                ),
                html.picture(
                    skin,
                    "the overlay's skin",
                    "The skin that was looked for: at rest, and with everything pressed.",
                ),
            ]
        ),
        html.table("Against the pads that were really held", ("what", "95 % interval>"), table),
        f"Over {labels['frames']:,} frames; intervals by resampling videos. Buttons that were "
        f"pressed: {pressed}.",
    ]


def _learnt(room: Path, training: Mapping[str, Any]) -> list[str]:
    pictures = quickstart_pictures.learnt_from(room / "records", SIZE, HORIZON)
    lines = [line for line in jsonl.read(room / "run" / "log.jsonl") if line["kind"] == "train"]
    curves = []
    for name, title in (("loss", "loss"), ("grad_norm", "norm of the gradient")):
        steps = [line["step"] for line in lines if line.get(name) is not None]
        values = [line[name] for line in lines if line.get(name) is not None]
        if steps:
            drawn = plots.lines({name: (steps, values)}, title, name, True, 0.8, png=False)
            curves.append(html.picture(drawn.svg, f"{title} over steps"))
    rows = [
        (
            words,
            f"{one['samples']:,}",
            number(one["button_f1"]),
            number(one["right_r2"]),
            number(one["left_r2"]),
        )
        for key, words in (("held_out", "never seen"), ("trained", "trained on"))
        if (one := training.get(key)) is not None
    ]
    columns = ("videos", "pictures>", "button F1>", "right stick R2>", "left stick R2>")
    return [
        html.picture(
            pictures,
            "pictures and pads",
            f"Pictures of {SIZE} pixels as the policy "
            "gets them, the overlay's place black, and the actions that are to follow.",
        ),
        f"{training['steps']:,} steps; the last loss is {training['loss']:.4f}.",
        html.side_by_side(curves),
        html.table("How well it foretells what the expert did", columns, rows),
        "An R2 is '-' where a stick never moved.",
    ]


def _played(room: Path, plan: Plan, numbers: Mapping[str, Any]) -> list[str]:
    players = {who: Score(**numbers["players"][who]) for who in PLAYERS}
    shown: list[Html] = []
    for who in PLAYERS:
        shown += embedded.films(room / "eval" / who, players[who].name)
    return [
        *embedded.scores(players),
        f"Success is what the task's judge says: {plan.episodes} episodes each, the same seeds "
        "for all. Progress is 0 for nothing done and 1 for the goal; its intervals are by "
        "resampling episodes.",
        scores.verdict(players[EXPERT], players[POLICY])[1],
        html.side_by_side(shown),
    ]


def ran(chain: Sequence[Stage], about: Mapping[str, Any]) -> list[str]:
    """The stages, their commands and what they took."""
    rows = []
    for stage in chain:
        one = about["stages"].get(stage.name)
        if one is None:
            continue
        # NOTE: the report is being written by its own stage.
        took = clock(one["wall"]) if one["done"] else "now"
        cpu = f"{one['cpu']:.0f} s" if one["done"] else ""
        rows.append(
            (
                stage.title,
                Html(f"<code>{escape(one['command'])}</code>"),
                took,
                cpu,
                one["attempts"],
            )
        )
    columns = ("stage", "command", "took>", "processor time>", "attempts>")
    return [html.table("", columns, rows), "Each of these commands can also be run alone."]


def where(about: Mapping[str, Any]) -> list[str]:
    """The machine and the versions."""
    return [_facts(about[name], name) for name in ("machine", "versions")]


def _facts(facts: Mapping[str, Any], what: str) -> Html:
    return html.table(
        what, ("what", "value"), [(name, str(value)) for name, value in facts.items()]
    )
