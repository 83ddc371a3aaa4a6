"""What one chip can do, from public data sheets, and how TPU topologies are written.

Rates are what the maker promises, dense (no sparsity), one direction of a link. Where they come
from:

  TPU       cloud.google.com/tpu/docs, "System architecture", page of each generation: peak bf16
            compute, HBM capacity and bandwidth, inter-chip interconnect. Each link of a chip
            carries an equal share of the interconnect's figure. A ring along one axis of the
            torus uses two links, one each way, and that is what `link` holds; collectives that
            the compiler spreads over several axes are faster.
  H100      NVIDIA H100 Tensor Core GPU data sheet, SXM5 80 GB
  H200      NVIDIA H200 Tensor Core GPU data sheet, SXM 141 GB
  A100-80   NVIDIA A100 Tensor Core GPU data sheet, SXM4 80 GB
  L40S      NVIDIA L40S data sheet; PCIe 4.0 x16, no NVLink
  RTX 4090  NVIDIA Ada GPU architecture white paper: bf16 with fp32 accumulation; PCIe 4.0 x16

Between hosts a GPU has its share of the network of the usual server: one 400 Gb/s adapter per
H100 and H200 (DGX H100), one 200 Gb/s per A100 (DGX A100), 100 Gb/s shared by four of the others.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass

from nitrogen_jax.errors import NitrogenError

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """One accelerator. Bytes, bytes per second, FLOP per second."""

    name: str
    flops: float  # bf16, dense
    memory: float  # HBM that a program can have
    bandwidth: float  # of the HBM
    link: float  # to the neighbours on a ring inside the slice or the host
    network: float | None = None  # to other hosts; None: the slice is one, whatever its hosts
    per_host: int | None = None  # chips that `link` reaches; None: all of them
    axes: int = 0  # of the torus; 0: not a TPU


# NOTE: a TPU program gets a little less than the data sheet's HBM: the compiler itself names the
# limit when a program does not fit ("available HBM (15.75G)").
TPUS = {
    "v4": Chip("TPU v4", 275e12, 30.75 * GIB, 1228e9, link=90e9, axes=3),
    "v5e": Chip("TPU v5e", 197e12, 15.75 * GIB, 819e9, link=90e9, axes=2),
    "v5p": Chip("TPU v5p", 459e12, 95.74 * GIB, 2765e9, link=180e9, axes=3),
    "v6e": Chip("TPU v6e", 918e12, 31.25 * GIB, 1640e9, link=180e9, axes=2),
}
# NOTE: memory is what the driver reports less 1 GiB for the context and the libraries.
GPUS = {
    "h100": Chip("H100 SXM", 989.4e12, 78.6 * GIB, 3350e9, 450e9, network=50e9, per_host=8),
    "h200": Chip("H200 SXM", 989.4e12, 139.4 * GIB, 4800e9, 450e9, network=50e9, per_host=8),
    "a100": Chip("A100 SXM 80GB", 312e12, 79.0 * GIB, 2039e9, 300e9, network=25e9, per_host=8),
    "l40s": Chip("L40S", 362e12, 44.0 * GIB, 864e9, 32e9, network=3.1e9, per_host=4),
    "rtx4090": Chip("RTX 4090", 165.2e12, 23.0 * GIB, 1008e9, 32e9, network=3.1e9, per_host=4),
}
EXAMPLES = "tpu:v5e:16x16, gpu:h100:8 or cpu"


@dataclass(frozen=True)
class Target:
    """A machine: so many devices of one chip."""

    platform: str  # "tpu", "gpu" or "cpu"
    name: str  # as the user wrote it
    chip: Chip | None  # None: nobody knows yet what this machine's processor does
    devices: int
    topology: str | None = None  # of a TPU, "v5e:16x16"


def target(text: str) -> Target:
    """ "tpu:v5e:16x16", "gpu:h100:8", "cpu" or "cpu:8" -> the machine."""
    platform, _, rest = text.strip().lower().partition(":")
    if platform == "tpu":
        return _tpu(text, rest)
    if platform == "gpu":
        name, _, number = rest.partition(":")
        chip = _named(GPUS, name, "GPU")
        return Target("gpu", text, chip, _devices(number or "1", text))
    if platform == "cpu":
        return Target("cpu", text, None, _devices(rest or "1", text))
    raise NitrogenError(f"--on is {text!r}, where a machine such as {EXAMPLES} is needed")


def mesh_sizes(text: str, machine: Target) -> tuple[int, int]:
    """ "64,4" -> (data, fsdp), whose product must be the machine's devices."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(re.fullmatch(r"[1-9]\d{0,3}", part) for part in parts):
        raise NitrogenError(f"--mesh is {text!r}, where DATA,FSDP such as 64,4 is needed")
    data, fsdp = map(int, parts)
    if data * fsdp != machine.devices:
        raise NitrogenError(
            f"--mesh {text} is {data * fsdp} devices, and {machine.name} has {machine.devices}"
        )
    return data, fsdp


def _tpu(text: str, rest: str) -> Target:
    name, _, shape = rest.partition(":")
    chip = _named(TPUS, name, "TPU")
    sizes = shape.split("x")
    example = "16x16" if chip.axes == 2 else "2x2x4"
    if len(sizes) != chip.axes or not all(re.fullmatch(r"[1-9]\d{0,2}", each) for each in sizes):
        raise NitrogenError(
            f"--on is {text!r}: the topology of a {chip.name} has {chip.axes} sizes, such as "
            f"tpu:{name}:{example}"
        )
    number = math.prod(map(int, sizes))
    return Target("tpu", text, chip, number, f"{name}:{shape}")


def _named(table: dict[str, Chip], name: str, kind: str) -> Chip:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, 1)
    advice = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(table)}"
    raise NitrogenError(f"the {kind} {name!r} is not known: {advice}")


def _devices(text: str, whole: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise NitrogenError(f"--on is {whole!r}: {text!r} is no number of devices from 1 to 9999")
    return int(text)
