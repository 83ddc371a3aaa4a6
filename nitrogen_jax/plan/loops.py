"""How often a while loop runs, as far as a compiled program says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nitrogen_jax.plan.hlo_module import Computation, Instruction, Module

_TRIPS = re.compile(r'known_trip_count\\?"?\s*[:=]\s*\{\s*\\?"?n\\?"?\s*[:=]\s*\\?"?(\d+)')


def trip_count(module: Module, loop: Instruction) -> int | None:
    """How often a while loop's body runs, where the program says so or its counter shows it.

    NOTE: text of the TPU compiler carries no trip counts: there the condition must be a comparison
    of a counter with a constant and nothing else.
    """
    found = _TRIPS.search(loop.attributes)
    return int(found[1]) if found else _counted(module, loop)


def _counted(module: Module, loop: Instruction) -> int | None:
    condition, body = (
        module.computations.get(next(iter(loop.called(key)), "")) for key in ("condition", "body")
    )
    test = condition.root if condition else None
    if test is None or test.opcode != "compare" or len(test.operands) != 2:
        return None
    index, limit = (condition.instructions.get(name) for name in test.operands)
    end, place = _constant(condition, limit), _place(condition, index)
    direction = test.attribute("direction")
    if end is None or place is None or direction not in ("LT", "LE"):
        return None
    start = _start(module, loop, place)
    step = _step(body, place) if body else None
    if start is None or step is None or step < 1:
        return None
    return max(0, -(-(end + (direction == "LE") - start) // step))


def _start(module: Module, loop: Instruction, place: int) -> int | None:
    """The first value of a loop's counter."""
    computation = module.homes[id(loop)]
    given = computation.instructions.get(loop.operands[0])
    if given is None or given.opcode != "tuple" or place >= len(given.operands):
        return None
    return _constant(computation, computation.instructions.get(given.operands[place]))


def _constant(computation: Computation, instruction: Instruction | None) -> int | None:
    """The whole number that an instruction stands for, through copies."""
    for _ in range(8):
        if instruction is None:
            return None
        if instruction.opcode == "constant":
            return int(instruction.inside) if instruction.inside.lstrip("-").isdigit() else None
        if instruction.opcode not in ("copy", "bitcast", "convert", "reshape", "broadcast"):
            return None
        instruction = computation.instructions.get(next(iter(instruction.operands), ""))
    return None


def _place(computation: Computation, instruction: Instruction | None) -> int | None:
    """Which element of the computation's parameter an instruction is, through copies."""
    for _ in range(8):
        if instruction is None:
            return None
        if instruction.opcode == "get-tuple-element":
            return int(instruction.attribute("index") or 0)
        if instruction.opcode not in ("copy", "bitcast", "convert"):
            return None
        instruction = computation.instructions.get(next(iter(instruction.operands), ""))
    return None


def _step(body: Computation, place: int) -> int | None:
    """By how much a loop's body raises an element of what it passes on."""
    root = body.root
    if root is None or root.opcode != "tuple" or place >= len(root.operands):
        return None
    made = body.instructions.get(root.operands[place])
    while made is not None and made.opcode in ("copy", "bitcast", "convert") and made.operands:
        made = body.instructions.get(made.operands[0])
    if made is None or made.opcode != "add":
        return None
    given = [body.instructions.get(name) for name in made.operands]
    steps = [_constant(body, each) for each in given]
    places = [_place(body, each) for each in given]
    found = [step for step in steps if step is not None]
    return found[0] if place in places and found else None
