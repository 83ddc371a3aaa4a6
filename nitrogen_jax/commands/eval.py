"""`nitrogen eval POLICY` plays a suite of tasks; `nitrogen eval <what>` does more with it."""

from __future__ import annotations

import argparse

from nitrogen_jax.commands import eval_run, nested
from nitrogen_jax.errors import NitrogenError

SUMMARY = "Plays tasks in unmodified games, judged by programs: how good is a policy?"

PARTS = {
    "list": "the tasks, and whether they can be played here",
    "compare": "two evaluations: who is better, and how sure that is",
    "record": "tasks as they are played: videos, actions, labels",
    "prove": "whether judges say success where it is, and failure where it is not",
    "table": "several evaluations side by side, as Markdown",
    "report": "the page of an evaluation, made anew",
}

EXAMPLES = f"""\
  nitrogen eval list
{eval_run.EXAMPLES}
'nitrogen eval <what> --help' explains one of the others, with examples."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    width = max(map(len, PARTS)) + 2
    lines = "\n".join(f"  {name:<{width}}{line}" for name, line in PARTS.items())
    parser.usage = f"{parser.prog} POLICY [options]\n       {parser.prog} <what> [...]"
    parser.epilog = f"what, instead of POLICY:\n{lines}\n\n{parser.epilog}"
    parser.add_argument(
        "policy",
        metavar="POLICY",
        help="idle, random, hold or expert; a checkpoint as 'nitrogen serve' takes it; or the "
        "address of a server",
    )
    # NOTE: what stands behind the first word is parsed once that word is known.
    rest = parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    rest.required = False  # a message would name it
    eval_run.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    parser = argparse.ArgumentParser(
        prog="nitrogen eval POLICY",
        description=SUMMARY,
        epilog=f"examples:\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    eval_run.add_arguments(parser)
    if args.policy not in PARTS:
        # Options before the policy are in `args` already and are kept.
        return eval_run.run(parser.parse_args(args.rest, args))
    for name, value in vars(args).items():
        if name not in ("policy", "rest") and value != parser.get_default(name):
            raise NitrogenError(f"options of 'eval {args.policy}' come after that word")
    args.what = args.policy
    return nested.run("eval", args)
