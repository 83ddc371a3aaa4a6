"""The page of the study of labels: one policy, trained on three kinds of actions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nitrogen_jax.chain import labels_study
from nitrogen_jax.chain.labels_study import NAMES, PLAYERS, READ, SHUFFLED, TRUE
from nitrogen_jax.chain.quickstart import Plan
from nitrogen_jax.evaluation.scores import Score
from nitrogen_jax.files import atomic_path
from nitrogen_jax.report import embedded, html, plots, quickstart_page
from nitrogen_jax.report.embedded import number
from nitrogen_jax.report.html import Html, Section, escape
from nitrogen_jax.training import jsonl

RUNS = {TRUE: "run-true", READ: "run", SHUFFLED: "run-shuffled"}


def write(room: Path) -> Path:
    """Writes the page and the numbers of a study whose stages are done."""
    room = Path(room)
    found = labels_study.gather(room)
    with atomic_path(room / labels_study.RESULTS) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    with atomic_path(room / labels_study.REPORT) as temporary:
        temporary.write_text(page(room, found), encoding="utf-8")
    return room / labels_study.REPORT


def page(room: Path, found: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        found: as `labels_study.gather` gives it.
    """
    numbers, about = found["numbers"], found["about"]
    plan = Plan(**numbers["plan"])
    players = {who: Score(**numbers["players"][who]) for who in PLAYERS}
    shown: list[Html] = []
    for who in (TRUE, READ, SHUFFLED):
        shown += embedded.films(room / "eval" / who, NAMES[who])
    lead = [
        *(Html(f'<p class="verdict">{escape(line)}</p>') for line in numbers["verdicts"]),
        "By progress: " + " ".join(numbers["progress_verdicts"]),
        f"The task: {about['goal']} One policy was trained three times from the pictures of "
        f"{plan.minutes:g} minutes of an expert's play, with the same seeds and {plan.steps:,} "
        "updates: on the pads that were held, on what was read off the overlay, and on the latter "
        "with the actions in other places, a second of them together.",
        "Success is what the task's judge says; every player plays the same "
        f"{plan.episodes} seeds. One training of each kind: what another seed of the training "
        "would give is not in the intervals.",
    ]
    if plan.steps < 1000:
        lead.append("This was the short form, from which nothing can be learnt.")
    sections = [
        Section("", lead),
        Section("Who plays how well", embedded.scores(players)),
        Section("What was learnt", _learnt(room, numbers)),
        Section("How good the labels are", _labels(numbers["labels"])),
        Section("Watch them", [html.side_by_side(shown)]),
        Section("What was run", quickstart_page.ran(labels_study.chain(plan), about)),
        Section("Where", quickstart_page.where(about)),
    ]
    return html.page(f"Labels: {plan.task}", sections, style=embedded.style())


def _learnt(room: Path, numbers: Mapping[str, Any]) -> list[str]:
    series = {}
    for who, run in RUNS.items():
        lines = [line for line in jsonl.read(room / run / "log.jsonl") if line["kind"] == "train"]
        lines = [line for line in lines if line.get("loss") is not None]
        series[NAMES[who]] = [line["step"] for line in lines], [line["loss"] for line in lines]
    drawn = plots.lines(series, "loss", "loss", True, 0.8, png=False)
    rows = []
    for who in RUNS:
        one = numbers["training"][who]
        held = one.get("held_out") or {}
        scores = (number(held.get(name)) for name in ("button_f1", "right_r2", "left_r2"))
        rows.append((NAMES[who], f"{one['steps']:,}", f"{one['loss']:.4f}", *scores))
    columns = ("", "updates>", "last loss>", "button F1>", "right stick R2>", "left stick R2>")
    return [
        html.picture(drawn.svg, "loss over steps"),
        html.table("On videos that were held out, by their own labels", columns, rows),
    ]


def _labels(labels: Mapping[str, Any]) -> list[str]:
    between = labels["intervals"]
    rows = [
        (words, number(labels[name], between[name])) for words, name in quickstart_page.ACCURACY
    ]
    return [html.table("Against the pads that were held", ("what", "95 % interval>"), rows)]
