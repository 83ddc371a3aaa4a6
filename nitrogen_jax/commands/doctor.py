"""`nitrogen doctor`: what this machine has, what it lacks, and the commands that mend it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nitrogen_jax import terminal

if TYPE_CHECKING:
    from rich.text import Text

    from nitrogen_jax.doctor import Check

SUMMARY = (
    "Check what this machine has and what it lacks; exit code 1 if something needed is broken."
)
EXAMPLES = """\
  nitrogen doctor
  nitrogen doctor --json | python3 -m json.tool
"""

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "absent": "dim"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--json", action="store_true", help='print {"ok": ..., "checks": [...]} instead of lines'
    )


def run(args: argparse.Namespace) -> int:
    """Examines and reports."""
    from nitrogen_jax import doctor

    checks = doctor.examine()
    ok = doctor.healthy(checks)
    if args.json:
        report = {"ok": ok, "checks": [dataclasses.asdict(check) for check in checks]}
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    else:
        screen = terminal.out()
        for line in lines(checks):
            screen.print(line)
    return 0 if ok else 1


def lines(checks: Sequence[Check]) -> list[Text]:
    """One line for each check: name, status, detail, and the command that mends it."""
    from rich.text import Text

    width = max((len(check.name) for check in checks), default=0)
    return [
        Text.assemble(
            f"{check.name:<{width}}  ",
            (f"{check.status:<6}", STYLES[check.status]),
            f"  {check.detail}",
            (f"  -> {check.remedy}" if check.remedy else "", "cyan"),
        )
        for check in checks
    ]
