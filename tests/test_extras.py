"""The tables that repeat what setup.cfg declares agree with it; every requirement is bounded."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from nitrogen_jax.doctor.libraries import PYTHON_RANGE
from nitrogen_jax.extras import EXTRAS, install_command, missing_extra

SETUP = Path(__file__).parents[1] / "setup.cfg"


@pytest.fixture
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(SETUP)
    return parser


def distributions(lines: str) -> set[str]:
    """The names in a list of requirements of setup.cfg."""
    entries = [line for line in lines.splitlines() if line and not line.lstrip().startswith("#")]
    return {re.match(r"[\w.-]+", entry)[0] for entry in entries}


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"cuda", "cuda13", "tpu"}))
def test_extras_are_those_of_setup_cfg(setup_cfg, extra):
    declared = distributions(setup_cfg["options.extras_require"][extra])
    assert declared == set(EXTRAS[extra].values())


def test_no_extra_is_forgotten(setup_cfg):
    assert set(setup_cfg["options.extras_require"]) == EXTRAS.keys()


def test_every_requirement_has_a_floor_and_a_ceiling(setup_cfg):
    groups = [
        setup_cfg["options"]["install_requires"],
        *setup_cfg["options.extras_require"].values(),
    ]
    lines = [line for group in groups for line in group.splitlines() if line]
    assert len(lines) > 20
    pattern = re.compile(r"[\w.-]+(\[\w+\])?>=[\d.]+,<[\d.]+")
    assert [line for line in lines if line[0] != "#" and not pattern.fullmatch(line)] == []


def test_the_range_of_pythons_is_that_of_setup_cfg(setup_cfg):
    (low, high) = PYTHON_RANGE
    wanted = f">={low[0]}.{low[1]},<{high[0]}.{high[1]}"
    assert setup_cfg["options"]["python_requires"] == wanted


def test_who_brings_a_module():
    assert missing_extra("orbax.checkpoint.v1") == "jax"
    assert missing_extra("jaxlib") == "jax"
    assert missing_extra("pygame") == "window"
    assert missing_extra("av") == "label", "not all of JAX"
    assert missing_extra("json") is None


def test_what_brings_an_extra():
    assert install_command("label") == "pip install 'nitrogen_jax[label]'"
    assert install_command("tpu") == "pip install 'nitrogen_jax[jax,tpu]'"
