"""FLOPs and memory traffic of a compiled program, loops counted as often as they run.

The compiler's own analysis counts the body of a loop once. What is counted here is counted both
ways, and the compiler's figures are scaled by the ratio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nitrogen_jax.plan.hlo_module import Array, Computation, Instruction, Module

# What moves nothing: names for parts of other values.
_FREE = {
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "after-all",
    "while",
    "conditional",
    "call",
    "partition-id",
    "replica-id",
    "add-dependency",
    "optimization-barrier",
    "iota",
}
_SLICES = {"dynamic-slice", "slice", "gather"}


@dataclass(frozen=True)
class Counts:
    """Of one call of a program on one chip."""

    flops: float  # of products, each multiply-add as 2
    bytes: float  # read and written in HBM by kernels


def count(module: Module, trips: bool = True) -> Counts:
    """With `trips` loops count as often as they run, without it once."""
    flops = traffic = 0.0
    for computation, times, fused in module.walk(trips):
        for instruction in computation.instructions.values():
            flops += times * product_flops(computation, instruction)
            if not fused:
                traffic += times * _traffic(module, computation, instruction)
    return Counts(flops, traffic)


def scaled(module: Module, compiler: Mapping[str, float | None]) -> Mapping[str, float | None]:
    """The compiler's "flops" and "bytes accessed" with loops counted as often as they run."""
    often, once = count(module), count(module, trips=False)
    return {
        "flops": _times(compiler.get("flops"), often.flops, once.flops),
        "bytes accessed": _times(compiler.get("bytes accessed"), often.bytes, once.bytes),
    }


def product_flops(computation: Computation, instruction: Instruction) -> float:
    """FLOPs of a dot or a convolution; 0 of anything else."""
    if instruction.opcode not in ("dot", "convolution"):
        return 0.0
    given = [
        computation.instructions[name].arrays[0]
        for name in instruction.operands
        if name in computation.instructions
    ]
    if len(given) < 2:
        return 0.0
    (result,) = instruction.arrays[:1]
    if instruction.opcode == "dot":
        over = instruction.attribute("lhs_contracting_dims") or "{}"
        return 2.0 * result.size * _size(given[0], _numbers(over))
    return _convolution(instruction, result, given[0], given[1])


def _convolution(instruction: Instruction, result: Array, lhs: Array, rhs: Array) -> float:
    """NOTE: the TPU compiler writes batches of products as convolutions whose windows mostly see
    padding, so only the places where the window sees something count.
    """
    labels = re.fullmatch(r"(\w+)_(\w+)->(\w+)", instruction.attribute("dim_labels") or "")
    if labels is None:
        return 0.0
    left, kernel, out = labels.groups()
    window = _window(instruction.attribute("window") or "{}")
    places = 1.0
    for at, letter in enumerate(sorted(letter for letter in kernel if letter.isdigit())):
        places *= _valid(
            lhs.dims[left.index(letter)],
            rhs.dims[kernel.index(letter)],
            result.dims[out.index(letter)],
            {key: values[at] for key, values in window.items() if at < len(values)},
        )
    groups = int(instruction.attribute("batch_group_count") or 1)
    batch = lhs.dims[left.index("b")] / groups
    return 2.0 * places * batch * rhs.dims[kernel.index("i")] * rhs.dims[kernel.index("o")]


def _valid(size: int, window: int, out: int, how: Mapping[str, str]) -> int:
    """Pairs of (output place, window place) that meet an element of the input."""
    stride, low = int(how.get("stride", 1)), int(how.get("pad", "0_0").split("_")[0])
    spread, step = int(how.get("lhs_dilate", 1)), int(how.get("rhs_dilate", 1))
    at = np.arange(out)[:, None] * stride + np.arange(window)[None, :] * step - low
    return int(((at >= 0) & (at % spread == 0) & (at // spread < size)).sum())


def _window(text: str) -> dict[str, list[str]]:
    """ "{size=3x3 pad=1_1x1_1}" -> {"size": ["3", "3"], "pad": ["1_1", "1_1"]}."""
    return {
        key: values.split("x") for key, values in re.findall(r"(\w+)=([\d_x\-]+)", text.strip("{}"))
    }


def _traffic(module: Module, computation: Computation, instruction: Instruction) -> float:
    """Bytes that an instruction outside of fusions reads and writes in HBM."""
    code = instruction.opcode
    if code in ("copy-start", "slice-start"):  # between HBM and the chip's own memory
        ends = [array for array in instruction.arrays if array.dims][:2]
        moved = min((array.bytes for array in ends), default=0)
        return float(moved * sum(array.memory == 0 for array in ends))
    if code in _FREE or code.endswith(("-start", "-done")):
        return 0.0
    total = 0.0
    for place, name in enumerate(instruction.operands):
        each = computation.instructions.get(name)
        if each is not None:
            looked = _looked_by(module, instruction, place)
            total += min(_hbm(each.arrays), looked)
    stored = _stored(module, computation, instruction)
    return total + sum(
        min(array.bytes, size)
        for array, size in zip(instruction.arrays, stored, strict=False)
        if array.memory == 0
    )


def _looked_by(module: Module, user: Instruction, place: int) -> float:
    """Bytes that an instruction looks at of its operand at `place`; inf: all of it."""
    if user.opcode in _SLICES and place == 0:
        return float(sum(array.bytes for array in user.arrays))
    if user.opcode == "dynamic-update-slice" and place == 0:
        return 0.0  # written in place
    inner = _inside(module, user)
    if inner is None:
        return float("inf")
    for name, instruction in inner.instructions.items():
        if instruction.opcode == "parameter" and instruction.inside == str(place):
            return _looked(module, inner, name)
    return float("inf")


def _looked(module: Module, computation: Computation, name: str) -> float:
    """Bytes that a fused computation looks at of one of its values; inf: all of it."""
    total = 0.0
    for user in computation.instructions.values():
        for place, operand in enumerate(user.operands):
            if operand == name:
                aliased = user.opcode in ("bitcast", "get-tuple-element", "tuple")
                total += (
                    _looked(module, computation, user.name)
                    if aliased
                    else _looked_by(module, user, place)
                )
    return total


def _stored(module: Module, computation: Computation, instruction: Instruction) -> list[float]:
    """Bytes that an instruction writes of each array of its result: updates in place are small."""
    inner = _inside(module, instruction)
    if inner is not None and inner.root is not None:
        return _stored(module, inner, inner.root)
    given = [computation.instructions.get(name) for name in instruction.operands]
    if instruction.opcode == "tuple":
        return [
            size
            for each in given
            if each is not None
            for size in _stored(module, computation, each)
        ]
    if instruction.opcode == "bitcast" and given and given[0] is not None:
        return _stored(module, computation, given[0])
    if instruction.opcode == "dynamic-update-slice" and len(given) > 1 and given[1] is not None:
        return [float(sum(array.bytes for array in given[1].arrays))]
    return [float(array.bytes) for array in instruction.arrays]


def _inside(module: Module, instruction: Instruction) -> Computation | None:
    """What a fusion is made of."""
    called = module.calls(instruction) if instruction.opcode == "fusion" else []
    return module.computations.get(called[0].computation) if called else None


def _hbm(arrays: tuple[Array, ...]) -> float:
    return float(sum(array.bytes for array in arrays if array.memory == 0))


def _size(array: Array, axes: list[int]) -> int:
    return int(np.prod([array.dims[axis] for axis in axes], dtype=np.int64)) if axes else 1


def _times(value: float | None, often: float, once: float) -> float | None:
    return value if value is None or not once else value * often / once


def _numbers(text: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", text)]
