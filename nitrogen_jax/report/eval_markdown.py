"""Several evaluations side by side as Markdown: one table of tasks, one of kinds of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nitrogen_jax.evaluation.results import Results
from nitrogen_jax.evaluation.statistics import GROUPS, Summary, summaries


def page(found: Sequence[Results]) -> str:
    """The page: how it was made, groups, tasks.

    Args:
        found: a column for each; tasks are those of the first.
    """
    names = [one.about["policy"]["name"] for one in found]
    every = [summaries(one.episodes, found[0].tags) for one in found]
    lines = ["# Evaluations side by side", ""]
    lines += ["Success with its 95 % Wilson interval, and mean progress; episodes that nobody can"]
    lines += ["judge (crashes, time-outs, errors of a policy) are counted as `n apart`.", ""]
    lines += _table(("", *names), _rows([kind for kind in GROUPS if kind != "task"], every))
    lines += ["", "## Tasks", ""]
    tags = found[0].tags
    rows = []
    for cells in _rows(["task"], every):
        tag = tags[cells[0]]
        place = "procedural" if tag["procedural"] else "fixed"
        what = f"{tag['category']}, {tag['dimensions']}D, {place}, {tag['seconds']:g} s"
        rows.append((f"`{cells[0]}`", f"{tag['goal']} ({what})", *cells[1:]))
    lines += _table(("task", "what it is", *names), rows)
    lines += ["", "## How they were made", ""]
    for name, one in zip(names, found, strict=True):
        about = one.about
        lines += [f"**{name}**, {about['created'][:10]}: `{about.get('command', '')}`", ""]
    about = found[-1].about
    for what in ("machine", "versions"):
        told = ", ".join(f"{name} {value}" for name, value in about.get(what, {}).items())
        lines += [f"{what.capitalize()} of {names[-1]}: {told}.", ""]
    return "\n".join(lines)


def _rows(kinds: Iterable[str], every: Sequence[dict[str, list[Summary]]]) -> list[tuple[str, ...]]:
    """A row for each group: its name, and what each evaluation did there."""
    rows = []
    for kind in kinds:
        for group in zip(*(one[kind] for one in every), strict=True):
            rows.append((group[0].name, *map(_cell, group)))
    return rows


def _cell(one: Summary) -> str:
    apart = sum(one.apart.values())
    tail = f", {apart} apart" if apart else ""
    if one.rate is None:
        return f"-{tail}"
    interval = f" ({one.low:.0%}..{one.high:.0%})" if one.tasks > 1 else ""
    return f"{one.successes}/{one.judged}{interval}, {one.progress:.2f}{tail}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
