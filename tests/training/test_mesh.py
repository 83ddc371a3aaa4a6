"""The mesh of one process."""

from __future__ import annotations

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training import mesh


def test_one_device_has_size_one_axes():
    made = mesh.make_mesh()
    assert made.axis_names == ("data", "fsdp")
    assert made.size == made.shape["data"] * made.shape["fsdp"]
    assert mesh.replicated(made).is_fully_replicated


@pytest.mark.parametrize("fsdp", [0, 3, -1])
def test_a_count_that_does_not_divide_is_refused(fsdp):
    with pytest.raises(NitrogenError, match="does not divide"):
        mesh.make_mesh(fsdp)
