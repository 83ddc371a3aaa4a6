"""Whole encoded videos, read by the network, by the fit of sprites, and by both."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("safetensors")

from nitrogen_jax.labeling.agree import DOUBTED
from nitrogen_jax.labeling.label_video import label_video
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.parser import weights
from nitrogen_jax.labeling.skins.library import Library

sys.path.insert(0, str(Path(__file__).parent / "parser"))
from small import NETWORK, parameters


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """The file of a network that has learned nothing."""
    path = tmp_path_factory.mktemp("reader") / "reader.safetensors"
    weights.write(parameters(), NETWORK, path)
    return str(path)


@pytest.fixture(scope="module")
def read(plain, skin, untrained):
    """Labels of the same video by readers."""
    options = LabelOptions(samples=9, parser=untrained)
    return {
        readers: label_video(plain, Library((skin,)), dataclasses.replace(options, readers=readers))
        for readers in ("fit", "net", "both")
    }


def test_both_readers_keep_what_the_fit_says(read):
    fit, both = read["fit"], read["both"]
    assert both.segments == fit.segments
    for one, other in zip(both.states, fit.states, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_that_has_learned_nothing_costs_little(read):
    """It differs from the fit time and again, which tells of the network and not of the frames."""
    fit, net, both = (read[name] for name in ("fit", "net", "both"))
    assert (np.hypot(*(fit.states.left - net.states.left).T) > 0.2).mean() > 0.1
    apart = both.confidence < fit.confidence
    assert apart.mean() < 0.1
    assert not both.valid[apart].any()
    assert (both.confidence[apart] <= DOUBTED * 0.5).all()
    np.testing.assert_array_equal(both.valid[~apart], fit.valid[~apart])


def test_the_network_alone_says_what_it_reads(read):
    fit, net = read["fit"], read["net"]
    assert net.segments == fit.segments
    assert net.frames == fit.frames == len(net.states.left)
    assert (net.states.left != fit.states.left).any()
    assert ((net.confidence >= 0) & (net.confidence <= 1)).all()
