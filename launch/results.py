#!/usr/bin/env python3
"""Keeps what was measured, with how, of which commit, where and when; RESULTS.md is made of it.

  launch/results.py add serve-batches --what "batches of 16 against one at a time, loopback" \\
    --command "nitrogen bench serve --policy random:test --clients 32 --max-batch 16" \\
    --figure "one at a time=230 chunks/s" --figure "in batches=1059 chunks/s"
  launch/results.py write            RESULTS.md of all of launch/results/
  launch/results.py write --check    exit code 1 unless it is what would be written

`add` makes launch/results/NAME.json, or replaces it. A figure is NAME=VALUE, or NAME=VALUE UNIT; a
value with an interval is written as text, "0.878 (0.834 to 0.918)". Commit, machine and date are
those of now unless given. A figure whose command is not known any more says so: --no-command WHY.
Exit codes: 0 done, 1 RESULTS.md is not up to date, 2 bad usage or input.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

try:
    from nitrogen_jax.errors import NitrogenError
    from nitrogen_jax.evaluation.machine import machine
    from nitrogen_jax.files import atomic_path
except ModuleNotFoundError as error:
    sys.exit(f"results.py: {error.name} is not installed: use .venv/bin/python {sys.argv[0]} ...")

FOLDER, PAGE = ROOT / "launch" / "results", ROOT / "launch" / "RESULTS.md"
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NUMBER = re.compile(r"[-+]?(\d+(,\d{3})*(\.\d+)?|\.\d+)(e[-+]?\d+)?")
NO_COMMAND = "no command is kept: "


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number, or several as text, such as a value with its interval."""

    name: str
    value: float | int | str
    unit: str = ""


@dataclasses.dataclass(frozen=True)
class Result:
    """What was measured together; `name` is the name of its file and of its part of the page."""

    name: str
    what: str
    command: str
    commit: str
    machine: str
    date: str
    figures: tuple[Figure, ...]


# ---------------------------------------------------------------------------------------------
# Files


def read_all(folder: Path = FOLDER) -> list[Result]:
    """All results of a folder, by name."""
    return [read(path) for path in sorted(folder.glob("*.json"))]


def read(path: Path) -> Result:
    """One file; what is wrong with it is said in a sentence."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NitrogenError(f"{path} is not JSON that can be read: {error}") from error
    texts = [field.name for field in dataclasses.fields(Result)][1:-1]
    if not isinstance(told, dict) or set(told) != {*texts, "figures"}:
        raise NitrogenError(f"{path} must hold {', '.join(texts)} and figures, nothing else")
    for field in texts:
        if not isinstance(told[field], str) or not told[field].strip():
            raise NitrogenError(f"{path}: {field} must be a text that is not empty")
    if not isinstance(told["figures"], list) or not told["figures"]:
        raise NitrogenError(f"{path}: figures must be a list of at least one figure")
    figures = tuple(as_figure(path, one) for one in told["figures"])
    made = Result(path.stem, **{field: told[field] for field in texts}, figures=figures)
    check(made)
    return made


def as_figure(path: Path, told: Any) -> Figure:
    """One entry of `figures`."""
    if not isinstance(told, dict) or not {"name", "value"} <= set(told) <= {
        "name",
        "value",
        "unit",
    }:
        raise NitrogenError(f"{path}: a figure must hold name, value and perhaps unit: {told!r}")
    value = told["value"]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise NitrogenError(f"{path}: the value of {told['name']!r} must be a number or a text")
    return Figure(str(told["name"]), value, str(told.get("unit", "")))


def check(result: Result) -> None:
    """Fails if the name would be no link or the date is none."""
    if not NAME.fullmatch(result.name):
        raise NitrogenError(f"name {result.name!r} must be words of a-z and 0-9 with - between")
    try:
        datetime.date.fromisoformat(result.date)
    except ValueError as error:
        raise NitrogenError(
            f"{result.name}: date {result.date!r} must be like 2026-11-30"
        ) from error
    names = [figure.name for figure in result.figures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise NitrogenError(f"{result.name}: there are two figures named {twice[0]!r}")


def write_result(result: Result, folder: Path = FOLDER) -> Path:
    """Writes its file; returns the path."""
    check(result)
    told = dataclasses.asdict(result)
    del told["name"]
    for figure in told["figures"]:
        if not figure["unit"]:
            del figure["unit"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.name}.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


# ---------------------------------------------------------------------------------------------
# The page


def page(results: Iterable[Result]) -> str:
    """RESULTS.md."""
    results = list(results)
    lines = [
        "# What was measured",
        "",
        "Made by `launch/results.py write` from `launch/results/`. Every measured figure of the",
        "README is here, which a test sees to; `launch/results.py --help` tells how to add one.",
        "",
        *table(("", "what", "date"), [(f"[{r.name}](#{r.name})", r.what, r.date) for r in results]),
    ]
    for result in results:
        lines += ["", f"## {result.name}", "", sentence(result.what), ""]
        if result.command.startswith(NO_COMMAND):
            lines += [sentence(result.command)]
        else:
            lines += [f"    {line}" for line in result.command.splitlines()]
        lines += ["", f"Commit {result.commit}; {result.machine}; {result.date}.", ""]
        rows = [(figure.name, shown(figure.value), figure.unit) for figure in result.figures]
        lines += table(("figure", "value", "unit"), rows)
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, as lines."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def shown(value: float | int | str) -> str:
    """Thousands apart."""
    return value if isinstance(value, str) else f"{value:,}"


# ---------------------------------------------------------------------------------------------
# The command line


def figure_of(text: str) -> Figure:
    """'name=1,234.5 unit', or 'name=any text with numbers'."""
    name, equals, said = (part.strip() for part in text.rpartition("="))
    value, _, unit = said.partition(" ")
    if not (name and equals and NUMBER.search(said)):
        raise NitrogenError(f"--figure {text!r} must be NAME=VALUE or NAME=VALUE UNIT")
    if not NUMBER.fullmatch(value) or any(map(str.isdigit, unit)):
        return Figure(name, said)
    number = float(value.replace(",", ""))
    exact = int(number) if number.is_integer() and "." not in value else number
    return Figure(name, exact, unit.strip())


def where() -> str:
    """This machine in a line."""
    found = machine()
    memory = f", {found['memory_gib']} GiB" if "memory_gib" in found else ""
    return f"{found['cores']} cores of {found['processor']}{memory}"


def git(*words: str) -> str:
    """What git says of the checkout, or nothing where there is none."""
    try:
        ran = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""


def commit() -> str:
    """Of the checkout; says so where its code differs from the commit."""
    found = git("rev-parse", "--short=7", "HEAD")
    if not found:
        raise NitrogenError("this is no git checkout: give --commit")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "nitrogen_jax", "configs")
    return f"{found} with changes" if changed else found


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    made = argparse.ArgumentParser(
        prog="launch/results.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--folder", type=Path, default=FOLDER, metavar="FOLDER", help="of the JSON files"
    )
    parts = made.add_subparsers(dest="what_to_do", required=True, metavar="add|write")
    add = parts.add_parser("add", help="keep a measurement", description="Keeps a measurement.")
    add.add_argument("name", metavar="NAME", help="of the file; words with - between")
    add.add_argument("--what", required=True, help="what was measured, in a sentence")
    how = add.add_mutually_exclusive_group(required=True)
    how.add_argument("--command", help="the command that measures it again")
    how.add_argument("--no-command", metavar="WHY", help="there is none any more, and why")
    add.add_argument(
        "--figure", action="append", required=True, metavar="NAME=VALUE [UNIT]", dest="figures"
    )
    add.add_argument("--commit", help="of the code that was measured; this one")
    add.add_argument("--machine", help="in a line; this one")
    add.add_argument("--date", help="as 2026-11-30; today")
    write = parts.add_parser("write", help="make the page", description="Makes RESULTS.md.")
    write.add_argument("--out", type=Path, default=PAGE, help="launch/RESULTS.md")
    write.add_argument("--check", action="store_true", help="write nothing: compare")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Adds, or writes the page."""
    args = parser().parse_args(argv)
    try:
        return add_result(args) if args.what_to_do == "add" else write_page(args)
    except NitrogenError as error:
        sys.stderr.write(f"results.py: {error}\n")
        return 2


def add_result(args: argparse.Namespace) -> int:
    """`add`."""
    result = Result(
        name=args.name,
        what=args.what,
        command=args.command or NO_COMMAND + args.no_command,
        commit=args.commit or commit(),
        machine=args.machine or where(),
        date=args.date or datetime.date.today().isoformat(),
        figures=tuple(map(figure_of, args.figures)),
    )
    path = write_result(result, args.folder)
    sys.stdout.write(f"{path}: {len(result.figures)} figures; next: launch/results.py write\n")
    return 0


def write_page(args: argparse.Namespace) -> int:
    """`write`."""
    text = page(read_all(args.folder))
    if args.check:
        same = args.out.is_file() and args.out.read_text(encoding="utf-8") == text
        if not same:
            sys.stderr.write(f"results.py: {args.out} is not up to date: launch/results.py write\n")
        return 0 if same else 1
    with atomic_path(args.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
