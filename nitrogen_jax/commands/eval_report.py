"""`nitrogen eval report`: an evaluation as one page, and how far people agree with the judges."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Writes the page of an evaluation: tables, plots, clips, and verdicts to confirm."
EXAMPLES = """\
  nitrogen eval report results/
  nitrogen eval report results/ --against baselines/hold baselines/random
  nitrogen eval report results/ --verdicts verdicts.json
The page is one file that needs no network: DIR/report.html unless --out says
otherwise. In it a person confirms or overrides verdicts and exports them as
verdicts.json; put into DIR, or named with --verdicts, they are in the page from
the start and compared with the judges'.
Exit code 0: written; 2: bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="of 'nitrogen eval --out'")
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="other results that are shown beside it, such as those of baselines",
    )
    parser.add_argument(
        "--verdicts",
        type=Path,
        metavar="FILE",
        help="what a person said, as the page exports it (default: DIR/verdicts.json, if any)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the page (default: DIR/report.html)"
    )
    parser.add_argument("--json", action="store_true", help="print the agreement as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import agreement, results
    from nitrogen_jax.report import eval_page

    if args.out is not None and args.out.suffix.lower() not in (".html", ".htm"):
        raise NitrogenError(f"--out is {args.out}, where a file in .html is needed")
    found = results.read(args.folder)
    others = [results.read(folder) for folder in args.against]
    created = found.about.get("created")
    if args.verdicts is None:
        said = agreement.of_folder(found.folder, created)
    else:
        said = agreement.read(args.verdicts, created)
    outcomes = {(one.task, one.episode): one.outcome for one in found.episodes}
    agreed = agreement.agreement(said, outcomes)
    page = eval_page.write(args.folder, others, said, args.out)
    out = terminal.out()
    if args.json:
        out.print(json.dumps({"page": str(page), **agreed.to_json()}), markup=False)
        return 0
    if said or args.verdicts is not None:
        rows = [
            ("success", agreed.both_success, agreed.judge_only),
            ("failure", agreed.person_only, agreed.both_failure),
        ]
        out.print(terminal.table("", ("judge", "a person: success>", "a person: failure>"), rows))
        out.print(agreed.sentence(), markup=False)
    terminal.console().print(f"wrote {page}", markup=False)
    return 0
