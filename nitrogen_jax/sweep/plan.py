"""Which runs a sweep has: a grid and lists of overrides of one config, each with a stable name."""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrogen_jax import config as configs
from nitrogen_jax.errors import NitrogenError

Overrides = dict[str, str]  # "a.b" -> a value as `nitrogen train --a.b=value` reads it
SEED = "seed"
_LONGEST = 120  # characters of a name; file systems take 255 bytes
_OPEN, _CLOSED = "([{", ")]}"


@dataclass(frozen=True)
class Run:
    """One training. The name is its folder's, and depends on its overrides alone."""

    name: str
    overrides: Overrides

    @property
    def arguments(self) -> list[str]:
        """What `nitrogen train` is given."""
        return [f"--{key}={value}" for key, value in self.overrides.items()]


def make_runs(grid: Sequence[str], lists: Sequence[Overrides] = (), seeds: int = 0) -> list[Run]:
    """Every set of `lists` with every point of the grid, and with every seed.

    Args:
        grid: axes, each "a.b=value,value,...".
        lists: sets of overrides; none is one empty set.
        seeds: how many, from 0 on; 0 leaves the seed alone.
    """
    axes = dict(_axis(text) for text in grid)
    if len(axes) < len(grid):
        raise NitrogenError(f"--grid names a field twice: {', '.join(sorted(grid))}")
    if seeds:
        axes[SEED] = [str(seed) for seed in range(seeds)]
        if any(SEED in keys for keys in (_names(grid), *lists)):
            raise NitrogenError("seed is given as an override and by --seeds: give one of them")
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    runs = []
    for chosen, point in itertools.product(lists or [{}], points):
        for key in sorted(chosen.keys() & point.keys()):
            raise NitrogenError(f"{key} is in the list and in the grid: give it in one of them")
        overrides = {**chosen, **point}
        runs.append(Run(name_of(overrides), overrides))
    return runs


def name_of(overrides: Mapping[str, str]) -> str:
    """A name for a folder; two different sets of overrides never have the same one."""
    if not overrides:
        return "base"
    exact = ",".join(f"{key}={overrides[key]}" for key in sorted(overrides))
    safe = re.sub(r"[^A-Za-z0-9._+=,-]+", "-", exact)
    if safe == exact and len(safe) <= _LONGEST:
        return safe
    sha256 = hashlib.sha256(exact.encode()).hexdigest()
    return f"{safe[: _LONGEST - 9]}-{sha256[:8]}"


def check_runs(path: str | Path, runs: Sequence[Run]) -> None:
    """Raises one sentence about the first run that the config does not allow, or that is double."""
    base = configs.load(path)
    seen: dict[str, str] = {}
    for run in runs:
        made = configs.override(base, [f"{key}={value}" for key, value in run.overrides.items()])
        try:
            for part in (made, getattr(made, "task", None)):
                if callable(check := getattr(part, "check", None)):
                    check()
        except NitrogenError as error:
            raise NitrogenError(f"run {run.name}: {error}") from error
        other = seen.setdefault(repr(made), run.name)
        if other != run.name:
            raise NitrogenError(f"runs {other} and {run.name} are the same: leave one of them out")
    if len({run.name for run in runs}) < len(runs):
        names = [run.name for run in runs]
        raise NitrogenError(f"run {max(names, key=names.count)} is there more than once")


def split_values(text: str) -> list[str]:
    """ "1,[2,3],'4,5'" -> its values; commas within brackets and quotes do not count."""
    values, depth, quote, start = [], 0, "", 0
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[at - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _OPEN:
            depth += 1
        elif letter in _CLOSED:
            depth -= 1
        elif letter == "," and not depth:
            values.append(text[start:at])
            start = at + 1
    if quote or depth:
        raise NitrogenError(f"values {text!r} have a bracket or quote that is not closed")
    return [value.strip() for value in [*values, text[start:]]]


def read_list(path: str | Path) -> list[Overrides]:
    """Sets of overrides from a file.

    .txt has the arguments of one run a line ("--a.b=1 --c=x", # for comments); .jsonl one run a
    line and .json a list of runs, each {"a.b": value, ...} or ["a.b=value", ...].
    """
    path = Path(path)
    try:
        text = path.read_text()
        if path.suffix == ".json":
            entries = json.loads(text)
        elif path.suffix == ".jsonl":
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
        elif path.suffix == ".txt":
            lines = (shlex.split(line, comments=True) for line in text.splitlines())
            entries = [words for words in lines if words]
        else:
            raise NitrogenError(f"list {path} is none of .txt, .jsonl and .json")
    except OSError as error:
        raise NitrogenError(f"list {path} cannot be read: {error.strerror}") from error
    except NitrogenError:
        raise
    except ValueError as error:
        raise NitrogenError(f"list {path} is damaged: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise NitrogenError(f"list {path} has no runs in it")
    return [_overrides(entry, f"list {path}, run {at}") for at, entry in enumerate(entries, 1)]


def _overrides(entry: Any, place: str) -> Overrides:
    if isinstance(entry, dict):
        return {key: _text(value) for key, value in entry.items()}
    if isinstance(entry, list) and all(isinstance(one, str) and "=" in one for one in entry):
        pairs = (one.removeprefix("--").partition("=") for one in entry)
        return {key: value for key, _, value in pairs}
    raise NitrogenError(f'{place} is {entry!r}, where overrides such as "a.b=value" are needed')


def _text(value: Any) -> str:
    """A value of JSON as an override reads it back."""
    if not isinstance(value, str):
        return repr(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value
    return repr(value)  # "1" in quotes is a text


def _axis(text: str) -> tuple[str, list[str]]:
    key, separator, values = text.removeprefix("--").partition("=")
    if not separator or not key or not values:
        raise NitrogenError(f"--grid {text!r} is not as in optimizer.rate=1e-4,3e-4")
    return key, split_values(values)


def _names(grid: Sequence[str]) -> set[str]:
    return {_axis(text)[0] for text in grid}
