"""The collectives of a compiled program: which, how large, among whom, how often."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nitrogen_jax.plan import groups
from nitrogen_jax.plan.hlo_module import Array, Computation, Instruction, Module

KINDS = (
    "all-gather",
    "all-reduce",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
)
# The compiler also writes all-to-all and broadcast in these ways.
_ALSO = {"ragged-all-to-all": "all-to-all"}


@dataclass(frozen=True)
class Collective:
    """One collective instruction.

    Attributes:
        kind: one of KINDS.
        arrays: what it is about, whole: what an all-gather makes, what the others are given.
        size: devices in a group.
        groups: the groups, or (source, target) pairs of a collective-permute.
        times: how often it runs in one call of the program.
        source: where in the traced program it comes from.
    """

    kind: str
    arrays: tuple[Array, ...]
    size: int
    groups: groups.Groups
    times: int = 1
    source: str = ""

    @property
    def payload(self) -> int:
        """Bytes of `arrays`, once."""
        return sum(array.bytes for array in self.arrays)

    @property
    def sent(self) -> float:
        """Bytes that one chip sends in one run, by a ring.

        Of a whole of S bytes among n: gathering or scattering passes S (n-1)/n on; reducing for
        everybody is a scatter and a gather; an all-to-all keeps 1/n; a permute sends what it has.
        """
        n = self.size
        if n <= 1:
            return 0.0
        if self.kind in ("collective-permute", "collective-broadcast"):
            return float(self.payload)
        share = self.payload * (n - 1) / n
        return 2 * share if self.kind == "all-reduce" else share

    def axis(self, mesh: Mapping[str, int]) -> str | None:
        """The mesh axes that it runs along, "data+fsdp"; None where it follows none."""
        if self.kind == "collective-permute":
            return groups.axes_of_pairs(self.groups, mesh)
        return groups.axes_of(self.groups, mesh)

    def spans(self, per_host: int) -> bool:
        """Whether any of its groups has devices of two hosts, numbered host by host."""
        return any(len({device // per_host for device in group}) > 1 for group in self.groups)


def find(module: Module) -> list[Collective]:
    """All collectives of a program, in no order.

    NOTE: the TPU compiler hides a collective behind the kernels that run meanwhile and names it in
    each of them: the parts have one channel and are one collective. And it writes a reduce-scatter
    as one kernel of an all-reduce and the slice that is left of it.
    """
    found: list[Collective] = []
    parts: set[tuple[str, str, int]] = set()
    for computation, times, fused in module.walk():
        for instruction in computation.instructions.values():
            made = _read(module, computation, instruction, times)
            if made is None:
                continue
            if fused and made.kind == "all-reduce" and _is_scattered(computation, instruction):
                made = replace(made, kind="reduce-scatter")
            channel = instruction.attribute("channel_id")
            if fused and channel is not None:
                key = (made.kind, channel, times)
                if key in parts:
                    continue
                parts.add(key)
            found.append(made)
    return found


@dataclass(frozen=True)
class Row:
    """Collectives of one kind along one axis, together, in one call of the program."""

    kind: str
    axis: str
    count: int
    payload: float  # bytes
    sent: float  # bytes, by one chip


def summary(found: Sequence[Collective], mesh: Mapping[str, int]) -> list[Row]:
    """By kind and axis, the largest first; what runs among one device is left out."""
    rows: dict[tuple[str, str], Row] = {}
    for one in found:
        if one.size <= 1:
            continue
        key = (one.kind, one.axis(mesh) or "other")
        old = rows.get(key, Row(*key, 0, 0.0, 0.0))
        rows[key] = Row(
            *key,
            old.count + one.times,
            old.payload + one.times * one.payload,
            old.sent + one.times * one.sent,
        )
    return sorted(rows.values(), key=lambda row: -row.sent)


def unexpected_gathers(
    found: Sequence[Collective], parameters: Mapping[str, tuple[int, ...]], least: int = 1 << 12
) -> list[Collective]:
    """All-gathers of what cannot be a parameter: activations, then.

    A parameter may be gathered transposed or reshaped, and with its like of other blocks: so what
    counts is the number of elements, once or as often as there may be blocks in a stack.

    Args:
        parameters: path -> shape. Blocks of a kind differ in the numbers in their paths.
        least: elements below which nobody minds.
    """
    alone = {math.prod(shape) for shape in parameters.values()}
    kinds = Counter((re.sub(r"\d+", "*", path), shape) for path, shape in parameters.items())
    stacks = {
        (count, math.prod(shape))
        for (_, shape), number in kinds.items()
        for count in range(2, number + 1)
        if number % count == 0
    }

    def is_parameter(array: Array) -> bool:
        dims = [size for size in array.dims if size > 1]
        return array.size in alone or any((size, array.size // size) in stacks for size in dims)

    return [
        one
        for one in found
        if one.kind == "all-gather"
        and one.size > 1
        and any(array.size >= least and not is_parameter(array) for array in one.arrays)
    ]


def _read(
    module: Module, computation: Computation, instruction: Instruction, times: int
) -> Collective | None:
    code = instruction.opcode.removesuffix("-start")
    kind = _ALSO.get(code, code)
    if kind not in KINDS:
        return None
    given = computation.operand_arrays(instruction)
    if kind == "collective-permute":
        pairs = groups.pairs(instruction.attribute("source_target_pairs") or "")
        moving = tuple(pair for pair in pairs if pair[0] != pair[1])
        size = 2 if moving else 1
        return Collective(kind, given, size, moving, times, instruction.op_name)
    members = groups.read(instruction.attribute("replica_groups") or "{}", module.devices)
    members = members or (tuple(range(module.devices)),)
    size = max((len(group) for group in members), default=1)
    if kind == "all-gather":
        given = _gathered(instruction, given, size)
    return Collective(kind, given, size, members, times, instruction.op_name)


def _is_scattered(computation: Computation, instruction: Instruction) -> bool:
    """Whether all that is used of a value is slices of it."""
    users = [
        each for each in computation.instructions.values() if instruction.name in each.operands
    ]
    return bool(users) and all(
        _is_scattered(computation, each)
        if each.opcode in ("get-tuple-element", "bitcast", "reshape", "copy")
        else each.opcode == "dynamic-slice"
        for each in users
    )


def _gathered(instruction: Instruction, given: tuple[Array, ...], size: int) -> tuple[Array, ...]:
    """What an all-gather makes of its operands."""
    axis = int((instruction.attribute("dimensions") or "{0}").strip("{}") or 0)
    return tuple(
        Array(one.dtype, (*one.dims[:axis], one.dims[axis] * size, *one.dims[axis + 1 :]))
        if one.dims
        else one
        for one in given
    )
