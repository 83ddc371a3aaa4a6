"""The one mesh of a process: axes ("data", "fsdp"), size-1 axes instead of special cases."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from nitrogen_jax.errors import NitrogenError

AXES = ("data", "fsdp")


def make_mesh(fsdp: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """All devices as (data, fsdp); `fsdp` devices share one copy of the parameters."""
    devices = jax.devices() if devices is None else devices
    if fsdp < 1 or len(devices) % fsdp:
        raise NitrogenError(f"fsdp is {fsdp}, which does not divide the {len(devices)} devices")
    # NOTE: the default axis type has become Explicit, which wants shardings in every type.
    kinds = (AxisType.Auto,) * len(AXES)
    # NOTE: not jax.make_mesh: on most TPUs it refuses to split an axis of the torus, and a pod of
    # 16 x 16 chips has no axis of 4 for fsdp.
    placed = mesh_utils.create_device_mesh(
        (len(devices) // fsdp, fsdp), devices, allow_split_physical_axes=True
    )
    return Mesh(placed, AXES, axis_types=kinds)


def over_batch(mesh: Mesh) -> NamedSharding:
    """The leading axis of an array split over every device."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())
