"""From a policy's name to somebody who can play: loads, serves or greets it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import policies
from nitrogen_jax.evaluation.policies import Source
from nitrogen_jax.serving.facts import Facts

OWN_PATIENCE = 600.0  # a server in this process does not disappear, but may be slow


@dataclass(frozen=True)
class Opened:
    """Whoever plays.

    Attributes:
        policy: for eval.json: name, kind, identity and what else is known.
        play: for eval.json: the options of playing that decide what comes of it.
    """

    source: Source
    policy: Mapping[str, Any]
    play: Mapping[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def opened(
    word: str,
    *,
    batch: int,
    execute: int | None = None,
    vision: str | Path | None = None,
    patience: float = 60.0,
    token: str | None = None,
    curve: Path | None = None,
    advance: Callable[[float], None] = lambda amount: None,
) -> Iterator[Opened]:
    """Somebody who plays while the block lasts.

    Args:
        word: a baseline's name, a server's address, or a checkpoint as `load_policy` takes it.
        batch, vision: of a checkpoint.
        execute: actions played of each chunk; None: all.
        patience: seconds for which a server that does not answer is waited for.
        token, curve: what a server asks for.
        advance: is told how many bytes of a checkpoint were read.
    """
    kind = policies.kind_of(word)
    if kind == policies.BASELINE:
        _refused(execute, "--execute", "a baseline", "chunks")
        yield Opened(Source(baseline=word), {"name": word, "kind": kind, "identity": word})
    elif kind == policies.SERVER:
        source = Source(address=word, token=token, curve=curve, patience=patience)
        facts, info = policies.greet(source)
        source = _playing(source, facts, execute)
        about = {
            name: value for name, value in info.items() if isinstance(value, str | int | float)
        }
        policy = {"name": word, "kind": kind, "identity": _identity(info), "about": about}
        yield Opened(source, policy, {"execute": source.execute})
    else:
        from nitrogen_jax.evaluation import served

        with served.serving(word, batch, vision, advance) as one:
            source = _playing(
                Source(address=one.address, patience=OWN_PATIENCE), one.facts, execute
            )
            facts = dataclasses.asdict(one.facts)
            about = {**one.about, **facts}
            policy = {"name": word, "kind": kind, "identity": one.identity, "about": about}
            yield Opened(source, policy, {"execute": source.execute, "batch": batch})


def _playing(source: Source, facts: Facts, execute: int | None) -> Source:
    execute = facts.usable if execute is None else execute
    if not 1 <= execute <= facts.usable:
        raise NitrogenError(
            f"--execute is {execute}, where 1 to {facts.usable} actions of a chunk can be played"
        )
    return dataclasses.replace(
        source, execute=execute, control_rate=facts.control_rate, image_size=facts.image_size
    )


def _identity(info: Mapping[str, Any]) -> str:
    """Of what a server tells about its policy; its address and version do not matter."""
    told = {name: value for name, value in info.items() if name != "server"}
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _refused(value: Any, option: str, who: str, what: str) -> None:
    if value is not None:
        raise NitrogenError(f"{option} is given, where {who} plays, which knows no {what}")
