"""Verbs of several parts, as in `nitrogen data build`: each part is a module like a verb's."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Mapping, Sequence
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
    parser, module = module_parser(
        f"{verb}_{args.what}".replace("-", "_"), f"nitrogen {verb} {args.what}"
    )
    return module.run(parse(parser, module, args.rest))


def parse(
    parser: argparse.ArgumentParser, module: ModuleType, argv: Sequence[str]
) -> argparse.Namespace:
    """The arguments; a module with `OVERRIDES = True` finds "--a.b=value" in `args.overrides`."""
    args, rest = parser.parse_known_args(argv)
    if getattr(module, "OVERRIDES", False):
        args.overrides = [
            word for word in rest if re.fullmatch(r"--[A-Za-z_][\w.]*=.*", word, re.S)
        ]
        rest = [word for word in rest if word not in args.overrides]
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args


def module_parser(name: str, prog: str) -> tuple[argparse.ArgumentParser, ModuleType]:
    """The parser of a module of `nitrogen_jax.commands`, and the module."""
    module = importlib.import_module(f"nitrogen_jax.commands.{name}")
    parser = argparse.ArgumentParser(
        prog=prog,
        description=module.SUMMARY,
        epilog=f"examples:\n{module.EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=not getattr(module, "OVERRIDES", False),
    )
    module.add_arguments(parser)
    return parser, module
