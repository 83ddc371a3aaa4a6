"""What an evaluation's page tells of each task: its clips, its episodes, a person's verdict."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from nitrogen_jax.evaluation import agreement
from nitrogen_jax.evaluation.agreement import Said
from nitrogen_jax.evaluation.results import Played, Results
from nitrogen_jax.evaluation.rollout import FAILURE, SUCCESS
from nitrogen_jax.evaluation.statistics import summarise
from nitrogen_jax.extras import install_command
from nitrogen_jax.report.eval_plots import bar
from nitrogen_jax.report.eval_tables import duration, flat, share, shown
from nitrogen_jax.report.html import Html, escape

COLUMNS = (
    *("episode", "judge", "progress", "what was read", "game time", "real time"),
    *("what you say", "note"),
)


def data(results: Results, said: Sequence[Said]) -> dict[str, Any]:
    """What the page's script knows."""
    return {
        "format": agreement.FORMAT,
        "created": results.about.get("created"),
        "episodes": [[one.task, one.episode, one.outcome] for one in results.episodes],
        "verdicts": [vars(one) for one in said],
    }


def links(results: Results) -> dict[str, str]:
    """Task -> id of its part of the page."""
    return {task: f"task-{number}" for number, task in enumerate(shown(results))}


def without_clips(results: Results) -> list[str]:
    """Why there is no clip at all, where there is none."""
    judged = any(one.outcome in (SUCCESS, FAILURE) for one in results.episodes)
    if not judged or any(results.file(one.clip) for one in results.episodes):
        return []
    return [
        "No clip lies in the folder. Writing clips needs av where the games are played: "
        f"{install_command('label')}."
    ]


def panel() -> Html:
    """How far the judge agrees, filled by the script, and what to do with verdicts."""
    return Html(
        '<noscript><p>Clips and verdicts need scripts.</p></noscript>\n<div id="said">'
        '<p id="agreement" role="status"></p><div class="bar">'
        '<button type="button" data-do="export">export verdicts</button>'
        '<label>load verdicts <input type="file" id="load" accept=".json"></label>'
        '<button type="button" data-do="open">open all tasks</button>'
        '<button type="button" data-do="close">close all</button></div>'
        '<p id="message" role="alert"></p></div>\n<div class="wide"><table><thead><tr>'
        '<th>judge</th><th class="number">you: success</th><th class="number">you: failure</th>'
        "</tr></thead><tbody>"
        '<tr><td>success</td><td class="number" id="both_success"></td>'
        '<td class="number" id="judge_only"></td></tr>'
        '<tr><td>failure</td><td class="number" id="person_only"></td>'
        '<td class="number" id="both_failure"></td></tr></tbody></table></div>'
    )


def task(results: Results, name: str, link: str) -> Html:
    """One task, folded until it is wanted."""
    episodes = [one for one in results.episodes if one.task == name]
    summary, tag = summarise(name, episodes), results.tags[name]
    place = "another place for each seed" if tag["procedural"] else "always the same place"
    about = [f"{tag['category']}, {tag['dimensions']}D, {place}"]
    if isinstance(tag.get("seconds"), int | float):
        about.append(f"{tag['seconds']:g} s of game time")
    count = f"{summary.successes} of {summary.judged}" if summary.judged else "nothing judged"
    return Html(
        f'<details class="task" id="{link}"><summary><b>{escape(name)}</b>'
        f"<span>{escape(count)}</span>{bar(share(summary))}</summary>\n"
        f'<p class="goal">{escape(tag.get("goal") or "")}</p><p>{escape(", ".join(about))}.</p>\n'
        f"{_clips(results, episodes)}\n{_table(episodes)}</details>"
    )


def _clips(results: Results, episodes: Sequence[Played]) -> str:
    """The first clip of a success and the first of a failure, side by side."""
    parts = []
    for outcome in (SUCCESS, FAILURE):
        for one in episodes:
            path = results.file(one.clip)
            if one.outcome != outcome or path is None:
                continue
            packed = base64.b64encode(path.read_bytes()).decode()
            words = f"A {outcome}: episode {one.episode}, seed {one.seed}."
            parts.append(
                f'<figure><video data-src="data:video/mp4;base64,{packed}" controls loop muted '
                f'playsinline preload="auto" aria-label="{escape(words)}"></video>'
                f"<figcaption>{escape(words)}</figcaption></figure>"
            )
            break
    return f'<div class="row">{"".join(parts)}</div>' if parts else "<p>There is no clip of it.</p>"


def _table(episodes: Sequence[Played]) -> str:
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = "\n".join(map(_row, episodes))
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>'
        "</table></div>"
    )


def _row(one: Played) -> str:
    kind = one.outcome if one.outcome in (SUCCESS, FAILURE) else "lost"
    read = {
        name: f"{value:g}" if isinstance(value, float) else value
        for name, value in one.facts.items()
    }
    why = f"<small>{escape(one.why)}</small>" if one.why else ""
    buttons = "".join(
        f'<button type="button" data-say="{value}" aria-pressed="false">{words}</button>'
        for value, words in (("true", "success"), ("false", "failure"))
    )
    return (
        f'<tr data-task="{escape(one.task)}" data-episode="{one.episode}">'
        f"<td>{one.episode}<small>seed {one.seed}</small></td>"
        f'<td><span class="outcome {kind}">{escape(one.outcome)}</span>{why}</td>'
        f"<td>{one.progress:.2f}</td><td>{escape(flat(read))}</td>"
        f"<td>{duration(one.seconds)}</td><td>{duration(one.wall)}</td>"
        f'<td><div class="bar">{buttons}</div><output></output></td>'
        f'<td><input aria-label="note on episode {one.episode} of {escape(one.task)}"></td></tr>'
    )
