"""Frozen dataclasses in and out of JSON, overrides from the command line, and `configs/*.py`.

A file in `configs/` is one experiment: a docstring with its launch command and what to expect,
and a function `config()` that returns a frozen dataclass.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import runpy
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from nitrogen_jax.errors import NitrogenError

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """A (nested) dataclass -> plain dicts, lists, numbers and strings."""
    return dataclasses.asdict(config)


def from_dict(cls: type[T], data: Mapping[str, Any], source: str) -> tuple[T, list[str]]:
    """Plain data -> dataclass, checking types; and a notice for each field it does not have.

    Missing fields keep their defaults. `source` is what an error calls the data.
    """
    if not isinstance(data, Mapping):
        raise NitrogenError(f"{source}: {cls.__name__} is {data!r}, where a table is needed")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    notices = [
        f"{source}: field {name} is not known and was ignored"
        for name in data.keys() - fields.keys()
    ]
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _checked(hints[name], data[name], f"{source}: {name}", notices)
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise NitrogenError(f"{source}: field {name} of {cls.__name__} is missing")
    return cls(**values), sorted(notices)


def override(config: T, assignments: Sequence[str]) -> T:
    """Applies "a.b=value" assignments in order; a value is a Python literal or else a string."""
    for assignment in assignments:
        path, separator, text = assignment.lstrip("-").partition("=")
        if not separator:
            raise NitrogenError(f"override {assignment!r} has no '=': write --a.b=value")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            value = text
        config = _replaced(config, path.split("."), value, assignment)
    return config


def load(path: str | Path, assignments: Sequence[str] = ()) -> Any:
    """Runs a file of `configs/` and returns what its `config()` returns, overridden."""
    path = Path(path)
    if not path.is_file():
        raise NitrogenError(f"config {path} does not exist: give a file such as configs/tiny.py")
    make = runpy.run_path(str(path)).get("config")
    if not callable(make):
        raise NitrogenError(f"config {path} has no function config() that returns a dataclass")
    config = make()
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise NitrogenError(f"config {path}: config() returned {config!r}, not a dataclass")
    return override(config, assignments)


def _replaced(config: Any, path: list[str], value: Any, assignment: str) -> Any:
    name, *rest = path
    hints = typing.get_type_hints(type(config))
    if name not in hints:
        near = difflib.get_close_matches(name, hints, 1)
        valid = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(hints)}"
        raise NitrogenError(f"override {assignment!r}: there is no field {name!r}; {valid}")
    if rest:
        inner = getattr(config, name)
        if not dataclasses.is_dataclass(inner):
            raise NitrogenError(f"override {assignment!r}: {name!r} has no fields")
        value = _replaced(inner, rest, value, assignment)
    else:
        notices: list[str] = []
        value = _checked(hints[name], value, f"override {assignment!r}", notices)
        if notices:
            raise NitrogenError(notices[0].replace("was ignored", "cannot be set"))
    return dataclasses.replace(config, **{name: value})


def _checked(hint: Any, value: Any, place: str, notices: list[str]) -> Any:
    """`value` as the type that the field declares; ints serve as floats, lists as tuples.

    A notice about each unknown field of a dataclass inside is added to `notices`.
    """
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in options:
            return None
        real = [option for option in options if option is not type(None)]
        if len(real) == 1 and dataclasses.is_dataclass(real[0]):
            return _checked(real[0], value, place, notices)  # its errors say more than ours would
        for option in real:
            try:
                return _checked(option, value, place, notices)
            except NitrogenError:
                continue
    elif hint is Any or hint is type(None):
        if hint is Any or value is None:
            return value
    elif origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        if len(options) == 2 and options[1] is Ellipsis:
            return tuple(_checked(options[0], item, place, notices) for item in value)
        if len(options) == len(value):
            pairs = zip(options, value, strict=True)
            return tuple(_checked(option, item, place, notices) for option, item in pairs)
    elif origin is dict and isinstance(value, Mapping):
        return {k: _checked(options[1], v, place, notices) for k, v in value.items()}
    elif dataclasses.is_dataclass(hint) and not isinstance(value, hint):
        read, more = from_dict(hint, value, place)
        notices += more
        return read
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and _same_kind(hint, value):
        return value
    wanted = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
    raise NitrogenError(f"{place} is {value!r}, where {wanted} is needed")


def _same_kind(hint: type, value: Any) -> bool:
    """False for a bool where a number is declared: to Python it is one."""
    return hint is bool or not isinstance(value, bool)
