"""What `nitrogen bench train` found, as JSON: rates, shares of what the devices can do, ratios."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from nitrogen_jax.bench import timing
from nitrogen_jax.bench.train import MEASURED, RANDOM, RECORDS, Way
from nitrogen_jax.plan.chips import GPUS, TPUS, Chip
from nitrogen_jax.training.train_config import TrainConfig

# What JAX calls a device -> the data sheet whose rate is meant. Whole names: an "H100 PCIe" and a
# slice of a chip ("MIG ...") are slower than what is listed.
_KINDS = {
    r"TPU v4": TPUS["v4"],
    r"TPU (v5 lite|v5e)": TPUS["v5e"],
    r"TPU (v5|v5p)": TPUS["v5p"],
    r"TPU (v6 lite|v6e)": TPUS["v6e"],
    r"NVIDIA H100 80GB HBM3": GPUS["h100"],
    r"NVIDIA H200": GPUS["h200"],
    r"NVIDIA A100-(SXM|PCI)[\w-]*|NVIDIA A100 80GB PCIe": GPUS["a100"],
    r"NVIDIA L40S": GPUS["l40s"],
    r"NVIDIA GeForce RTX 4090": GPUS["rtx4090"],
}


def chip_of(kind: str) -> Chip | None:
    """The data sheet of a device of this kind, if it is known."""
    return next((chip for name, chip in _KINDS.items() if re.fullmatch(name, kind)), None)


def about(config: TrainConfig) -> dict[str, Any]:
    """The machine, measured, and what all ways share. FLOP/s are of all devices together."""
    task, kind = config.task, jax.devices()[0].device_kind
    dtype = getattr(getattr(task, "compute", None), "dtype", "float32")
    on_cpu = jax.default_backend() == "cpu"
    chip = chip_of(kind) if dtype == "bfloat16" else None  # data sheets are quoted for that
    count = jax.device_count()
    return {
        "jax": jax.__version__,
        "device": kind,
        "devices": count,
        "accelerator": not on_cpu,
        "dtype": dtype,
        "accumulate": config.accumulate,
        "remat": getattr(task, "remat", None),
        "draws_per_frame": getattr(task, "draws_per_frame", None),
        "matmul_flops": timing.matmul_flops(dtype),
        "chip": None if chip is None else chip.name,
        "chip_flops": None if chip is None else chip.flops * count,
    }


def summary(way: Way, machine: Mapping[str, Any]) -> dict[str, Any]:
    """One way as JSON; None where a number is not known.

    step_ms is the median of all steps and step_ms_p10, step_ms_p90 their spread; samples_per_s the
    median of the turns. FLOPs are of an update, memory is of one device in MiB.
    """
    program, turns = way.program, way.turns
    built, figures = program.built, way.program.figures
    found: dict[str, Any] = {
        "batch": built.config.batch,
        "mesh": [built.mesh.shape["data"], built.mesh.shape["fsdp"]],
        "data": way.source,
        "state": way.state,
        "compile_s": program.seconds,
        "flops_by_hand": built.flops,
        "flops_compiler": program.flops,
        "peak_mib": figures.get("peak_mib"),
        "argument_mib": figures.get("argument_mib"),
        "temporary_mib": figures.get("temporary_mib"),
        "device_peak_mib": way.device_peak,
    }
    names = ("samples_per_s", "slowest", "fastest", "step_ms", "step_ms_p10", "step_ms_p90")
    names += ("data_wait", "of_matmul", "of_chip", "host_memory_mib")
    if not turns:
        return found | dict.fromkeys(names) | {"rates": [], "steps_ms": []}
    rates = [turn.rate for turn in turns]
    all_ms = [ms for turn in turns for ms in turn.step_ms]
    waits = [turn.data_wait for turn in turns if turn.data_wait is not None]
    rate = float(np.median(rates))
    low, middle, high = (float(each) for each in np.percentile(all_ms, (10, 50, 90)))
    speed = rate * built.flops / built.config.batch
    peak = machine["chip_flops"]
    values = (rate, min(rates), max(rates), middle, low, high)
    values += (float(np.median(waits)) if waits else None, speed / machine["matmul_flops"])
    values += (None if peak is None else speed / peak,)
    values += (max(turn.memory["host_memory_mib"] for turn in turns),)
    found |= dict(zip(names, values, strict=True))
    return found | {"rates": rates, "steps_ms": all_ms}


def ratios(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Samples/s of every way over those of the first that was measured, and records over random.

    The median over the turns of the ratio within a turn.
    """
    ran = [one for one in found if one["state"] == MEASURED]
    pairs = [(one, ran[0]) for one in ran[1:]]
    for one in ran:
        for other in ran:
            same = all(one[key] == other[key] for key in ("batch", "mesh"))
            pair = one["data"] == RECORDS and other["data"] == RANDOM
            if same and pair and other is not ran[0]:
                pairs.append((one, other))

    def named(one: Mapping[str, Any]) -> dict[str, Any]:
        return {key: one[key] for key in ("batch", "mesh", "data")}

    return [
        {
            "way": named(one),
            "to": named(other),
            "ratio": float(np.median(np.divide(one["rates"], other["rates"]))),
        }
        for one, other in pairs
    ]
