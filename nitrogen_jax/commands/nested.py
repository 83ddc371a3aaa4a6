"""Verbs of several parts, as in `nitrogen data build`: each part is a module like a verb's."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from types import ModuleType


def add_arguments(parser: argparse.ArgumentParser, parts: Mapping[str, str]) -> None:
    """Adds the choice of a part.

    Args:
        parts: name -> one line.
    """
    width = max(map(len, parts)) + 2
    lines = "\n".join(f"  {name:<{width}}{line}" for name, line in parts.items())
    parser.epilog = f"what:\n{lines}\n\n{parser.epilog}"
    parser.add_argument("what", choices=list(parts), metavar="what", help=", ".join(parts))
    # NOTE: its options are parsed by its own parser, and so is its --help.
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(verb: str, args: argparse.Namespace) -> int:
    """Runs the chosen part: module `commands.VERB_PART`."""
    parser, module = module_parser(f"{verb}_{args.what}", f"nitrogen {verb} {args.what}")
    return module.run(parser.parse_args(args.rest))


def module_parser(name: str, prog: str) -> tuple[argparse.ArgumentParser, ModuleType]:
    """The parser of a module of `nitrogen_jax.commands`, and the module."""
    module = importlib.import_module(f"nitrogen_jax.commands.{name}")
    parser = argparse.ArgumentParser(
        prog=prog,
        description=module.SUMMARY,
        epilog=f"examples:\n{module.EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return parser, module
