"""What came of a transfer study, as files: a page, Markdown, the plot alone, and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from nitrogen_jax.chain.transfer import PRETRAINED, REFERENCES, SCRATCH, WHERE, ZERO
from nitrogen_jax.chain.transfer_results import COUNT, Cell, Found
from nitrogen_jax.evaluation.paired import MEASURES, Difference
from nitrogen_jax.files import atomic_path
from nitrogen_jax.report import html, transfer_plot

PAGE, MARKDOWN, PLOT, DATA = "report.html", "RESULTS.md", "plot.svg", "results.json"
TITLE = "Transfer: pre-trained on other games, or from scratch?"
WHO = {
    "random": "random pad",
    "expert": "scripted expert",
    ZERO: "pre-trained, none of it",
    PRETRAINED: "pre-trained",
    SCRATCH: "from scratch",
}


class Table(NamedTuple):
    """A table; columns whose name ends in ">" are right-aligned."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def write(found: Found, out: Path) -> Path:
    """Writes all four files into a folder; the path of the page."""
    out.mkdir(parents=True, exist_ok=True)
    plot = transfer_plot.draw(found)
    files = {
        PLOT: plot,
        DATA: json.dumps(found.plain(), indent=1) + "\n",
        MARKDOWN: markdown(found),
        PAGE: page(found, plot),
    }
    for name, text in files.items():
        with atomic_path(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return out / PAGE


def conclusions(found: Found) -> list[str]:
    """What the intervals allow to be said, a sentence for each place and measure, and for all."""
    said = []
    for group in (*WHERE, "all"):
        for measure in MEASURES:
            one = found.of(group, None, measure)
            if one is None or one.difference is None:
                continue
            assert one.low is not None
            assert one.high is not None
            verdict = "no difference is shown"
            if one.low > 0:
                verdict = "the pre-trained start is ahead"
            elif one.high < 0:
                verdict = "the start from scratch is ahead"
            what = "all together" if group == "all" else f"{group} ({found.study.held_out(group)})"
            said.append(
                f"{measure}, {what}: {verdict}, {_points(one)} points over {one.pairs} pairs."
            )
    return said


def tables(found: Found) -> list[Table]:
    """What was played, the differences by place and by category, and what it took."""
    differences = [_differences(found, measure) for measure in MEASURES]
    counts = [_counts(found)] if found.study.counts else []
    return [_played(found), *differences, *counts, _cost(found)]


def page(found: Found, plot: str) -> str:
    """The page; it holds all that it shows."""
    words = "bars of success and progress by minutes of play, for both starts"
    sections = [
        ("", [_about(found), *([_lacking(found)] if found.missing else [])]),
        ("What it says", [*conclusions(found), html.picture(plot, words)]),
        ("Numbers", [html.table(*one) for one in tables(found)[:-1]]),
        ("How", [*_how(found), html.table(*tables(found)[-1])]),
        (
            "Commands",
            [
                html.fold(
                    "every stage; OUT is the folder of the study",
                    [one.command for one in found.done],
                )
            ],
        ),
    ]
    return html.page(TITLE, sections)


def markdown(found: Found) -> str:
    """The same for reading beside the code."""
    parts = [f"# {TITLE}", _about(found)]
    parts += [_lacking(found)] if found.missing else []
    parts += ["\n".join(f"- {one}" for one in conclusions(found)), f"![plot]({PLOT})"]
    parts += [_as_markdown(one) for one in tables(found)[:-1]]
    parts += ["## How", *_how(found), _as_markdown(tables(found)[-1])]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------------------------------------
# Tables


def _played(found: Found) -> Table:
    columns = ("task", "who", "play, min>", "successes>", "success (95 %)>", "progress (95 %)>")
    rows = []
    for where in WHERE:
        own = [one for one in found.cells if one.where == where]
        own.sort(key=lambda one: (one.minutes, list(WHO).index(one.who)))
        rows += [_row(one) for one in own]
    return Table("Episodes", columns, rows)


def _row(cell: Cell) -> tuple[str, ...]:
    one, success, progress = cell.summary, "-", "-"
    if (bar := transfer_plot.bar(cell, "success")) is not None:
        success = f"{_percent(bar.value)} ({100 * bar.low:.0f} to {100 * bar.high:.0f})"
    if (bar := transfer_plot.bar(cell, "progress")) is not None:
        progress = f"{bar.value:.2f} ({bar.low:.2f} to {bar.high:.2f})"
    apart = sum(one.apart.values())
    won = f"{one.successes}/{one.judged}" + (f", {apart} apart" if apart else "")
    minutes = f"{cell.minutes:g}" if cell.minutes else "-"
    name = f"{cell.where}: {cell.task} ({cell.category})"
    return (name, WHO[cell.who], minutes, won, success, progress)


def _differences(found: Found, measure: str) -> Table:
    columns = ("tasks", "play, min>", "pairs>", "pre-trained>", "scratch>")
    columns += ("difference, points (95 %)>", "relative (95 %)>")
    rows = []
    for one in found.compared:
        if one.measure == measure:
            made = one.difference
            minutes = "all" if one.minutes is None else f"{one.minutes:g}"
            numbers = (_percent(made.a), _percent(made.b), _points(made), _relative(made))
            rows.append((one.group, minutes, str(made.pairs), *numbers))
    return Table(f"{measure.capitalize()}, by place and by task category", columns, rows)


def _counts(found: Found) -> Table:
    columns = ("task", "play, min>", "pairs>", "pre-trained>", "scratch>", "difference (95 %)>")
    rows = []
    for one in found.compared:
        made = one.difference
        if one.measure != COUNT or None in (made.a, made.b, made.difference):
            continue
        task = found.study.held_out(one.group)
        rows.append(
            (
                f"{one.group}: {found.study.counts[task]} of {task}",
                "all" if one.minutes is None else f"{one.minutes:g}",
                str(made.pairs),
                f"{made.a:.1f}",
                f"{made.b:.1f}",
                f"{made.difference:+.1f} ({made.low:+.1f} to {made.high:+.1f})",
            )
        )
    for one in found.cells:
        if one.count is not None and not one.minutes:
            name = f"{one.where}: {WHO[one.who]}"
            rows.append((name, "-", str(one.summary.judged), f"{one.count:.1f}", "", ""))
    return Table("What the judge counts; success and progress end at 0", columns, rows)


def _cost(found: Found) -> Table:
    rows = [
        (
            one.name if one.done else f"{one.name} (not done)",
            f"{one.wall / 60:.1f}",
            f"{one.cpu / 60:.1f}",
            str(one.attempts),
        )
        for one in found.done
    ]
    wall, cpu = (sum(getattr(one, name) for one in found.done) / 60 for name in ("wall", "cpu"))
    rows.append(("all", f"{wall:.1f}", f"{cpu:.1f}", ""))
    return Table("What it took", ("stage", "wall, min>", "CPU, min>", "attempts>"), rows)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _points(one: Difference) -> str:
    if one.difference is None or one.low is None or one.high is None:
        return "-"
    low, high = 100 * one.low, 100 * one.high
    return f"{100 * one.difference:+.0f} ({low:+.0f} to {high:+.0f})"


def _relative(one: Difference) -> str:
    if one.relative is None:
        return "-"
    if one.relative_low is None or one.relative_high is None:
        return f"{one.relative:+.0%}"
    return f"{one.relative:+.0%} ({one.relative_low:+.0%} to {one.relative_high:+.0%})"


def _as_markdown(table: Table) -> str:
    heads = [name.rstrip(">") for name in table.columns]
    rules = ["---:" if name.endswith(">") else "---" for name in table.columns]
    lines = [heads, rules, *table.rows]
    return f"**{table.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


# ---------------------------------------------------------------------------------------------
# Words


def _about(found: Found) -> str:
    study = found.study
    amounts = ", ".join(f"{minutes:g}" for minutes in study.minutes)
    return (
        f"One policy was pre-trained in {study.pretrain_steps:,} updates on scripted play of "
        f"{len(study.pretrain)} tasks ({study.pretrain_minutes:g} minutes each). On {amounts} "
        f"minutes of play of two tasks that are not among them ({study.near}, near; {study.far}, "
        f"far) it was fine-tuned, and the same policy was trained from scratch: the same records "
        f"in the same order, {study.steps:,} updates each. Both played the same "
        f"{study.episodes} episodes, once for each seed of the trainings "
        f"({', '.join(map(str, study.seeds))})."
    )


def _how(found: Found) -> list[str]:
    study, machine = found.study, found.machine
    told = ", ".join(f"{name} {value}" for name, value in machine.items())
    return [
        f"Pre-trained on: {', '.join(study.pretrain)}.",
        f"Seeds: {study.play_seed} of the play, {study.eval_seed} of the episodes, 0 of "
        f"pre-training, {', '.join(map(str, study.seeds))} of the trainings.",
        f"Last stage: {found.date or 'none'}. Machine: {told}.",
        "Intervals: Wilson's of shares, percentile bootstrap of means; differences by a paired "
        "bootstrap over episodes. It does not know how much another training would differ. "
        "Near and far differ in category, too: a row of a category is that of one task.",
        f"Who is compared with: {', '.join(WHO[name] for name in REFERENCES)} on the same "
        "episodes, and the pre-trained policy before it has seen anything of the task.",
    ]


def _lacking(found: Found) -> str:
    return f"Not complete: {', '.join(found.missing)}."
