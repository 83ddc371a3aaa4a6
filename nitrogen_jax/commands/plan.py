"""`nitrogen plan`: what training, or sampling, would take on a machine that is not there."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from nitrogen_jax.errors import NitrogenError

OVERRIDES = True
SUMMARY = "Compiles the train step or the sampler for another machine: memory, time, collectives."
EXAMPLES = """\
  nitrogen plan --config configs/nitrogen_500m_pretrain.py --on tpu:v5e:16x16 --mesh 64,4
  nitrogen plan --config configs/nitrogen_500m_pretrain.py --on tpu:v6e:16x16 --sweep --fsdp 1,4,8
  nitrogen plan --config configs/nitrogen_500m_finetune.py --on gpu:h100:8 --mesh 1,8 --batch=512
  nitrogen plan --config configs/nitrogen_500m_pretrain.py --on tpu:v5e:16x16 --mesh 64,4 \
      --scale 8,16,64,256
  nitrogen plan --config configs/nitrogen_500m_pretrain.py --mesh.fsdp=4 --markdown \
      --on tpu:v5e:2x4,tpu:v5e:4x4,tpu:v5e:16x16,tpu:v6e:16x16
  nitrogen plan --config configs/nitrogen.py --on tpu:v5e:1x1 --sampler 1,8,64
  nitrogen plan --config configs/nitrogen_tiny.py --on cpu --json
Machines: tpu:v4|v5e|v5p|v6e:TOPOLOGY (extra [tpu], on any Linux machine), gpu:h100|h200|a100|l40s|
rtx4090:NUMBER, cpu. Accumulation and recomputation are chosen unless they are given; values of the
config change by --a.b=value. Full-size steps compile for minutes; --quick takes a third of it.
Exit code 1: it does not fit."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="a file of configs/")
    parser.add_argument(
        "--on", required=True, metavar="MACHINE", help="such as tpu:v5e:16x16, or a list"
    )
    parser.add_argument("--mesh", metavar="DATA,FSDP", help="default the config's")
    parser.add_argument("--batch", metavar="N", help="samples of an update; with --sweep a list")
    parser.add_argument(
        "--accumulate", metavar="N|auto", default="auto", help="micro-batches; with --sweep a list"
    )
    parser.add_argument(
        "--remat",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compute blocks again in the backward pass, or not; default what fits",
    )
    parser.add_argument("--sweep", action="store_true", help="try meshes, batches, recomputation")
    parser.add_argument("--fsdp", metavar="LIST", help="with --sweep: fsdp sizes, default 1 to 16")
    parser.add_argument("--sampler", metavar="BATCHES", help="plan the sampler, on one chip")
    parser.add_argument("--steps", type=int, help="of the sampler; default the config's")
    parser.add_argument(
        "--scale", metavar="CHIPS", help="also the plan's step on so many chips, on paper"
    )
    parser.add_argument("--quick", action="store_true", help="compile faster and less well")
    parser.add_argument("--hlo", metavar="FILE", help="keep the compiled program's text")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax.plan import sweep

    plans = _made(_asked(args), args.sweep)
    best = sweep.best(plans) if args.sweep else None
    scales = _scaled(args, best or plans[-1])
    if args.json:
        _print_json(plans, best, scales, args.sweep)
    elif args.markdown:
        _print_markdown(plans, scales)
    else:
        _print_lines(plans, [best] if best else [] if args.sweep else plans, scales)
    return 0 if best or (not args.sweep and all(plan["fits"] for plan in plans)) else 1


def _print_json(plans: list[dict], best: dict | None, scales: list, swept: bool) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.plan import scaling

    data = {"plans": plans, "best": best} if len(plans) > 1 or swept else dict(plans[0])
    if scales:
        names = [name.rstrip(">") for name in scaling.COLUMNS]
        data["scale"] = [dict(zip(names, row, strict=True)) for row in scales]
    terminal.out().print(json.dumps(data), markup=False)


def _print_markdown(plans: list[dict], scales: list) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.plan import report, scaling

    terminal.out().print(report.markdown(plans), markup=False)
    if scales:
        terminal.out().print("\n" + report.as_markdown(scaling.COLUMNS, scales), markup=False)


def _print_lines(plans: list[dict], shown: list[dict], scales: list) -> None:
    from nitrogen_jax import terminal
    from nitrogen_jax.plan import report, scaling

    screen = terminal.out()
    if len(plans) > 1:
        screen.print(terminal.table("", report.COLUMNS, report.table_rows(plans)))
    for plan in shown:
        for line in report.lines(plan):
            screen.print(line, markup=False)
    if not shown:
        screen.print("nothing of this fits", markup=False)
    if scales:
        title = "on paper, with as many samples per chip and fsdp as it is"
        screen.print(terminal.table(title, scaling.COLUMNS, scales))


def _scaled(args: argparse.Namespace, plan: dict) -> list[tuple[str, ...]]:
    from nitrogen_jax.plan import chips, scaling, sweep

    if args.scale is None or plan["estimate"] is None:
        return []
    chip, counts = chips.target(plan["target"]).chip, sweep.numbers(args.scale, "--scale")
    return list(scaling.rows(plan, chip, counts))


def _asked(args: argparse.Namespace) -> list:
    """The requests for all machines; what is wrong with the arguments is found here."""
    from nitrogen_jax.plan import chips

    asked = []
    for name in args.on.split(","):
        target = chips.target(name)
        if args.mesh is not None:
            chips.mesh_sizes(args.mesh, target)
        asked += _requests(args, target)
    if args.hlo is None:
        return asked
    path = Path(args.hlo).absolute()
    if len(asked) > 1:
        raise NitrogenError(f"--hlo is one file, and there are {len(asked)} programs")
    if not path.parent.is_dir():
        raise NitrogenError(f"the folder {path.parent} of --hlo does not exist")
    return [replace(asked[0], hlo=str(path))]


def _made(asked: list, keep_going: bool) -> list[dict]:
    from nitrogen_jax import terminal
    from nitrogen_jax.plan import worker

    plans, failed = [], None
    with terminal.progress("compiling", len(asked), "programs") as advance:
        for request in asked:
            try:
                plans.append(worker.ask(request))
            except NitrogenError as error:
                if not keep_going:
                    raise
                failed = error
                terminal.console().print(f"left out: {error}", markup=False)
            advance(1)
    if not plans and failed is not None:
        raise failed
    return plans


def _requests(args: argparse.Namespace, target) -> list:
    from nitrogen_jax.plan import sweep
    from nitrogen_jax.plan.worker import Request

    if args.scale is not None and (args.sampler is not None or target.chip is None):
        raise NitrogenError("--scale is of a train step on tpu: or gpu: machines")
    sweep.numbers(args.scale, "--scale")  # before anything is compiled
    base = Request(
        args.config,
        target.name,
        overrides=tuple(args.overrides),
        mesh=args.mesh,
        remat=args.remat,
        quick=args.quick,
    )
    if args.sampler is not None:
        if args.sweep or args.mesh or args.batch:
            raise NitrogenError("--sampler is of one chip: leave --mesh, --batch and --sweep away")
        if args.steps is not None and args.steps < 1:
            raise NitrogenError(f"--steps is {args.steps}, where at least 1 is needed")
        sizes = sweep.numbers(args.sampler, "--sampler")
        return [replace(base, sampler=size, steps=args.steps) for size in sizes]
    batches = sweep.numbers(args.batch, "--batch")
    splits = [] if args.accumulate == "auto" else sweep.numbers(args.accumulate, "--accumulate")
    if args.sweep:
        ways = []
        for fsdp in sweep.numbers(args.fsdp, "--fsdp"):
            if target.devices % fsdp:
                raise NitrogenError(
                    f"--fsdp {fsdp} does not divide the {target.devices} devices of {target.name}"
                )
            ways.append(f"{target.devices // fsdp},{fsdp}")
        return list(
            sweep.requests(base, target.devices, ways=ways, batches=batches, accumulates=splits)
        )
    if args.fsdp is not None:
        raise NitrogenError("--fsdp belongs to --sweep: use --mesh DATA,FSDP")
    if len(batches) > 1 or len(splits) > 1:
        raise NitrogenError("several values of --batch or --accumulate need --sweep")
    return [
        replace(
            base,
            batch=batches[0] if batches else None,
            accumulate=splits[0] if splits else None,
        )
    ]
