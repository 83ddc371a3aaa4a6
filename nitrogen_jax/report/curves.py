"""A run's log as one page: curves, last values, config, machine, command."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nitrogen_jax import files
from nitrogen_jax.report import html, plots
from nitrogen_jax.training import jsonl

PAGE, LOG, CONFIG = "curves.html", "log.jsonl", "config.json"
SMOOTH = 0.9
LINES = 24  # in one plot of a validation; the table below has all
PLOTS = 48  # of validations on one page
Series = dict[str, tuple[list[int], list[float | None]]]  # name -> steps, values


class Curve(NamedTuple):
    """How one metric of the steps is drawn."""

    metric: str
    title: str
    axis: str
    log: bool = False
    smooth: float = 0.0


FIRST = (
    Curve("loss", "loss", "loss", log=True, smooth=SMOOTH),
    Curve("grad_norm", "norm of the gradient", "norm", log=True, smooth=SMOOTH),
    Curve("rate", "learning rate", "rate"),
    Curve("samples_per_s", "speed", "samples/s"),
    Curve("step_ms", "time of a step", "ms"),
    Curve("data_wait", "wait for data", "share of a step's time"),
    Curve("mfu", "model FLOPs utilisation", "share of the peak"),
    Curve("skipped", "skipped steps", "steps"),
)


def write_curves(folder: str | os.PathLike[str]) -> Path:
    """Draws `log.jsonl` of a run's folder; returns the path of the page, which it (re)writes."""
    folder = Path(folder)
    lines = jsonl.read(folder / LOG)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    path = folder / PAGE
    text = page(folder.absolute().name, lines, config if isinstance(config, dict) else {})
    with files.atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def page(name: str, lines: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    """The page as HTML text.

    Args:
        name: what the run is called.
        lines: of its log, see `jsonl`.
        config: all values, nested.
    """
    train = [line for line in lines if line["kind"] == "train"]
    validation = [line for line in lines if line["kind"] == "validation"]
    events = [line for line in lines if line["kind"] == "event"]
    sections = [
        ("", [html.table("", ("what", "value>"), _facts(train, events))]),
        ("Training", _train_plots(train) or ["No step has been logged."]),
    ]
    if validation:
        sections.append(("Validation", _validation_parts(validation)))
    sections.append(("Last values", _tables(train, validation)))
    sections.append(("How it was run", [*_starts(events), *_config(config)]))
    told = [(line["step"], line.get("time", ""), line.get("text", "")) for line in events]
    if told:
        table = html.table("", ("step>", "time", "what"), told)
        sections.append(("Events", [html.fold(f"{len(told)} events", [table])]))
    return html.page(f"Training {name}", sections)


def series(lines: Sequence[Mapping[str, Any]]) -> Series:
    """Flat metric -> its steps and values; null is None, and so is a metric that a line lacks.

    Lines of one step count together, the last one where they differ.
    """
    by_step: dict[int, dict[str, float | None]] = {}
    for line in lines:
        by_step.setdefault(line["step"], {}).update(jsonl.metrics(line))
    steps = sorted(by_step)
    names = dict.fromkeys(name for step in steps for name in by_step[step])
    return {name: (steps, [by_step[step].get(name) for step in steps]) for name in names}


def _train_plots(train: Sequence[Mapping[str, Any]]) -> list[html.Html]:
    """The known metrics first, then whatever else changes from step to step."""
    found = _finite(series(train))
    told = {curve.metric for curve in FIRST}
    rest = [
        Curve(name, name, name, smooth=SMOOTH)
        for name, (_, values) in found.items()
        if name not in told and len(set(values)) > 1
    ]
    drawn = [
        _picture({curve.metric: found[curve.metric]}, curve)
        for curve in (*FIRST, *rest)
        if curve.metric in found
    ]
    return [html.side_by_side(drawn)] if drawn else []


def _validation_parts(validation: Sequence[Mapping[str, Any]]) -> list[str]:
    found = series(validation)
    groups = [(title, _finite(members)) for title, members in grouped(found)]
    groups = [(title, lines) for title, lines in groups if lines]
    groups = [group for group in groups if len(validation) == 1 or _changes(group[1])]
    parts: list[str] = []
    drawn: list[html.Html] = []
    for title, members in groups[:PLOTS]:
        shown = dict(list(members.items())[:LINES])
        left_out = f" ({len(shown)} of {len(members)})" if len(shown) < len(members) else ""
        leaf = title.split("/")[-1]
        drawn.append(_picture(shown, Curve(title, title + left_out, leaf)))
    if drawn:
        parts.append(html.side_by_side(drawn))
    if len(groups) > PLOTS:
        parts.append(f"{len(groups) - PLOTS} more plots were left out; all values are below.")
    return parts


def grouped(found: Series) -> Iterator[tuple[str, Series]]:
    """Plots of validation metrics: title, and one line or the lines of those that are alike.

    Siblings with the same metrics (games, buttons, sticks, the policy beside a baseline) share a
    plot for each metric. Alike within alike (the buttons of each game) would be a plot for each
    pair: they are drawn for the first sibling at the top, and are in the tables for the others.
    """
    yield from _grouped(_tree(found), "", detail=True)


def _finite(members: Series) -> Series:
    """Those with anything to draw. A metric may be undefined throughout: a button never pressed."""
    return {
        name: (steps, values)
        for name, (steps, values) in members.items()
        if any(value is not None for value in values)
    }


def _changes(members: Series) -> bool:
    """Is any line not flat? How many steps there are of each game never changes."""
    return any(len(set(values)) > 1 for _, values in members.values())


def _grouped(node: dict[str, Any], prefix: str, detail: bool) -> Iterator[tuple[str, Series]]:
    leaves = {name: child for name, child in node.items() if not isinstance(child, dict)}
    for name, child in leaves.items():
        yield f"{prefix}{name}", {name: child}
    waiting = {name: child for name, child in node.items() if isinstance(child, dict)}
    while waiting:
        first, child = next(iter(waiting.items()))
        alike = [name for name, other in waiting.items() if _names(other) == _names(child)]
        members = {name: waiting.pop(name) for name in alike}
        if len(members) == 1:
            yield from _grouped(child, f"{prefix}{first}/", detail)
            continue
        for path in _names(child, families=False):
            lines = {name: _at(member, path) for name, member in members.items()}
            yield f"{prefix}{path}", lines
        if detail and not prefix:
            for title, lines in _grouped(child, f"{first}/", detail=False):
                if len(lines) > 1:
                    yield title, lines


def _tree(found: Series) -> dict[str, Any]:
    """Flat names -> nested dicts, whose leaves are (steps, values)."""
    root: dict[str, Any] = {}
    for path, values in found.items():
        *parents, leaf = path.split("/")
        node = root
        for name in parents:
            inner = node.get(name)
            node = node.setdefault(name, {}) if inner is None or isinstance(inner, dict) else {}
        node[leaf] = values
    return root


def _names(node: Mapping[str, Any], families: bool = True) -> list[str]:
    """Flat names of all leaves; without `families`, not of those in dicts that are alike."""
    inner = [name for name, child in node.items() if isinstance(child, dict)]
    kinds = [_names(node[name]) for name in inner]
    found = []
    for name, child in node.items():
        if not isinstance(child, dict):
            found.append(name)
        elif families or kinds.count(kinds[inner.index(name)]) == 1:
            found += [f"{name}/{leaf}" for leaf in _names(child, families)]
    return found


def _at(node: Any, path: str) -> Any:
    for name in path.split("/"):
        node = node[name]
    return node


def _picture(members: Series, curve: Curve) -> html.Html:
    """The plot of lines that have something to draw."""
    drawable = {
        name: (steps, [float("nan") if value is None else value for value in values])
        for name, (steps, values) in members.items()
    }
    finite = [value for _, values in members.values() for value in values if value is not None]
    steps = max(len(pair[0]) for pair in members.values())
    smooth = curve.smooth if steps >= 20 else 0.0
    wide = curve.log and min(finite) > 0 and max(finite) > 10 * min(finite)
    drawn = plots.lines(drawable, curve.title, curve.axis, wide, smooth, png=False)
    return html.picture(drawn.svg, f"{curve.title} over steps")


def _facts(
    train: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str]]:
    times = [line["time"] for line in (*train, *events) if isinstance(line.get("time"), str)]
    facts = [("logged steps", f"{len(train):,}")]
    if train:
        facts.append(("last step", f"{train[-1]['step']:,}"))
        facts.append(("last loss", _text(train[-1].get("loss"))))
    if times:
        facts += [("from", min(times)), ("to", max(times))]
    starts = sum(1 for line in events if "command" in line)
    facts.append(("times that it was started", f"{starts:,}"))
    compiled = [line for line in events if line.get("text") == "compiled"]
    if compiled:
        facts += [
            (f"compiled step: {name}", _text(value))
            for name, value in jsonl.numbers(compiled[-1]).items()
        ]
    return facts


def _tables(
    train: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]]
) -> list[html.Html]:
    parts = []
    for name, lines in (("training", train), ("validation", validation)):
        rows = []
        for metric, (steps, values) in series(lines).items():
            there = [(s, v) for s, v in zip(steps, values, strict=True) if v is not None]
            if there:
                low, high = min(v for _, v in there), max(v for _, v in there)
                rows.append((metric, there[-1][0], *map(_text, (there[-1][1], low, high))))
        if rows:
            columns = ("metric", "step>", "last>", "lowest>", "highest>")
            parts.append(html.fold(f"{name}: {len(rows)} metrics", [html.table("", columns, rows)]))
    return parts or [html.paragraph("Nothing has been logged.")]


def _starts(events: Sequence[Mapping[str, Any]]) -> list[html.Html]:
    """Command, machine and versions of each time that the run was started or resumed."""
    parts = []
    for line in events:
        if "command" not in line:
            continue
        command = line["command"]
        words = list(map(str, command)) if isinstance(command, list) else [str(command)]
        rows = [("command", shlex.join(words))]
        rows += list(_rows({name: line.get(name, {}) for name in ("machine", "versions")}))
        title = f"{line.get('text', '')} at step {line['step']}, {line.get('time', '')}"
        parts.append(html.table(title, ("what", "value"), rows))
    return parts


def _config(config: Mapping[str, Any]) -> list[html.Html]:
    rows = list(_rows(config))
    return [html.fold("config", [html.table("", ("field", "value"), rows)])] if rows else []


def _rows(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as ("a.b", text)."""
    if isinstance(values, Mapping) and values:
        for name, inner in values.items():
            yield from _rows(inner, f"{prefix}.{name}" if prefix else str(name))
    elif prefix:
        yield prefix, values if isinstance(values, str) else json.dumps(values)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
