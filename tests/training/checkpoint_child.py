"""What tests of checkpoints run in processes of their own: `python checkpoint_child.py VERB ...`.

Every verb prints one line of JSON at its end.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from nitrogen_jax.training import checkpoint_orbax, checkpoints
from nitrogen_jax.training.mesh import make_mesh

SHAPES = {"table": (16, 24), "vector": (8,), "scalar": ()}
SPECS = {"table": ("fsdp", None), "vector": ("fsdp",), "scalar": ()}


def values(step: int) -> dict[str, np.ndarray]:
    """What a checkpoint of `step` holds, the same in every process."""
    return {
        name: (np.arange(np.prod(shape), dtype=np.float32) + 1000 * step).reshape(shape)
        for name, shape in SHAPES.items()
    }


def items(step: int, mesh: jax.sharding.Mesh) -> dict[str, dict[str, jax.Array]]:
    """`values` over a mesh: the parameters sharded, the state replicated."""

    def array(value, spec):
        sharding = NamedSharding(mesh, PartitionSpec(*spec))
        return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])

    found = values(step)
    sharded = {name: array(value, SPECS[name]) for name, value in found.items()}
    return {"params": sharded, "state": {"copy": array(found["table"], ())}}


def like(mesh: jax.sharding.Mesh) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    """What `items` is to be restored as."""

    def struct(name, spec):
        sharding = NamedSharding(mesh, PartitionSpec(*spec))
        return jax.ShapeDtypeStruct(SHAPES[name], jnp.float32, sharding=sharding)

    params = {name: struct(name, spec) for name, spec in SPECS.items()}
    return {"params": params, "state": {"copy": struct("table", ())}}


def check(restored: checkpoints.Restored, mesh: jax.sharding.Mesh) -> bool:
    """Whether values and shardings are those of the step, as far as this process sees them."""
    wanted = items(restored.step, mesh)
    for found, right in zip(jax.tree.leaves(restored.items), jax.tree.leaves(wanted), strict=True):
        if found.sharding != right.sharding:
            return False
        pairs = zip(found.addressable_shards, right.addressable_shards, strict=True)
        if not all(np.array_equal(one.data, other.data) for one, other in pairs):
            return False
    return True


def meshes(folder: Path) -> dict:
    """Saved by 8 devices as (1, 8), restored as (2, 4), as (8, 1) and by one device."""
    with checkpoints.Checkpoints(folder) as keeper:
        keeper.save(3, items(3, make_mesh(8)), {}, wait=True)
    found = {}
    with checkpoints.Checkpoints(folder) as keeper:
        for name, mesh in {
            "1x8": make_mesh(8),
            "2x4": make_mesh(4),
            "8x1": make_mesh(1),
            "1x1": make_mesh(1, jax.devices()[:1]),
        }.items():
            found[name] = check(keeper.restore(like(mesh)), mesh)
    return {"devices": jax.device_count(), "found": found}


def connect(port: str, process: str) -> None:
    """Makes this one of two processes."""
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))


def pair(folder: Path, port: str, process: str) -> dict:
    """Two processes: restore what one has saved, fail once, save, restore."""
    connect(port, process)
    mesh = make_mesh(jax.device_count())
    facts = {"devices": jax.device_count(), "processes": jax.process_count()}
    with checkpoints.Checkpoints(folder, keep=2) as keeper:
        restored = keeper.restore(like(mesh))
        facts["restored"] = [restored.step, check(restored, mesh), restored.metadata]
        facts["second"] = keeper.save(2, items(2, mesh), {"by": "two"}, wait=True)
        # What one process writes fails. The other waits for it, but not for ever.
        checkpoint_orbax.PATIENCE = 3
        with tiny_files() if process == "1" else contextlib.nullcontext():
            facts["failed"] = [keeper.save(3, items(3, mesh), {}, wait=True), keeper.failures]
        facts["left"] = sorted(path.name for path in folder.iterdir())
        checkpoint_orbax.PATIENCE = 30
        facts["fourth"] = [keeper.save(4, items(4, mesh), {}), keeper.wait(), keeper.failures]
        (folder / "4" / "params" / "manifest.ocdbt").unlink(missing_ok=True)
        restored = keeper.restore(like(mesh))
        facts["fallen"] = [restored.step, check(restored, mesh)]
        facts["steps"] = keeper.steps()
    return facts


def killed(folder: Path, *moments: str) -> dict:
    """How processes end that are killed in the middle of a save: one in `folder / moment` each.

    They are forks of this one, which has loaded all libraries and started nothing.
    """
    from orbax.checkpoint import v1  # noqa: F401

    ended = {}
    for moment in moments:
        process = os.fork()
        if not process:
            try:
                save_and_die(folder / moment, moment)
            finally:
                os._exit(1)
        ended[moment] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return ended


def save_and_die(folder: Path, moment: str) -> None:
    """Saves step 1, and is killed (SIGKILL) in the middle of the save of step 2."""
    mesh = make_mesh()
    large = {"ballast": {"much": jnp.asarray(np.random.default_rng(0).random((1500, 1000)))}}
    with checkpoints.Checkpoints(folder, keep=1) as keeper:
        keeper.save(1, items(1, mesh), {"of": 1}, wait=True)
        if moment == "replacing":
            keeper.save(2, items(2, mesh), {"of": 2}, wait=True)
    if moment == "sealing":
        checkpoints.on_disk.seal = die
    elif moment == "naming":
        Path.replace = die
    elif moment == "replacing":  # after the old one has made room, before the new one is there
        replace, calls = Path.replace, []
        Path.replace = lambda *paths: die() if calls else (calls.append(1), replace(*paths))
    elif moment == "removing":
        checkpoints.shutil.rmtree = die
    with checkpoints.Checkpoints(folder, keep=1) as keeper:
        keeper.save(2, items(2, mesh) | large, {"of": 2})
        if moment == "started":
            die()
        while moment == "writing" and not (folder / "2").exists():
            if any(path.stat().st_size for path in folder.glob(".tmp-*/*/ocdbt*/d/*")):
                die()
        keeper.wait()


def die(*arguments, **options) -> None:
    """As `kill -9` does it."""
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def tiny_files():
    """Lets this process write no file of more than a few bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    verb, folder, *rest = sys.argv[1:]
    sys.stdout.write(json.dumps(globals()[verb](Path(folder), *rest)) + "\n")
