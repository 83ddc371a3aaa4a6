"""Runs the pickle of a checkpoint without being able to run anything else.

A pickle is a program, and Python's own unpickler imports and calls whatever one names. The small
interpreter below knows only the instructions that build plain values, and never looks a name up in
Python: a name means what its caller's `Words` say, and any other is refused.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from nitrogen_jax.weights.torch_zip import damaged, refused, shown

MAX_INSTRUCTIONS = 4_000_000  # of the pickle program


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the pickle mentions; only a name, never the thing itself."""

    name: str


@dataclass(frozen=True, slots=True)
class Words:
    """All that a pickle may mention, by "module.name", and what it means."""

    values: Mapping[str, object]  # put in place of the name
    classes: Container[str]  # stay a `Global`, for `storage` to read; calling one is refused
    functions: Mapping[str, Callable[..., object]]
    storage: Callable[[object], object]  # what a persistent id refers to


class Machine:
    """Runs the harmless part of the pickle instruction set (protocols 2 to 5)."""

    def __init__(self, data: bytes, words: Words) -> None:
        self.data, self.at = data, 0
        self.words = words
        self.stack: list = []
        self.outer: list[list] = []  # stacks put aside by MARK
        # NOTE: a dict, because an index may be any 32-bit number and a list would be made as long.
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        for _ in range(MAX_INSTRUCTIONS):
            instruction = self.take(1)
            if instruction == b".":
                (top,) = self.stack
                return top
            if instruction in _PUSH:
                value = _PUSH[instruction](self)  # may put another stack in place of self.stack
                self.stack.append(value)
            elif instruction in _DO:
                _DO[instruction](self)
            else:
                raise refused(
                    f"uses the pickle instruction {ascii(instruction)[1:]}: objects of classes, "
                    "bytes, sets and text protocols are not read"
                )
        raise refused(f"has a pickle of more than {MAX_INSTRUCTIONS:,} instructions")

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise damaged("its data.pkl ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def text(self, size: int) -> str:
        return self.take(size).decode("utf-8")

    def line(self) -> str:
        text = self.text(self.data.index(b"\n", self.at) - self.at)
        self.at += 1
        return text

    def since_mark(self) -> list:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def top(self, count: int) -> tuple:
        if len(self.stack) < count:
            raise damaged("its data.pkl takes more values than it made")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def extend(self, items: tuple | list) -> None:
        if type(self.stack[-1]) is not list:
            raise refused("appends to something that is no list")
        self.stack[-1].extend(items)

    def update(self, items: tuple | list) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict):
            raise refused("sets an item of something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not is_key(key):
                raise refused("has a dict key that is no plain value")
            target[key] = value

    def build(self, state: object) -> None:
        # A state_dict carries PyTorch's version notes as an attribute: `_metadata`. It is dropped.
        if type(self.stack[-1]) is not OrderedDict or type(state) is not dict:
            raise refused("sets attributes of something that is no OrderedDict")

    def protocol(self, version: int) -> None:
        if version > 5:
            raise refused(f"has a pickle of protocol {version}, and 5 is the newest known")

    def instance(self, of: object) -> None:
        raise refused("builds an object of a class")

    def named(self, module: object, name: object) -> object:
        if type(module) is not str or type(name) is not str:
            raise damaged("the pickle names something without using text")
        full = f"{module}.{name}"
        if full in self.words.values:
            return self.words.values[full]
        if full not in self.words.classes and full not in self.words.functions:
            raise refused(f"asks for {shown(full)}, which is no part of a checkpoint of tensors")
        return Global(full)

    def call(self, function: object, args: object) -> object:
        known = type(function) is Global and function.name in self.words.functions
        if not known or type(args) is not tuple:
            raise refused("calls something that is no function")
        return self.words.functions[function.name](*args)


# Instructions that push one value, by pickle's own letters.
_PUSH: dict[bytes, Callable[[Machine], object]] = {
    b"N": lambda m: None,  # NONE
    b"\x88": lambda m: True,  # NEWTRUE
    b"\x89": lambda m: False,  # NEWFALSE
    b"K": lambda m: m.number(1),  # BININT1
    b"M": lambda m: m.number(2),  # BININT2
    b"J": lambda m: m.number(4, signed=True),  # BININT
    b"\x8a": lambda m: m.number(m.number(1), signed=True),  # LONG1
    b"\x8b": lambda m: m.number(m.number(4, signed=True), signed=True),  # LONG4
    b"G": lambda m: struct.unpack(">d", m.take(8))[0],  # BINFLOAT
    b"\x8c": lambda m: m.text(m.number(1)),  # SHORT_BINUNICODE
    b"X": lambda m: m.text(m.number(4)),  # BINUNICODE
    b"\x8d": lambda m: m.text(m.number(8)),  # BINUNICODE8
    b")": lambda m: (),  # EMPTY_TUPLE
    b"\x85": lambda m: m.top(1),  # TUPLE1
    b"\x86": lambda m: m.top(2),  # TUPLE2
    b"\x87": lambda m: m.top(3),  # TUPLE3
    b"t": lambda m: tuple(m.since_mark()),  # TUPLE
    b"]": lambda m: [],  # EMPTY_LIST
    b"}": lambda m: {},  # EMPTY_DICT
    b"2": lambda m: m.stack[-1],  # DUP
    b"h": lambda m: m.memo[m.number(1)],  # BINGET
    b"j": lambda m: m.memo[m.number(4)],  # LONG_BINGET
    b"c": lambda m: m.named(m.line(), m.line()),  # GLOBAL
    b"\x93": lambda m: m.named(*m.top(2)),  # STACK_GLOBAL
    b"R": lambda m: m.call(*m.top(2)),  # REDUCE
    b"Q": lambda m: m.words.storage(*m.top(1)),  # BINPERSID
}
# Instructions that change something, or are there to be refused by name.
_DO: dict[bytes, Callable[[Machine], object]] = {
    b"(": Machine.mark,  # MARK
    b"0": lambda m: m.top(1),  # POP
    b"1": Machine.since_mark,  # POP_MARK
    b"q": lambda m: m.put(m.number(1)),  # BINPUT
    b"r": lambda m: m.put(m.number(4)),  # LONG_BINPUT
    b"\x94": lambda m: m.put(len(m.memo)),  # MEMOIZE
    b"a": lambda m: m.extend(m.top(1)),  # APPEND
    b"e": lambda m: m.extend(m.since_mark()),  # APPENDS
    b"s": lambda m: m.update(m.top(2)),  # SETITEM
    b"u": lambda m: m.update(m.since_mark()),  # SETITEMS
    b"b": lambda m: m.build(*m.top(1)),  # BUILD
    b"\x80": lambda m: m.protocol(m.number(1)),  # PROTO
    b"\x95": lambda m: m.take(8),  # FRAME: a length for readers of streams
    b"i": lambda m: m.instance(m.named(m.line(), m.line())),  # INST
}


def is_key(key: object) -> bool:
    """Whether a dict key is a plain value. Nested tuples are not: hashing deep ones crashes Python,
    and huge integers can be made to collide."""
    if type(key) is tuple:
        return len(key) <= 16 and all(type(part) is not tuple and is_key(part) for part in key)
    if type(key) is int:
        return key.bit_length() <= 64
    return type(key) in (str, float, bool, type(None))
