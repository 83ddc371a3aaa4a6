"""Tables of an evaluation: what it is of, its groups, its tasks, what is beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nitrogen_jax.evaluation.paired import Difference, differences
from nitrogen_jax.evaluation.results import Results
from nitrogen_jax.evaluation.statistics import APART, GROUPS, Summary, summaries
from nitrogen_jax.report import html
from nitrogen_jax.report.eval_plots import Share, bar, said
from nitrogen_jax.report.html import Html, escape

NOTHING = "–"  # noqa: RUF001
HEADS = {"overall": "all", "category": "kind", "dimensions": "dimensions", "place": "place"}


def policy(results: Results) -> str:
    """The policy's name."""
    return str(results.about["policy"].get("name") or results.folder.name)


def names(every: Sequence[Results]) -> list[str]:
    """A name for each, with its folder where two policies are called the same."""
    found = [policy(one) for one in every]
    folders = [one.folder.resolve().name for one in every]
    return [
        f"{name} ({folder})" if found.count(name) > 1 else name
        for name, folder in zip(found, folders, strict=True)
    ]


def share(summary: Summary) -> Share | None:
    """Its rate with the interval, for a plot."""
    return None if summary.rate is None else Share(summary.rate, summary.low, summary.high)


def shown(results: Results) -> list[str]:
    """Tasks that the page tells of: a game may have gone after some of its episodes were played."""
    played = {one.task for one in results.episodes}
    return sorted(played | (results.tags.keys() - results.about["skipped"].keys()))


def lead(overall: Summary, results: Results) -> list[str]:
    """What came out, a sentence each."""
    first = ["Nothing was judged yet."]
    if overall.rate is not None:
        first = [
            f"Success in {overall.successes} of {overall.judged} episodes: {overall.rate:.1%} "
            f"(95 % interval {overall.low:.1%} to {overall.high:.1%}). Mean progress "
            f"{overall.progress:.2f}."
        ]
    lost = ", ".join(_counted(kind, count) for kind, count in overall.apart.items())
    count = _counted("episode", overall.episodes), _counted("task", overall.tasks)
    more = f"{' of '.join(count)} in {duration(overall.wall)} of playing; counted apart: {lost}."
    if results.missing:
        more += f" Not played yet: {_counted('episode', len(results.missing))}."
    if results.about["skipped"]:
        more += f" Skipped: {_counted('task', len(results.about['skipped']))}."
    return [*first, more]


def facts(results: Results) -> Html:
    """What it is of, and where it was made."""
    about = results.about
    details = {name: value for name, value in about["policy"].items() if name != "name"}
    rows = [
        ("policy", policy(results)),
        ("", flat(details)),
        ("date", about.get("created") or ""),
        ("suite", about.get("suite") or "tasks that were named"),
        ("tasks", len(about["tasks"])),
        ("episodes a task", about["episodes"]),
        ("seed", about["seed"]),
        ("how it plays", flat(about.get("play") or {})),
        ("machine", flat(about.get("machine") or {})),
        ("versions", flat(about.get("versions") or {})),
    ]
    inner = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
        for name, value in rows
        if value != ""
    )
    return Html(f'<div class="wide facts"><table><tbody>{inner}</tbody></table></div>')


def groups(results: Results) -> Html:
    """Success and progress by kind of task."""
    found = summaries(results.episodes, results.tags)
    rows = [
        (HEADS[kind], one.name if kind != "overall" else "all tasks", one.tasks, *_numbers(one))
        for kind in GROUPS
        if kind != "task"
        for one in found[kind]
    ]
    return html.table("", ("", "group", "tasks>", *NUMBERS), rows)


NUMBERS = ("success>", "rate", "with its 95 % interval>", "progress>")


def tasks(
    results: Results, others: Sequence[tuple[str, Results]], links: Mapping[str, str]
) -> Html:
    """A row for each task.

    Args:
        others: (name, results) of those beside it.
        links: task -> id of the part of the page that tells more.
    """
    beside = [
        {one.name: one for one in summaries(other.episodes, results.tags)["task"]}
        for _, other in others
    ]
    rows = []
    for one in summaries(results.episodes, results.tags)["task"]:
        if one.name not in links:
            continue
        tag = results.tags[one.name]
        place = "procedural" if tag["procedural"] else "fixed"
        tags = f"{tag['category']}, {tag['dimensions']}D, {place}"
        name = Html(
            f'<a href="#{links[one.name]}">{escape(one.name)}</a>'
            f"<small>{escape(tag.get('goal') or '')} ({escape(tags)})</small>"
        )
        cells = [_count(of[one.name]) for of in beside]
        lost = [one.apart[kind] or NOTHING for kind in APART]
        each = duration(one.wall / one.episodes) if one.episodes else NOTHING
        rows.append((name, *_numbers(one), *cells, *lost, each, duration(one.wall)))
    columns = (
        *("task", *NUMBERS, *(f"{name}: success>" for name, _ in others)),
        *(*(f"{_many(kind)}>" for kind in APART), "time each>", "time>"),
    )
    return html.table("", columns, rows)


def beside(results: Results, name: str, other: Results, other_name: str) -> list[str]:
    """The paired comparison with another one, by group and task."""
    found = [
        differences(results.episodes, other.episodes, results.tags, measure)
        for measure in ("success", "progress")
    ]
    if not found[0]:
        return [f"{other_name} has no episode that both have played and that is judged for both."]
    rows = []
    for kind in GROUPS:
        for success, progress in zip(*(of.get(kind, []) for of in found), strict=True):
            relative = NOTHING if success.relative is None else f"{success.relative:+.0%}"
            if success.relative_low is not None:
                low, high = success.relative_low, success.relative_high
                relative += f" ({low:+.0%} to {high:+.0%})"
            rows.append(
                (
                    "all tasks" if kind == "overall" else success.name,
                    success.pairs,
                    *(f"{rate:.0%}" for rate in (success.a, success.b)),
                    _difference(success, 100, "%"),
                    relative,
                    *(f"{mean:.2f}" for mean in (progress.a, progress.b)),
                    _difference(progress, 1, ""),
                )
            )
    columns = (
        *("group", "pairs>", f"{name}: success>", f"{other_name}: success>"),
        *("difference in points>", "relative improvement>"),
        *(f"{name}: progress>", f"{other_name}: progress>", "difference>"),
    )
    words = (
        f"{name} against {other_name} on the same episodes: differences with their 95 % intervals "
        "of a paired bootstrap over episodes."
    )
    return [html.table(words, columns, rows)]


def skipped(results: Results) -> list[str]:
    """Tasks that were not played, and what is needed for them."""
    rows = [(task, why) for task, why in sorted(results.about["skipped"].items())]
    return [html.table("", ("task", "why, and how to install it"), rows)] if rows else []


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def flat(content: Mapping[str, Any]) -> str:
    """A small mapping in one line."""
    parts: Iterable[tuple[str, Any]] = content.items()
    return ", ".join(
        f"{name}: {flat(value) if isinstance(value, Mapping) else value}" for name, value in parts
    )


def _numbers(one: Summary) -> tuple[object, ...]:
    """Cells of NUMBERS."""
    if one.rate is None:
        return (_count(one), "", NOTHING, NOTHING)
    return _count(one), bar(share(one)), said(share(one)), f"{one.progress:.2f}"


def _count(one: Summary) -> str:
    return f"{one.successes}/{one.judged}" if one.judged else NOTHING


def _difference(found: Difference, scale: float, unit: str) -> str:
    digits = ".0f" if scale > 1 else ".2f"
    value, low, high = (
        f"{scale * (number or 0):+{digits}}" for number in (found.difference, found.low, found.high)
    )
    return f"{value} ({low} to {high})"


def _counted(kind: str, count: int) -> str:
    return f"{count} {kind if count == 1 else _many(kind)}"


def _many(kind: str) -> str:
    return {"crash": "crashes"}.get(kind, f"{kind}s")
