"""Compiling for devices that are not there: TPU topologies by libtpu, other chips by stand-ins."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan.chips import Chip, Target
from nitrogen_jax.training.compiled import MIB, describe_compiled

# What a compiler is asked for where its answer shall come soon and not be the best one.
QUICK = {"exec_time_optimization_effort": -1.0}


@dataclass(frozen=True)
class Program:
    """What a compiler says of a program for one device.

    Attributes:
        text: HLO.
        figures: what `training.compiled.describe_compiled` gives.
        seconds: that compiling took.
        overflow: how much memory it would need, in bytes, where the compiler refused because of
            that; there is no text then.
    """

    text: str = ""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    overflow: float | None = None


def environment(target: Target) -> dict[str, str]:
    """What must be set before JAX starts in the process that compiles for `target`."""
    if target.platform == "tpu":
        return {
            "JAX_PLATFORMS": "cpu",
            "TPU_SKIP_MDS_QUERY": "1",
            # NOTE: libtpu otherwise allows one process at a time, as if it held a chip.
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        }
    flags = f"--xla_force_host_platform_device_count={target.devices}"
    if target.platform == "gpu":  # nothing of it will run, so the machine code may be poor
        flags += " --xla_backend_optimization_level=0"
    return {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}


def topology(name: str) -> Any:
    """The devices of a TPU topology such as "v5e:2x2", abstract."""
    # NOTE: without it libtpu asks a metadata server that is not there, for minutes.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    if os.environ.get("JAX_PLATFORMS") == "cpu":  # no chip is used, so others may do the same
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    from jax.experimental import topologies

    options: dict[str, Any] = {}
    if name.startswith("v4:"):
        # NOTE: the default makes two devices of a chip's two cores; programs here use both as one.
        options["chip_config_name"] = "megacore"
    if re.fullmatch(r"\w+:1(x1)*", name):
        options["chips_per_host_bounds"] = (1, 1, 1)
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name, **options)
    except Exception as error:  # the plug-in raises whatever it likes
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise NitrogenError(
            f"cannot compile for TPU topology {name!r}, such as v5e:2x2, with the [tpu] extra: "
            f"{reason}"
        ) from error


def devices(target: Target) -> Sequence[Any]:
    """The devices to compile for, in a process with the target's `environment`."""
    if target.topology is None:
        return jax.devices("cpu")[: target.devices]
    found = topology(target.topology).devices
    if len(found) != target.devices:
        raise NitrogenError(
            f"TPU topology {target.topology!r} has {len(found)} devices where its name says "
            f"{target.devices}"
        )
    return found


def compile_lowered(lowered: jax.stages.Lowered, quick: bool = False) -> Program:
    """Compiles; a program that does not fit comes back as its `overflow`."""
    start = time.perf_counter()
    try:
        compiled = lowered.compile(compiler_options=dict(QUICK) if quick else None)
    except jax.errors.JaxRuntimeError as error:
        needed = needed_bytes(str(error))
        if needed is None:
            raise
        return Program(seconds=time.perf_counter() - start, overflow=needed)
    seconds = time.perf_counter() - start
    return Program(compiled.as_text() or "", describe_compiled(compiled), seconds)


def needed_bytes(message: str) -> float | None:
    """Bytes that a program needs, from the error of a compiler that finds them too many."""
    if "RESOURCE_EXHAUSTED" not in message:
        return None
    found = re.search(
        r"[Uu]sed ([\d.]+)([KMGT]?) of [\d.]+[KMGT]? hbm|required .*\(([\d.]+)([KMGT]?)\) exceeds",
        message,
    )
    if found is None:
        return float("inf")
    number, unit = found[1] or found[3], found[2] or found[4]
    units = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    return float(number) * units[unit or ""]


def this_machine() -> Chip:
    """The processor here, measured for a second: products in float32 and copying of memory."""
    import numpy as np

    from nitrogen_jax.bench.timing import matmul_tflops

    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    block = np.ones(1 << 26, np.uint8)
    copies = []
    for _ in range(5):
        start = time.perf_counter()
        block.copy()
        copies.append(2 * block.nbytes / (time.perf_counter() - start))
    rate = max(copies)
    # NOTE: devices on one processor share it, and pass things on through its memory.
    return Chip("this CPU", 1e12 * matmul_tflops("float32"), float(pages), rate, link=rate)


def peak_bytes(program: Program) -> float | None:
    """Bytes of one device with everything that the program holds, its own code among it.

    NOTE: an upper bound: the compilers' own figure of a peak leaves temporaries out on some.
    """
    if program.overflow is not None:
        return program.overflow
    names = ("argument_mib", "output_mib", "temporary_mib", "code_mib")
    sizes = [program.figures.get(name) for name in names]
    if None in sizes:
        return None
    return (sum(sizes) - (program.figures.get("alias_mib") or 0.0)) * MIB
