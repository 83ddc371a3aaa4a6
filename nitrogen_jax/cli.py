"""`nitrogen <verb>`: finds the verb, parses its arguments, turns errors into exit codes.

A verb is one module in `nitrogen_jax.commands`; only the chosen one is imported.
Exit codes: 0 done, 1 ran with a negative result, 2 bad usage or input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from nitrogen_jax import __version__, platforms
from nitrogen_jax.commands import nested
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.extras import install_command, missing_extra

# verb -> one line; the module of the same name ("-" as "_") holds the rest.
VERBS = {
    "quickstart": "the whole chain on one game: watch, label, learn, play, score",
    "predict": "actions for pictures, videos or records, in batches",
    "convert": "a checkpoint from one format to another",
    "info": "what a checkpoint holds: parts, parameters, config",
    "verify": "compare the network with recorded outputs of the original",
    "train": "train, fine-tune, resume",
    "plan": "what training would take on a machine that is not there",
    "data": "label trees, videos and training records",
    "serve": "a policy for other processes and machines, many games at once",
    "play": "a policy plays a game: watched, recorded, also in real time",
    "sim": "unmodified games, frozen and stepped frame by frame",
    "eval": "a policy on a suite of tasks in games, judged by programs",
    "study": "the paper's claims, tested in small",
    "label": "action labels from videos with a controller overlay",
    "bench": "measure speed",
    "doctor": "check what this machine has and what it lacks",
}


def top_parser() -> argparse.ArgumentParser:
    """The parser of `nitrogen` itself; verbs are listed but not imported."""
    verbs = "\n".join(f"  {name:<11} {line}" for name, line in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="nitrogen",
        usage="nitrogen [-v] <verb> [...]",
        description="An open vision-action model that plays games from pixels with a gamepad.",
        epilog=f"verbs:\n{verbs}\n\n'nitrogen <verb> --help' explains one, with examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nitrogen_jax {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what is going on")
    parser.add_argument("verb", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def verb_parser(verb: str) -> tuple[argparse.ArgumentParser, object]:
    """The parser of one verb and its module."""
    return nested.module_parser(verb.replace("-", "_"), f"nitrogen {verb}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    parser = top_parser()
    top = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if top.verbose else logging.WARNING, format="%(levelname)s: %(message)s"
    )
    if top.verb is None:
        parser.print_help(sys.stderr)
        return 2
    if top.verb not in VERBS:
        sys.stderr.write(f"nitrogen: there is no verb {top.verb!r}: use {', '.join(VERBS)}\n")
        return 2
    try:
        platforms.settle()
        parser, module = verb_parser(top.verb)
        code = module.run(nested.parse(parser, module, top.rest))
        sys.stdout.flush()  # a reader that went away is noticed here and not while Python exits
        return code
    except NitrogenError as error:
        sys.stderr.write(f"nitrogen {top.verb}: {error}\n")
        return 2
    except ModuleNotFoundError as error:
        extra = missing_extra(error.name or "")
        if extra is None:
            raise
        sys.stderr.write(
            f"nitrogen {top.verb}: needs {error.name}, which is not installed: "
            f"{install_command(extra)}\n"
        )
        return 2
    except BrokenPipeError:
        # NOTE: Python flushes standard output once more at exit and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"nitrogen {top.verb}: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
