"""`nitrogen train`: one trainer for every network here, on one device or on many."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

OVERRIDES = True
SUMMARY = "Trains a network as a file of configs/ says; --a.b=value changes a value of it."
EXAMPLES = """\
  nitrogen train --config configs/nitrogen_tiny.py --out runs/tiny --data.records=records/
  nitrogen train --config configs/nitrogen_tiny.py --out runs/tiny --data.records=records/ --resume
  nitrogen train --config configs/nitrogen_500m_finetune.py --out runs/mine \\
      --start.checkpoint=ng_converted/ --data.records=records/ --freeze=vision --steps=5000
  nitrogen train --config F --out runs/x --coordinator 10.0.0.1:1234 --processes 2 --process-id 0
A run's folder holds config.json, log.jsonl, tensorboard/, checkpoints/STEP/, curves.html and, at
the end, result.json. SIGTERM and Ctrl-C save and stop (exit code 0, and 130); with --resume the
same command goes on, on the same devices or others. Exit code 1: training could not go on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from nitrogen_jax.training import distributed

    parser.add_argument("--config", required=True, metavar="FILE", help="a file of configs/")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="go on, if there is a checkpoint")
    parser.add_argument("--profile", action="store_true", help="trace a few steps into DIR/profile")
    parser.add_argument("--quiet", action="store_true", help="show nothing but warnings")
    parser.add_argument("--print-config", action="store_true", help="print all values and stop")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    distributed.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import config as configs
    from nitrogen_jax import terminal
    from nitrogen_jax.training import distributed, run_folder
    from nitrogen_jax.training.train_config import TrainConfig

    config = configs.load(args.config, args.overrides)
    if not isinstance(config, TrainConfig):
        raise NitrogenError(
            f"{args.config}: its config() is a {type(config).__name__}, not a TrainConfig"
        )
    config = config.check()
    if args.print_config:
        terminal.out().print(json.dumps(run_folder.plain(config), indent=1), markup=False)
        return 0
    distributed.initialize(distributed.flags_of(args))
    from nitrogen_jax.training import loop

    main = distributed.only_main_logs()
    try:
        result = loop.train(
            config,
            args.out,
            resume=args.resume,
            profile=args.profile,
            view=not args.quiet,
            command=["nitrogen", *sys.argv[1:]],
        )
    except Exception as error:
        stopped, known = isinstance(error, loop.Stopped), isinstance(error, NitrogenError)
        if not stopped and not distributed.is_several():
            raise
        if known:
            sys.stderr.write(f"nitrogen train: {error}\n")
        else:
            traceback.print_exc()
        return distributed.leave(2 if known and not stopped else 1)
    except KeyboardInterrupt:
        sys.stderr.write("nitrogen train: interrupted\n")
        return distributed.leave(130)
    distributed.shutdown()
    if main and args.json:
        told = {"state": result.state, "step": result.step, "metrics": result.metrics}
        terminal.out().print(json.dumps(told), markup=False)
    return 130 if result.interrupted else 0
