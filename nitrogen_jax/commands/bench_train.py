"""`nitrogen bench train`: the speed of training."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError

OVERRIDES = True
SUMMARY = "Measures the step of `nitrogen train`: samples/s, data wait, MFU, memory, compile time."
EXAMPLES = """\
  nitrogen bench train --config configs/nitrogen_tiny.py --batches 16,32,64
  nitrogen bench train --config configs/nitrogen_tiny.py --records records/ --data.workers=2
  nitrogen bench train --config configs/nitrogen_500m_pretrain.py --batches 32,64,128 \\
      --task.draws_per_frame=1 --out h100.json
  nitrogen bench train --config F --mesh '8,1;1,8' --accumulate=4 --task.remat=True
All ways are measured in turn, and ratios are within one run. Without --records batches are random
and on the devices already; with them every way is measured both so and with the loader, whose wait
counts where the devices idle. Parameters are random, whatever the config starts from. MFU counts
the network's FLOPs by hand, recomputation left out. Exit code 1: memory sufficed for no way."""

TARGET, TARGET_WAIT = 0.45, 0.02  # of the matmul rate, and of the step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="a file of configs/")
    parser.add_argument("--records", metavar="DIR", help="also with the loader on these records")
    parser.add_argument("--batches", metavar="N,N", help="samples in an update; the config's")
    parser.add_argument("--mesh", metavar="D,F;D,F", help="copies, devices per copy; the config's")
    parser.add_argument("--steps", type=int, default=20, help="of each way at each turn; 20")
    parser.add_argument("--turns", type=int, default=3, help="3")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    batches = _batches(args.batches)
    meshes = _meshes(args.mesh)
    for name in ("steps", "turns"):
        if getattr(args, name) < 1:
            raise NitrogenError(f"--{name} is {getattr(args, name)}, where at least 1 is needed")
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise NitrogenError(f"the folder {args.out.absolute().parent} does not exist")

    from nitrogen_jax import terminal
    from nitrogen_jax.bench import train, train_report
    from nitrogen_jax.training import run_folder

    config, reads = _load(args)
    cases = train.configs(config, batches, meshes)
    machine = train_report.about(config)
    with terminal.progress("compiling", len(cases)) as advance:
        programs = []
        for case in cases:
            programs.append(train.compile_step(case))
            advance(1)
    sources = (train.RANDOM, train.RECORDS) if reads else (train.RANDOM,)
    ways = [train.Way(program, source) for program in programs for source in sources]
    total = len(ways) * args.turns * (args.steps + train.WARM)
    with terminal.progress("measuring", total, "steps") as advance:
        train.measure(ways, args.steps, args.turns, lambda: advance(1))
    found = [train_report.summary(way, machine) for way in ways]
    data = {
        **machine,
        "config": str(args.config),
        "values": run_folder.plain(config),
        "steps": args.steps,
        "turns": args.turns,
        "results": found,
        "ratios": train_report.ratios(found),
    }
    if args.out is not None:
        run_folder.write_json(args.out, data)
    screen = terminal.out()
    if args.json:
        screen.print(json.dumps(data), markup=False)
    else:
        screen.print(_table(data))
        for line in _lines(data):
            screen.print(line, markup=False)
    return 0 if any(one["state"] == train.MEASURED for one in found) else 1


def _load(args: argparse.Namespace) -> tuple[Any, bool]:
    """The config, and whether records are to be read."""
    from nitrogen_jax import config as configs
    from nitrogen_jax.training.train_config import TrainConfig

    config = configs.load(args.config, args.overrides)
    if not isinstance(config, TrainConfig):
        raise NitrogenError(
            f"{args.config}: its config() is a {type(config).__name__}, not a TrainConfig"
        )
    if args.records is not None:
        config = configs.override(config, [f"--data.records={args.records!r}"])
    named = ("--data.records=", "--data.datasets=")
    reads = args.records is not None or any(one.startswith(named) for one in args.overrides)
    config = config.check()
    if reads:
        return dataclasses.replace(config, task=config.data.fit(config.task)), True
    check = getattr(config.task, "check", None)
    return (config if check is None else dataclasses.replace(config, task=check())), False


def _batches(text: str | None) -> list[int]:
    if text is None:
        return []
    if not re.fullmatch(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*", text):
        raise NitrogenError(f"--batches is {text!r}, where numbers such as 16,32,64 are needed")
    return [int(part) for part in text.split(",")]


def _meshes(text: str | None) -> list[tuple[int, int]]:
    if text is None:
        return []
    found = []
    for part in text.split(";"):
        sizes = re.fullmatch(r"\s*([1-9]\d{0,5}),([1-9]\d{0,5})\s*", part)
        if sizes is None:
            raise NitrogenError(f"--mesh is {text!r}, where pairs such as '1,8;2,4' are needed")
        found.append((int(sizes[1]), int(sizes[2])))
    return found


def _table(data: Mapping[str, Any]) -> Any:
    from nitrogen_jax import terminal

    sheet = ""
    if data["chip_flops"] is not None:
        sheet = f", data sheet ({data['chip']}) {data['chip_flops'] / 1e12:,.0f}"
    title = (
        f"{data['config']} on {data['devices']} x {data['device']}, {data['dtype']}, accumulate "
        f"{data['accumulate']}, remat {data['remat']}, draws {data['draws_per_frame']}; "
        f"matmul rate {_short(data['matmul_flops'] / 1e12)} TFLOP/s{sheet}"
    )
    columns = ("batch>", "mesh", "data", "samples/s>", "range>", "step ms>", "p10 - p90>")
    columns += ("data wait>", "of matmul>", "of data sheet>", "compile s>", "TFLOP by hand>")
    columns += ("by compiler>", "GiB compiled>", "device>", "host>")
    return terminal.table(title, columns, [_row(one) for one in data["results"]])


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    measured = one["samples_per_s"] is not None
    flops = one["flops_compiler"]
    spread = [f"{_short(one[a])} - {_short(one[b])}" if measured else "" for a, b in _SPREADS]
    return (
        str(one["batch"]),
        "{}x{}".format(*one["mesh"]),
        one["data"],
        _short(one["samples_per_s"]) if measured else one["state"],
        spread[0],
        _short(one["step_ms"]),
        spread[1],
        *(_share(one[name]) for name in ("data_wait", "of_matmul", "of_chip")),
        _short(one["compile_s"]),
        _short(one["flops_by_hand"] / 1e12),
        _short(None if flops is None else flops / 1e12),
        *map(_gib, (one["peak_mib"], one["device_peak_mib"], one["host_memory_mib"])),
    )


_SPREADS = (("slowest", "fastest"), ("step_ms_p10", "step_ms_p90"))


def _lines(data: Mapping[str, Any]) -> list[str]:
    """The ratios, and how far the targets are reached, as sentences."""
    lines = [
        f"{_name(row['way'])}: {row['ratio']:.3f} x the samples/s of {_name(row['to'])}"
        for row in data["ratios"]
    ]
    ran = [one for one in data["results"] if one["samples_per_s"] is not None]
    if not data["accelerator"] or not ran:
        return lines
    best = max(ran, key=lambda one: one["samples_per_s"])
    lines.append(
        f"best: {_name(best)}: {best['samples_per_s']:,.0f} samples/s, "
        f"{best['of_matmul']:.1%} of the measured matmul rate (target {TARGET:.0%})"
    )
    read = [one for one in ran if one["data_wait"] is not None]
    if read:
        best = max(read, key=lambda one: one["samples_per_s"])
        lines.append(
            f"data wait: {best['data_wait']:.2%} of the step at {_name(best)} "
            f"(target below {TARGET_WAIT:.0%})"
        )
    return lines


def _name(one: Mapping[str, Any]) -> str:
    return "batch {}, mesh {}x{}, {} batches".format(one["batch"], *one["mesh"], one["data"])


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _gib(mib: float | None) -> str:
    return "" if mib is None else f"{mib / 1024:.2f}"
