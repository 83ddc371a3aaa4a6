"""The few functions of Orbax v1 that training checkpoints are made of, without its noise."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import jax
from jax.sharding import SingleDeviceSharding

from nitrogen_jax.training import checkpoint_trees as trees
from nitrogen_jax.weights.rules import report

# NOTE: a process that fails leaves the others at Orbax's barriers for that long, in the
# background, or in their next save.
PATIENCE = 600  # seconds for one checkpoint to be written


class Response(Protocol):
    """A save under way."""

    def result(self, timeout: float | None = None) -> None:
        """Waits, and raises what went wrong."""


def start(path: Path, items: trees.Items, note: Mapping[str, Any]) -> Response:
    """Copies all arrays to host memory, and starts to write a new folder `path` from there."""
    from orbax.checkpoint import v1 as ocp

    found = {name: trees.nested(tree) for name, tree in items.items() if jax.tree.leaves(tree)}
    context = ocp.Context()
    context.asynchronous.timeout_secs = PATIENCE
    with context:
        return ocp.save_checkpointables_async(path.absolute(), found, custom_metadata=dict(note))


def describe(path: Path, likes: trees.Items) -> tuple[dict[str, Any], list[str]]:
    """Custom metadata, and in how far the items that `likes` names differ from it."""
    from orbax.checkpoint import v1 as ocp

    found = ocp.checkpointables_metadata(path.absolute())
    lines = []
    for item, tree in likes.items():
        saved = found.metadata.get(item)
        if not isinstance(saved, Mapping) and (path / item).exists():
            raise ValueError(f"that of {item} is broken")  # what Orbax takes for an empty one
        lines += trees.differences(item, saved, tree)
    return dict(found.custom_metadata or {}), lines


def read(path: Path, likes: trees.Items) -> dict[str, Any]:
    """The items that `likes` names, on the devices that it asks for."""
    from orbax.checkpoint import v1 as ocp

    wanted = {name: trees.nested(tree) for name, tree in likes.items() if jax.tree.leaves(tree)}
    found = ocp.load_checkpointables(path.absolute(), jax.tree.map(_placed, wanted))
    return {name: trees.like(tree, found.get(name, {})) for name, tree in likes.items()}


def refuse(lines: list[str], path: Path) -> None:
    """Raises one error that lists every line, if there is one."""
    report(lines, str(path))


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """Keeps quiet about the unfinished business that a failed read leaves behind."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"coroutine .* was never awaited", RuntimeWarning)
        yield
        gc.collect()


def reason(error: BaseException) -> str:
    """What an exception of Orbax's says at its root, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if number := re.search(r"os_error_code='(\d+)'", str(error)):  # of TensorStore
        return os.strerror(int(number[1]))
    if "Barrier timed out" in str(error):
        return "another process has not finished its part, or does not see this folder"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops what Orbax logs, of success at length and of failure beside raising it."""
    from absl import logging as absl_logging

    logger = absl_logging.get_absl_logger()
    ours = logging.Filter()  # one for each caller, so that all can come and go
    ours.filter = lambda record: "orbax" not in record.pathname
    logger.addFilter(ours)
    try:
        yield
    finally:
        logger.removeFilter(ours)


def _placed(leaf: Any) -> jax.ShapeDtypeStruct:
    # NOTE: without a sharding Orbax takes that of the machine that saved it.
    sharding = leaf.sharding or SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
