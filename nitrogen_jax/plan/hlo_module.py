"""A compiled program as its HLO text describes it: computations, instructions, who runs whom."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from nitrogen_jax.plan import loops

BITS = {
    "pred": 8,
    "s1": 1,
    "u1": 1,
    "s2": 2,
    "u2": 2,
    "s4": 4,
    "u4": 4,
    "s8": 8,
    "u8": 8,
    "s16": 16,
    "u16": 16,
    "s32": 32,
    "u32": 32,
    "s64": 64,
    "u64": 64,
    "f16": 16,
    "bf16": 16,
    "f32": 32,
    "f64": 64,
    "c64": 64,
    "c128": 128,
    "f4e2m1fn": 4,
    "token": 0,
    "opaque": 0,
    "tuple": 0,
}  # every f8 type (f8e4m3fn, f8e5m2, f8e8m0fnu, ...) has 8


@dataclass(frozen=True)
class Array:
    """An array's type as written, e.g. bf16[8,128]; `memory` is its memory space, 0 being HBM."""

    dtype: str
    dims: tuple[int, ...]
    memory: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.dims)

    @property
    def bytes(self) -> int:
        bits = 8 if self.dtype.startswith("f8") else BITS.get(self.dtype, 32)
        return -(-self.size * bits // 8)

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.dims))}]"


@dataclass(frozen=True)
class Instruction:
    """`name = type opcode(operands), attributes`."""

    name: str
    type: str
    opcode: str
    operands: tuple[str, ...]  # names
    attributes: str
    is_root: bool = False
    inside: str = ""  # what stands between the opcode's parentheses

    @cached_property
    def arrays(self) -> tuple[Array, ...]:
        """The result's arrays, tuples flattened."""
        return arrays(self.type)

    def attribute(self, key: str) -> str | None:
        """The attribute as written: braces, brackets or one word."""
        found = re.search(rf"(?:^|[\s,]){re.escape(key)}=", self.attributes)
        return None if found is None else _value(self.attributes[found.end() :])

    def called(self, *keys: str) -> tuple[str, ...]:
        """Names of the computations that these attributes name."""
        texts = [self.attribute(key) for key in keys]
        return tuple(name for text in texts if text for name in re.findall(_NAME, text))

    @property
    def op_name(self) -> str:
        """Where in the traced program it comes from, as far as the compiler remembers."""
        found = re.search(r'op_name="((?:[^"\\]|\\.)*)"', self.attributes)
        return "" if found is None else found[1]


@dataclass
class Computation:
    """A named list of instructions."""

    name: str
    is_entry: bool = False
    instructions: dict[str, Instruction] = field(default_factory=dict)

    @property
    def root(self) -> Instruction | None:
        made = list(self.instructions.values())
        return next((each for each in made if each.is_root), made[-1] if made else None)

    def operand_arrays(self, instruction: Instruction) -> tuple[Array, ...]:
        """The arrays of all operands, tuples flattened."""
        found: list[Array] = []
        for name in instruction.operands:
            if name in self.instructions:
                found += self.instructions[name].arrays
        return tuple(found)


@dataclass(frozen=True)
class Call:
    """A computation that an instruction runs, `times` for each run of the instruction."""

    computation: str
    times: int = 1
    known: bool = True  # False: a loop whose length the program decides while it runs
    fused: bool = False  # runs as one kernel with its caller


@dataclass
class Module:
    """A program; `devices` is how many it is compiled for."""

    computations: dict[str, Computation]
    devices: int = 1

    @property
    def entry(self) -> Computation:
        made = list(self.computations.values())
        return next((each for each in made if each.is_entry), made[-1])

    def calls(self, instruction: Instruction) -> list[Call]:
        """What the instruction runs; functions of single elements (of a reduction) are left out."""
        code = instruction.opcode
        if code == "while":
            times = self.trip_count(instruction)
            body, condition = (instruction.called(key) for key in ("body", "condition"))
            known, times = times is not None, 1 if times is None else times
            return [
                *(Call(name, times, known) for name in body),
                *(Call(name, times + 1, known) for name in condition),
            ]
        if code == "conditional":
            keys = ("branch_computations", "true_computation", "false_computation")
            return [Call(name) for name in instruction.called(*keys)]
        if code == "call":
            return [Call(name) for name in instruction.called("to_apply", "calls")]
        if code == "fusion":
            return [Call(name, fused=True) for name in instruction.called("calls")]
        if code == "async-start":
            return [Call(name) for name in instruction.called("calls", "called_computations")]
        if code == "custom-call":
            return [Call(name, fused=True) for name in instruction.called("called_computations")]
        return []

    def trip_count(self, loop: Instruction) -> int | None:
        """How often a while loop's body runs; None where it is decided meanwhile."""
        return loops.trip_count(self, loop)

    @cached_property
    def homes(self) -> dict[int, Computation]:
        """id of a loop -> the computation that it stands in."""
        return {
            id(instruction): computation
            for computation in self.computations.values()
            for instruction in computation.instructions.values()
            if instruction.opcode == "while"
        }

    def walk(self, trips: bool = True) -> Iterator[tuple[Computation, int, bool]]:
        """Every computation that runs: itself, how often, whether inside a fusion.

        A computation that is called from two places comes twice. All branches of a conditional
        count, so what is summed over this is an upper bound. Without `trips` every loop's body
        counts once, as the compiler's own analysis counts it.
        """
        waiting = [(self.entry, 1, False)]
        while waiting:
            computation, times, fused = waiting.pop()
            yield computation, times, fused
            for instruction in computation.instructions.values():
                for call in self.calls(instruction):
                    if call.computation in self.computations:
                        each = times * (call.times if trips else 1)
                        inner = self.computations[call.computation]
                        waiting.append((inner, each, fused or call.fused))

    def unknown_loops(self) -> list[Instruction]:
        """The loops whose length is not known; they are counted once."""
        return [
            instruction
            for computation in self.computations.values()
            for instruction in computation.instructions.values()
            if instruction.opcode == "while" and self.trip_count(instruction) is None
        ]


_NAME = r"%?([\w.$\-]+)"
_TYPE = r"[a-z]+[0-9]*(?:e[0-9]+m[0-9]+(?:b[0-9]+)?[a-z]*)?"  # f32, pred, f8e4m3b11fnuz
_ARRAY = re.compile(rf"\b({_TYPE})\[([0-9,<=?]*)\](\{{[^{{}}]*\}})?")
_COMMENT = re.compile(r"/\*.*?\*/")


def arrays(text: str) -> tuple[Array, ...]:
    """The arrays of a type as written, tuples flattened: "(f32[2]{0}, s32[])" -> two."""
    found = _ARRAY.findall(_COMMENT.sub("", text))
    return tuple(Array(dtype, _sizes(dims), _memory(layout)) for dtype, dims, layout in found)


def _value(text: str) -> str:
    """The attribute value that `text` begins with: up to a comma outside of brackets."""
    depth, quoted = 0, False
    for at, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif not quoted and letter in "([{":
            depth += 1
        elif not quoted and letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0 and not quoted:
            # NOTE: a mesh names its devices behind a comma: mesh['a'=2], device_ids=(1,0) {'a'}
            if text.startswith("mesh[") and text[at + 1 :].lstrip().startswith("device_ids="):
                continue
            return text[:at].strip()
    return text.strip()


def _sizes(text: str) -> tuple[int, ...]:
    """ "8,<=128" -> (8, 128): a bounded size counts as its bound."""
    return tuple(int(size.lstrip("<=?") or 0) for size in text.split(",") if size)


def _memory(layout: str) -> int:
    found = re.search(r"S\((\d+)\)", layout)
    return int(found[1]) if found else 0
