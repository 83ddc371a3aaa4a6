"""An evaluation as one page that needs nothing else: tables, plots, clips, a person's verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from nitrogen_jax.evaluation import agreement
from nitrogen_jax.evaluation import results as folders
from nitrogen_jax.evaluation.agreement import Said
from nitrogen_jax.evaluation.results import Results
from nitrogen_jax.evaluation.rollout import FAILURE, SUCCESS
from nitrogen_jax.evaluation.statistics import GROUPS, summaries
from nitrogen_jax.files import atomic_path
from nitrogen_jax.report import eval_episodes, eval_plots, eval_tables, html
from nitrogen_jax.report.eval_plots import Dot
from nitrogen_jax.report.html import Html, Section, escape

SCRIPTS = ("eval_model.js", "eval.js")


def write(
    folder: str | Path,
    others: Sequence[Results] = (),
    said: Sequence[Said] | None = None,
    out: Path | None = None,
) -> Path:
    """Writes the page of a folder of results, and returns where it is.

    Args:
        others: what is beside it, such as baselines.
        said: a person's verdicts, which the page starts with; None: those in the folder, if any.
        out: the file; None: report.html in the folder.
    """
    found = folders.read(folder)
    if said is None:
        said = agreement.of_folder(found.folder, found.about.get("created"))
    out = found.folder / folders.REPORT if out is None else out
    with atomic_path(out) as temporary:
        temporary.write_text(page(found, others, said), encoding="utf-8")
    return out


def page(results: Results, others: Sequence[Results] = (), said: Sequence[Said] = ()) -> str:
    """The whole page as text."""
    name, *called = eval_tables.names([results, *others])
    beside = list(zip(called, others, strict=True))
    links = eval_episodes.links(results)
    overall = summaries(results.episodes, results.tags)["overall"]
    first = [
        Html(f'<p class="lead">{escape(line)}</p>')
        for line in (eval_tables.lead(overall[0], results) if overall else ["There is no task."])
    ]
    command = results.about.get("command")
    if command:
        first += ["The command that repeats it:", Html(f"<pre>{escape(command)}</pre>")]
    data = json.dumps(eval_episodes.data(results, said), allow_nan=False, separators=(",", ":"))
    data = data.replace("<", "\\u003c")
    sections = [
        Section("", [*first, eval_tables.facts(results)]),
        Section(
            "Groups",
            [
                eval_tables.groups(results),
                "Crashes, time-outs and errors of the policy are in no rate and no mean. Intervals "
                "are Wilson's, and treat all episodes of a group as draws of one population.",
                _shares(results, name, beside, False),
            ],
        ),
        Section(
            "Tasks",
            [
                eval_tables.tasks(results, beside, links),
                _shares(results, name, beside, True),
                _progress(results, links),
            ],
        ),
        Section(
            "Beside others",
            [
                part
                for label, other in beside
                for part in eval_tables.beside(results, name, other, label)
            ],
        ),
        Section(
            "Episodes",
            [
                "Watch the clips, and say what you saw: it confirms the judge or overrides it. "
                "The tables above stay the judge's, and nothing is kept until it is exported.",
                *eval_episodes.without_clips(results),
                eval_episodes.panel(),
                *(eval_episodes.task(results, task, link) for task, link in links.items()),
                Html(f'<script type="application/json" id="data">{data}</script>'),
            ],
        ),
        Section("Skipped", eval_tables.skipped(results)),
    ]
    files = resources.files("nitrogen_jax.report")
    script = "\n".join((files / one).read_text(encoding="utf-8") for one in SCRIPTS)
    style = (files / "eval.css").read_text(encoding="utf-8")
    shown = [section for section in sections if section.body]
    return html.page(f"Evaluation of {name}", shown, style=style, script=script)


def _shares(
    results: Results, name: str, beside: Sequence[tuple[str, Results]], by_task: bool
) -> Html:
    """Success by task, or by everything else, of all that are beside each other."""
    kinds = [kind for kind in GROUPS if (kind == "task") == by_task]
    series, names = [], []
    for label, one in [(name, results), *beside]:
        found = summaries(one.episodes, results.tags)
        rows = [summary for kind in kinds for summary in found[kind]]
        if by_task:
            rows = [row for row in rows if row.name in eval_tables.shown(results)]
        names = [row.name for row in rows]
        series.append((label, [eval_tables.share(row) for row in rows]))
    title = f"Success by {'task' if by_task else 'group'}, with 95 % intervals"
    return eval_plots.shares(title, names, series)


def _progress(results: Results, tasks: Sequence[str]) -> Html:
    """The progress of every episode."""
    rows: dict[str, list[Dot]] = {task: [] for task in tasks}
    for one in results.episodes:
        kind = one.outcome if one.outcome in (SUCCESS, FAILURE) else "lost"
        words = f"episode {one.episode}: {one.outcome}, progress {one.progress:.2f}"
        rows[one.task].append(Dot(one.progress, kind, words))
    title = "Progress of every episode (hollow: counted apart), and the mean of each task"
    return eval_plots.dots(title, list(rows), list(rows.values()), "progress")
