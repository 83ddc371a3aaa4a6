"""What came of an evaluation as rows of tables that fit into 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nitrogen_jax.evaluation.paired import Difference
from nitrogen_jax.evaluation.statistics import Summary
from nitrogen_jax.evaluation.task import Task

if TYPE_CHECKING:
    from rich.table import Table

SUMMARY = ("", "won>", "%>", "95 %>", "progress>", "apart>", "s>")
DIFFERENCE = ("", "n>", "A>", "B>", "A - B>", "(A-B)/B>")
TASK = ("task", "what it is", "s>", "here")


def summary_row(one: Summary) -> tuple[str, ...]:
    """Successes of what is judged, their share with its interval, and the seconds it took."""
    if one.rate is None:
        numbers = ("-", "", "", "")
    else:
        assert one.progress is not None
        interval = f"{one.low:.0%}-{one.high:.0%}".replace("%", "")
        numbers = (
            f"{one.successes}/{one.judged}",
            f"{100 * one.rate:.0f}",
            interval,
            f"{one.progress:.2f}",
        )
    apart = sum(one.apart.values())
    return (one.name, *numbers, str(apart) if apart else "", f"{one.wall:.0f}")


def summary_rows(groups: Iterable[Sequence[Summary]]) -> list[tuple[str, ...]]:
    """Several kinds of groups below each other, with an empty row between them."""
    found: list[tuple[str, ...]] = []
    for group in groups:
        found += [("",) * len(SUMMARY)] if found else []
        found += [summary_row(one) for one in group]
    return found


def difference_row(one: Difference) -> tuple[str, ...]:
    """Both means in per cent, their difference in points with its interval, and relative to B."""
    numbers = (one.a, one.b, one.difference, one.low, one.high)
    assert None not in numbers, f"{one.name} has no pairs"
    a, b, difference, low, high = (100 * number for number in numbers if number is not None)
    return (
        one.name,
        str(one.pairs),
        f"{a:.0f}",
        f"{b:.0f}",
        f"{difference:+.0f} ({low:+.0f}..{high:+.0f})",
        "-" if one.relative is None else f"{one.relative:+.0%}",
    )


def task_row(task: Task) -> tuple[str, ...]:
    """A task in a list."""
    place = "procedural" if task.procedural else "fixed"
    return (
        task.name,
        f"{task.category} {task.dimensions}D {place}",
        f"{task.seconds:g}",
        "yes" if task.missing() is None else "no",
    )


def light(table: Table) -> Table:
    """A table without lines between its columns, which 80 columns have no room for."""
    from rich import box

    table.box, table.pad_edge = box.SIMPLE_HEAD, False
    return table
