"""HLO text of a compiled program -> its computations and instructions.

The text is what `jax.stages.Compiled.as_text()` gives on CPU, GPU and TPU. Only its structure is
read: names, types, operands and attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nitrogen_jax.plan.hlo_module import BITS, Array, Computation, Instruction, Module, arrays

__all__ = ["BITS", "Array", "Computation", "Instruction", "Module", "arrays", "parse"]

_NAME = r"%?([\w.$\-]+)"
_HEAD = re.compile(rf"^(ENTRY\s+)?{_NAME}\s*(?:\(.*\)\s*->.*)?\{{\s*$")
_INSTRUCTION = re.compile(rf"^\s+(ROOT\s+)?{_NAME}\s+=\s+")
_COMMENT = re.compile(r"/\*.*?\*/")


def parse(text: str) -> Module:
    """Reads a module; lines that are neither computations nor instructions are passed over."""
    computations: dict[str, Computation] = {}
    current: Computation | None = None
    for line in text.splitlines():
        if current is None:
            head = _HEAD.match(line)
            if head and not line.startswith("HloModule"):
                current = Computation(head[2], bool(head[1]))
                computations[head[2]] = current
        elif line.startswith("}"):
            current = None
        elif found := _INSTRUCTION.match(line):
            instruction = _instruction(found, line)
            if instruction is not None:
                current.instructions[instruction.name] = instruction
    devices = 1
    for key in ("num_partitions", "replica_count"):
        found = re.search(rf"^HloModule.*\b{key}=(\d+)", text, re.MULTILINE)
        devices *= int(found[1]) if found else 1
    return Module(computations, devices)


def _instruction(found: re.Match, line: str) -> Instruction | None:
    rest = _COMMENT.sub("", line[found.end() :])
    # A tuple's type is in parentheses, an array's has no blanks.
    end = _closing(rest, 0) if rest.startswith("(") else rest.find(" ")
    kind, rest = rest[:end].strip(), rest[end:].strip()
    opening = rest.find("(")
    if end < 0 or opening < 0:
        return None
    closing = _closing(rest, opening)
    inside = rest[opening + 1 : closing - 1]
    opcode = rest[:opening].strip()
    operands = () if opcode in ("constant", "parameter") else tuple(_operands(inside))
    return Instruction(found[2], kind, opcode, operands, rest[closing:], bool(found[1]), inside)


def _operands(text: str) -> Iterator[str]:
    """Names of operands; older text has each one's type before it."""
    depth, start = 0, 0
    for at, letter in enumerate(text + ","):
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            words = text[start:at].split()
            start = at + 1
            if words:
                yield words[-1].lstrip("%")


def _closing(text: str, opening: int) -> int:
    """The index after the bracket that closes the one at `opening`."""
    depth = 0
    for at in range(opening, len(text)):
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}":
            depth -= 1
            if depth == 0:
                return at + 1
    return len(text)
