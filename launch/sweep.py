#!/usr/bin/env python3
"""Trains one config with many overrides, one run after the other, several at a time, or by SLURM.

  launch/sweep.py --config configs/nitrogen_tiny.py --out sweeps/lr \\
    --grid optimizer.rate=1e-4,3e-4 --grid task.draws_per_frame=1,4 --seeds 3
  launch/sweep.py --config configs/nitrogen_tiny.py --out sweeps/some --list overrides.txt --jobs 2
  launch/sweep.py --config configs/nitrogen_500m_finetune.py --out sweeps/lr \\
    --grid optimizer.rate=3e-5,1e-4 --slurm="--nodes=1 --gpus-per-node=8 --time=24:00:00"

Each run has a folder of its own in --out, named by its overrides, and a log in logs/. The same
command again goes on where it stopped: finished runs are left alone, others go on from their
newest checkpoint. Ctrl-C and SIGTERM let the runs save. At the end there are table.csv,
table.json, plot.png, plot.svg and sweep.html. Exit codes: 0 all runs are finished (or submitted),
1 some are not, 2 bad usage.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

try:
    from nitrogen_jax import terminal
    from nitrogen_jax.errors import NitrogenError
    from nitrogen_jax.files import atomic_path
    from nitrogen_jax.sweep import local, plan, results, slurm, states
except ModuleNotFoundError as error:
    sys.exit(f"sweep.py: {error.name} is not installed: use .venv/bin/python {sys.argv[0]} ...")

COMMAND = (sys.executable, "-m", "nitrogen_jax.cli")


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    made = argparse.ArgumentParser(
        prog="launch/sweep.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--config", required=True, help="a file of configs/")
    made.add_argument("--out", required=True, type=Path, help="the folder of the sweep")
    group = made.add_argument_group("runs")
    group.add_argument(
        "--grid", action="append", default=[], metavar="A.B=X,Y", help="an axis; may be repeated"
    )
    group.add_argument("--list", type=Path, help="sets of overrides: .txt, .jsonl or .json")
    group.add_argument("--seeds", type=int, default=0, metavar="N", help="each with seeds 0 to N-1")
    group = made.add_argument_group("where")
    group.add_argument(
        "--jobs", type=int, default=0, metavar="N", help="runs at a time; 1, on SLURM any number"
    )
    group.add_argument(
        "--slurm", nargs="?", const="", metavar="OPTIONS", help="submit a job array, with these"
    )
    group.add_argument("--extra", default="cuda", help="beside [jax], on SLURM; cuda, or none")
    group.add_argument("--dry-run", action="store_true", help="print what would be run")
    group = made.add_argument_group("results")
    group.add_argument("--metric", help="such as validation.overall.buttons.micro_f1; the loss")
    group.add_argument("--best", choices=("min", "max"), help="min of losses and errors, else max")
    group.add_argument("--table", action="store_true", help="run nothing: table and plot alone")
    group.add_argument("--json", action="store_true", help="print table.json instead of the table")
    return made


def main(argv: Sequence[str] | None = None, command: Sequence[str] = COMMAND) -> int:
    """Runs the sweep; `command` is the program that trains."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        return sweep(args, command)
    except NitrogenError as error:
        sys.stderr.write(f"sweep.py: {error}\n")
        return 2


def sweep(args: argparse.Namespace, command: Sequence[str]) -> int:
    """Plans, checks, runs, collects."""
    if args.jobs < 0 or args.seeds < 0:
        raise NitrogenError("--jobs and --seeds are at least 1")
    listed = plan.read_list(args.list) if args.list else []
    runs = plan.make_runs(args.grid, listed, args.seeds)
    plan.check_runs(args.config, runs)
    if args.slurm is not None and not args.table:
        return by_slurm(args, runs)
    jobs = args.jobs or 1
    found = None
    if args.dry_run:
        return show(args, runs, command, jobs)
    states.remember(args.out, args.config)
    if not args.table:
        slots = local.gpu_slots(jobs, os.environ, local.count_gpus)
        screen = terminal.console()
        found = local.run_all(
            runs,
            args.config,
            args.out,
            command,
            slots,
            lambda line: screen.print(line, markup=False),
        )
    rows = results.collect(args.out, runs, found.states if found else None)
    tell(args, rows)
    if found and found.signal:
        return 128 + found.signal
    return 0 if all(row.state == states.FINISHED for row in rows) else 1


def show(
    args: argparse.Namespace, runs: Sequence[plan.Run], command: Sequence[str], jobs: int
) -> int:
    """The dry run of a local queue."""
    screen = terminal.out()
    slots = local.gpu_slots(jobs, os.environ, local.count_gpus)
    given = [f"CUDA_VISIBLE_DEVICES={slot}" for slot in slots if slot is not None]
    lines = [f"# {len(runs)} runs, {jobs} at a time"]
    if given:
        lines[0] += f", each with the next free one of {' '.join(given)}"
    for run in runs:
        state = states.state_of(args.out / run.name)
        if state == states.FINISHED:
            lines.append(f"# finished: {run.name}")
            continue
        words = local.train_command(command, args.config, args.out, run)
        log = args.out / states.LOGS / f"{run.name}.log"
        lines.append(f"{shlex.join(words)} >>{shlex.quote(str(log))} 2>&1")
    names = ("table.csv", "table.json", "plot.png", "plot.svg", "sweep.html")
    lines.append(f"# then {' '.join(str(args.out / name) for name in names)}")
    for line in lines:
        screen.print(line, markup=False)
    return 0


def by_slurm(args: argparse.Namespace, runs: Sequence[plan.Run]) -> int:
    """Submits the runs that are not finished as one array."""
    screen = terminal.out()
    left = [run for run in runs if states.state_of(args.out / run.name) != states.FINISHED]
    again = shlex.join([sys.argv[0], *sys.argv[1:], "--table"])
    if not left:
        screen.print(f"all {len(runs)} runs are finished: {again}", markup=False)
        return 0
    venv = Path(os.environ.get("VENV") or ROOT / ".venv")
    script = slurm.array_script(left, args.config, args.out, ROOT, venv, args.extra, args.jobs)
    commands = [
        slurm.setup_command(ROOT, venv, args.extra),
        slurm.submit_command(args.out, args.slurm),
    ]
    if args.dry_run:
        path = args.out / slurm.SCRIPT
        screen.print(f"cat >{shlex.quote(str(path))} <<'END'\n{script}END", markup=False)
        for words in commands:
            screen.print(shlex.join(words), markup=False)
        return 0
    states.remember(args.out, args.config)
    (args.out / states.LOGS).mkdir(exist_ok=True)
    with atomic_path(args.out / slurm.SCRIPT) as temporary:
        temporary.write_text(script)
    for words in commands:
        try:
            code = subprocess.run(words).returncode
        except FileNotFoundError as error:
            raise NitrogenError(f"{words[0]} is not on this machine: --slurm needs it") from error
        if code:
            return 1
    screen.print(f"when they are finished: {again}", markup=False)
    return 0


def tell(args: argparse.Namespace, rows: Sequence[results.Row]) -> None:
    """Table and plot, in the terminal and as files."""
    from nitrogen_jax.sweep import page

    results.write_csv(args.out / "table.csv", rows)  # first: a wrong --metric does not lose it
    metric = results.choose_metric(rows, args.metric)
    which = args.best or (results.better(metric) if metric else "max")
    results.write_json(args.out / "table.json", rows, metric, which)
    page.write(args.out, rows, metric, which, f"Config {args.config}, {len(rows)} runs.")
    screen = terminal.out()
    if args.json:
        screen.print(json.dumps(results.as_json(rows, metric, which)), markup=False)
        return
    screen.print(terminal.table(f"sweep {args.out}", *page.table(rows, metric)))
    if metric:
        found = results.settings(rows, metric)
        if any(len(one.values) > 1 for one in found):
            screen.print(terminal.table("means over seeds", *page.seeds_table(found, metric)))
        screen.print(page.best_line(found, metric, which), markup=False)
    screen.print(f"page: {args.out / page.PAGE}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
