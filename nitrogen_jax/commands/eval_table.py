"""`nitrogen eval table`: several evaluations side by side, as Markdown."""

from __future__ import annotations

import argparse
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

SUMMARY = "Writes several evaluations side by side as a Markdown file."
EXAMPLES = """\
  nitrogen eval table evals/idle evals/random evals/mine --out table.md
  nitrogen eval table evals/mine                      on the terminal
All must be played with the same --seed; tasks are those of the first.
Exit code 0: written; 2: bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dirs", type=Path, nargs="+", metavar="DIR", help="of 'nitrogen eval'")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="default: the terminal")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.evaluation import results
    from nitrogen_jax.files import atomic_path
    from nitrogen_jax.report import eval_markdown

    found = [results.read(folder) for folder in args.dirs]
    seeds = {str(one.folder): one.about["seed"] for one in found}
    if len(set(seeds.values())) > 1:
        told = ", ".join(f"{folder}: {seed}" for folder, seed in seeds.items())
        raise NitrogenError(f"they were played with other seeds, where one is needed ({told})")
    text = eval_markdown.page(found)
    if args.out is None:
        terminal.out().print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        with atomic_path(args.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
        terminal.console().print(f"wrote {args.out}", markup=False)
    return 0
