"""A plan to read: lines for one, a table for several, Markdown for a README."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nitrogen_jax.plan.chips import GIB

MIB = 2**20
Plain = Mapping[str, Any]  # a plan as `worker.plain` gives it

COLUMNS = (
    "machine",
    "data x fsdp",
    "batch>",
    "accumulate>",
    "remat",
    "fits",
    "GiB of>",
    "TFLOP>",
    "link MB>",
    "step ms>",
    "largest",
    "MFU>",
    "samples/s>",
)


def lines(plan: Plain) -> Iterator[str]:
    """One plan, line by line; figures are one chip's unless they say otherwise."""
    memory, flops, traffic = plan["memory"], plan["flops"], plan["traffic"]
    yield f"{_what(plan)} on {plan['target']}: {plan['devices']} x {plan['chip']}, per chip"
    yield f"  split       {_split(plan)}, compiled in {plan['compile_s']:.0f} s"
    if plan["state"]:
        parts = ", ".join(f"{name} {_mib(size)}" for name, size in plan["state"].items() if size)
        yield f"  state       {parts}"
    if memory["temporary"] is not None:
        names = ("argument", "temporary", "output", "alias", "code")
        yield "  memory      " + ", ".join(f"{n} {_mib(memory[n])}" for n in names)
    verdict = "fits" if plan["fits"] else "DOES NOT FIT"
    peak = "more" if memory["peak"] is None else _gib(memory["peak"])
    yield f"  peak        {peak} of {_gib(memory['limit'])}: {verdict}"
    if plan["estimate"] is not None:
        yield (
            f"  FLOPs       {_tera(flops['looped'])} by the compiler, loops as often as they run "
            f"({_tera(flops['compiler'])} with each once); products alone "
            f"{_tera(flops['products'])}; the network needs {_tera(flops['by_hand'])} by hand"
        )
        yield (
            f"  memory I/O  {number(traffic['hbm'] / 1e9)} GB of HBM, counted in the compiled text "
            f"(the compiler: {number(traffic['looped'] / 1e9)} GB of all its memories)"
        )
        yield from _collectives(plan)
        yield from _time(plan)
    for note in plan["notes"]:
        yield f"  note: {note}"


def table_rows(plans: Sequence[Plain]) -> list[tuple[str, ...]]:
    """A row of COLUMNS for each plan."""
    return [_row(plan) for plan in plans]


def markdown(plans: Sequence[Plain]) -> str:
    """The same table in Markdown."""
    return as_markdown(COLUMNS, table_rows(plans))


def as_markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns whose name ends in ">" are right-aligned."""
    names = [name.rstrip(">") for name in columns]
    rules = ["---:" if name.endswith(">") else "---" for name in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, rules, *rows))


def _row(plan: Plain) -> tuple[str, ...]:
    estimate, memory = plan["estimate"], plan["memory"]
    peak = memory["peak"]
    told = "?" if peak is None else f"{peak / GIB:.1f}"
    head = (
        plan["target"],
        " x ".join(str(size) for size in plan["mesh"].values()),
        str(plan["batch"]),
        str(plan["accumulate"]),
        "yes" if plan["remat"] else "no",
        "yes" if plan["fits"] else "no",
        f"{told} of {memory['limit'] / GIB:.1f}",
    )
    if estimate is None:
        return (*head, *("",) * (len(COLUMNS) - len(head)))
    sent = sum(row["sent"] for row in plan["collectives"])
    return (
        *head,
        number(plan["flops"]["looped"] / 1e12),
        number(sent / 1e6),
        number(1e3 * estimate["seconds"]),
        estimate["largest"],
        f"{100 * plan['mfu']:.0f} %",
        f"{plan['samples_per_s']:.0f}",
    )


def number(value: float) -> str:
    """Three digits that count, and no exponent where there are more."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _what(plan: Plain) -> str:
    if plan["program"] == "train":
        return f"train step of {plan['batch']} samples"
    return f"sampler of {plan['batch']} chunks in {plan['steps']} steps"


def _split(plan: Plain) -> str:
    mesh = ", ".join(f"{name} {size}" for name, size in plan["mesh"].items())
    if plan["program"] != "train":
        return "one chip"
    micro = plan["batch"] // plan["accumulate"] // plan["devices"]
    remat = "recomputation" if plan["remat"] else "no recomputation"
    return f"{mesh}; {plan['accumulate']} micro-batches of {micro} samples a chip, {remat}"


def _collectives(plan: Plain) -> Iterator[str]:
    for row in plan["collectives"]:
        yield (
            f"  {row['kind']:<19} along {row['axis']:<10} {row['count']:>6} x, "
            f"{number(row['payload'] / 1e6):>9} MB, {number(row['sent'] / 1e6):>9} MB sent"
        )
    if plan["program"] == "train":
        for one in plan["gathered"]:
            yield f"  gathered, and no parameter: {one}"
        if not plan["gathered"] and plan["collectives"]:
            yield "  nothing but parameters is gathered"
    if plan["unknown_loops"]:
        yield f"  {plan['unknown_loops']} loops of unknown length are counted once"


def _time(plan: Plain) -> Iterator[str]:
    found = plan["estimate"]
    terms = ", ".join(
        f"{name} {number(1e3 * found[name])}"
        for name in ("compute", "memory", "link", "network")
        if found[name]
    )
    yield (
        f"  step        at least {number(1e3 * found['seconds'])} ms, the largest of {terms} ms: "
        f"{found['largest']}"
    )
    unit = "samples/s" if plan["program"] == "train" else "chunks/s"
    of = "all chips" if plan["devices"] > 1 else "the chip"
    yield f"  speed       at most {plan['samples_per_s']:.0f} {unit} of {of}, MFU {plan['mfu']:.1%}"


def _mib(size: float | None) -> str:
    return "unknown" if size is None else f"{size / MIB:.1f} MiB"


def _gib(size: float | None) -> str:
    return "unknown" if size is None else f"{size / GIB:.2f} GiB"


def _tera(value: float | None) -> str:
    return "unknown" if value is None else f"{number(value / 1e12)} TFLOP"
