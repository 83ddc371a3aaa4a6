"""Which devices talk with each other in a collective, from its attributes in HLO text.

Four ways of writing are in use:

  {{0,1},{2,3}}                            group by group; {} is everybody
  [2,4]<=[4,2]T(1,0)                       0..7 shaped (4,2), transposed, then 2 groups of 4
  mesh['a'=2,'b'=4] {'b'}                  axes of a mesh; 'b':(2)2 is a part of one
  source_target_pairs={{0,1},{1,2}}        of a collective-permute
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping

import numpy as np

Groups = tuple[tuple[int, ...], ...]


def read(text: str, devices: int) -> Groups:
    """Groups of device numbers from the value of `replica_groups`."""
    text = text.strip()
    if text.startswith("mesh["):
        return _of_mesh(text)
    if "<=" in text:
        found = re.fullmatch(r"\[([\d,]+)\](<=\[[\d,]+\](?:T\([\d,]+\))?)", text)
        return _rows(_iota(found[2]).reshape(_numbers(found[1])))
    groups = tuple(
        tuple(_numbers(inner)) for inner in re.findall(r"\{([\d,\s]*)\}", text) if inner.strip()
    )
    return groups or (tuple(range(devices)),)


def pairs(text: str) -> tuple[tuple[int, int], ...]:
    """(source, target) from the value of `source_target_pairs`."""
    return tuple((int(a), int(b)) for a, b in re.findall(r"\{\s*(\d+)\s*,\s*(\d+)\s*\}", text))


def axes_of(groups: Iterable[Iterable[int]], mesh: Mapping[str, int]) -> str | None:
    """The mesh axes that the groups run along, "data", "fsdp" or "data+fsdp"; None: no axes.

    Devices are numbered as the mesh holds them, the last axis fastest. Axes of size 1 never count.
    """
    wanted = {frozenset(group) for group in groups}
    names = [name for name, size in mesh.items() if size > 1]
    numbers = np.arange(math.prod(mesh.values())).reshape(list(mesh.values()))
    places = {name: at for at, name in enumerate(mesh)}
    for count in range(len(names) + 1):
        for chosen in itertools.combinations(names, count):
            last = [places[name] for name in chosen]
            moved = np.moveaxis(numbers, last, range(-len(last), 0)) if last else numbers
            size = math.prod(mesh[name] for name in chosen)
            if {frozenset(row) for row in moved.reshape(-1, size).tolist()} == wanted:
                return "+".join(chosen)
    return None


def axes_of_pairs(found: Iterable[tuple[int, int]], mesh: Mapping[str, int]) -> str | None:
    """The mesh axes along which a collective-permute moves things; None where there are none."""
    shape = tuple(mesh.values())
    total = math.prod(shape)
    moved: set[str] = set()
    for source, target in found:
        if max(source, target) >= total:
            return None
        here, there = np.unravel_index(source, shape), np.unravel_index(target, shape)
        moved |= {name for name, a, b in zip(mesh, here, there, strict=True) if a != b}
    return "+".join(name for name in mesh if name in moved) or None


def _of_mesh(text: str) -> Groups:
    found = re.match(r"mesh\[([^\]]*)\](?:\s*,\s*device_ids=\(([^{}]*)\))?\s*\{([^}]*)\}", text)
    if found is None:
        return ()
    axes = [(name, int(size)) for name, size in re.findall(r"'([^']+)'=(\d+)", found[1])]
    numbers = np.arange(math.prod(size for _, size in axes))
    if found[2]:
        order = found[2].strip()
        iota = re.fullmatch(r"\[([\d,]+)\](T\([\d,]+\))?", order)
        numbers = (
            _iota(f"<={order}") if iota else np.asarray(_numbers(re.sub(r"[\[\]\s]", "", order)))
        ).reshape(-1)
    # An axis of which only a part is meant is split in (before, part, after).
    shape: list[int] = []
    chosen: list[int] = []
    wanted = re.findall(r"'([^']+)'(?::\((\d+)\)(\d+))?", found[3])
    for name, size in axes:
        cuts = {1, size}
        for other, before, part in wanted:
            if other == name and part:
                cuts |= {int(before), int(before) * int(part)}
        edges = sorted(cuts)
        pieces = [(a, b // a) for a, b in itertools.pairwise(edges)] or [(1, 1)]
        for before, part in pieces:
            mine = any(
                other == name and (not p or (int(b) <= before and before * part <= int(b) * int(p)))
                for other, b, p in wanted
            )
            if mine:
                chosen.append(len(shape))
            shape.append(part)
    moved = np.moveaxis(numbers.reshape(shape), chosen, range(-len(chosen), 0))
    return _rows(moved.reshape(-1, math.prod(shape[at] for at in chosen)))


def _iota(text: str) -> np.ndarray:
    """ "<=[4,2]T(1,0)" -> 0..7 shaped (4, 2) and transposed."""
    found = re.fullmatch(r"<=\[([\d,]+)\](?:T\(([\d,]+)\))?", text.replace(" ", ""))
    shape = _numbers(found[1])
    numbers = np.arange(math.prod(shape)).reshape(shape)
    return numbers.transpose(_numbers(found[2])) if found[2] else numbers


def _rows(array: np.ndarray) -> Groups:
    rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    return tuple(tuple(row) for row in rows.tolist())


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip()]
