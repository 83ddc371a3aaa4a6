"""`nitrogen study labels`: are labels that are read off an overlay good enough to learn from?"""

from __future__ import annotations

import argparse
from pathlib import Path

from nitrogen_jax.commands import quickstart as options

SUMMARY = (
    "Trains one policy on true actions, on labels read off an overlay and on shuffled labels, and "
    "compares how well they play."
)
EXAMPLES = """\
  nitrogen study labels --out studies/labels           half an hour and more on two cores
  nitrogen study labels --short --out /tmp/labels      the same stages, a fraction of the size
  nitrogen study labels --list                         the command of every stage
  nitrogen study labels --out quickstart               goes on with the stages of a quick start
The same command again goes on where it was stopped, and ends with the same numbers. The page is
DIR/labels_study.html, the numbers DIR/labels_study.json. Exit code 0: the page is written, whatever
it says; 1: a stage failed; 2: bad usage or input, or something is not installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_sizes(parser, Path("studies/labels"))


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax.chain import labels_study

    def write() -> None:
        from nitrogen_jax.report import labels_study_page

        labels_study_page.write(args.out)

    return options.go(args, labels_study.chain, "labels-study", write, lambda: _tell(args))


def _tell(args: argparse.Namespace) -> int:
    from nitrogen_jax.chain import labels_study

    return options.tell(
        args,
        labels_study.RESULTS,
        labels_study.REPORT,
        lambda numbers: (*numbers["verdicts"], *numbers["progress_verdicts"]),
    )
