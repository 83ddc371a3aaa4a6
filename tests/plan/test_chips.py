"""Names of machines, and meshes on them."""

from __future__ import annotations

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan import chips


@pytest.mark.parametrize(
    ("text", "devices", "chip", "topology"),
    [
        ("tpu:v5e:16x16", 256, "TPU v5e", "v5e:16x16"),
        ("tpu:v5e:2x4", 8, "TPU v5e", "v5e:2x4"),
        ("TPU:v6e:1x1", 1, "TPU v6e", "v6e:1x1"),
        ("tpu:v4:2x2x4", 16, "TPU v4", "v4:2x2x4"),
        ("tpu:v5p:4x4x4", 64, "TPU v5p", "v5p:4x4x4"),
        ("gpu:h100:8", 8, "H100 SXM", None),
        ("gpu:rtx4090", 1, "RTX 4090", None),
        ("gpu:a100:16", 16, "A100 SXM 80GB", None),
    ],
)
def test_machines(text, devices, chip, topology):
    found = chips.target(text)
    assert (found.devices, found.chip.name, found.topology) == (devices, chip, topology)
    assert found.name == text


def test_this_machine_is_measured_later():
    assert chips.target("cpu").chip is None
    assert chips.target("cpu:8").devices == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tpu:v5e:16", ["2 sizes", "tpu:v5e:16x16"]),
        ("tpu:v4:4x4", ["3 sizes", "tpu:v4:2x2x4"]),
        ("tpu:v5e:0x4", ["2 sizes"]),
        ("tpu:v5e", ["2 sizes"]),
        ("tpu:v5x:2x2", ["'v5x'", "did you mean"]),
        ("tpu:zz:2x2", ["'zz'", "v4, v5e, v5p, v6e"]),
        ("gpu:h10:8", ["'h10'", "did you mean 'h100'"]),
        ("gpu:h100:none", ["'none'"]),
        ("gpu:h100:0", ["'0'"]),
        ("npu:x:1", ["'npu:x:1'", "tpu:v5e:16x16"]),
    ],
)
def test_unknown_machines(text, words):
    with pytest.raises(NitrogenError) as error:
        chips.target(text)
    assert all(word in str(error.value) for word in words)


def test_meshes():
    machine = chips.target("tpu:v5e:16x16")
    assert chips.mesh_sizes("64,4", machine) == (64, 4)
    with pytest.raises(NitrogenError, match=r"is 128 devices, and tpu:v5e:16x16 has 256"):
        chips.mesh_sizes("32,4", machine)
    for text in ("64", "64x4", "0,4", "-1,4", "a,b", "1,2,3"):
        with pytest.raises(NitrogenError, match="DATA,FSDP"):
            chips.mesh_sizes(text, machine)


def test_data_sheets_are_consistent():
    """A later chip of a line is faster; a GPU reaches its host's neighbours faster than others."""
    tpus = chips.TPUS
    assert tpus["v5e"].flops < tpus["v4"].flops < tpus["v5p"].flops < tpus["v6e"].flops
    assert all(15 * chips.GIB < chip.memory < 97 * chips.GIB for chip in tpus.values())
    assert chips.GPUS["h100"].memory < chips.GPUS["h200"].memory
    assert all(chip.network < chip.link for chip in chips.GPUS.values())
