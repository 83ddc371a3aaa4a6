"""Models of elements: their templates, where they lie, and covariances against dense algebra."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.labeling.fit.model import (
    GRID,
    LEVELS,
    MOST_PIXELS,
    OTHER_PIXELS,
    REACH,
    REACH_OF_GROUND,
    ElementModel,
    Noise,
    Precision,
    build,
    rest,
)
from nitrogen_jax.labeling.planes import Planes, painted, pooled
from nitrogen_jax.labeling.skins.draw import Painter, Placement, Region
from nitrogen_jax.labeling.skins.generate import generate
from nitrogen_jax.labeling.skins.skin import DPAD_STATES, Element, Skin, States

_spec = importlib.util.spec_from_file_location("composed", Path(__file__).parent / "composed.py")
composed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(composed)
presets = composed.presets


def bare(seed: int, luma: int, chroma: int) -> ElementModel:
    """A model of which only places and variances matter."""
    rng = np.random.default_rng(seed)
    y, u = (rng.uniform(0, 60, (number, 2)) for number in (luma, chroma))
    alike = [
        np.exp(-np.linalg.norm(one[:, None] - one[None], axis=-1) / REACH_OF_GROUND)
        for one in (y, u)
    ]
    other = rng.choice([0.0, 0.0, 400.0], luma + 2 * chroma)
    nothing = np.zeros((1, luma + 2 * chroma), np.float32)
    return ElementModel(
        presets.pad().elements[1],
        Region(0, 0, 0, 0),
        1,
        nothing,
        nothing,
        np.zeros((1, 1)),
        other,
        np.concatenate([y, u, u]),
        luma,
        tuple(alike),
    )


def dense(model: ElementModel, clear: np.ndarray, noise: Noise) -> np.ndarray:
    """The whole covariance (n, n); a background that is hardly seen is independent noise."""
    covariance = np.zeros((len(clear), len(clear)))
    for part, kind in zip(model.parts(), (0, 1, 1), strict=True):
        own = noise.coding[kind] ** 2 + model.other[part] + 0.5
        seen = clear[part] * noise.ground[kind]
        alike = noise.shared + (1 - noise.shared) * model.alike[kind]
        if (seen**2).max() < 0.05 * own.min():
            alike = np.eye(len(own))
        covariance[part, part] = alike * np.outer(seen, seen) + np.diag(own)
    return covariance


@given(
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_precisions_are_those_of_dense_matrices(seed, luma, chroma, most, shared):
    model, rng = bare(seed, luma, chroma), np.random.default_rng(seed)
    clear = rng.uniform(0, most, luma + 2 * chroma)
    noise = Noise(tuple(rng.uniform(1, 8, 2)), tuple(rng.uniform(5, 60, 2)), shared)
    vectors = rng.normal(0, 30, (4, len(clear)))
    precision, covariance = Precision(model, clear, noise), dense(model, clear, noise)
    expected = np.linalg.solve(covariance, vectors.T).T
    energy = (vectors * expected).sum(1)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(precision.times(vectors), expected, rtol=1e-3, atol=2e-3 * scale)
    np.testing.assert_allclose(precision.energy(vectors), energy, rtol=2e-3)
    white = precision.whitened(vectors)
    np.testing.assert_allclose(white @ white.T, vectors @ expected.T, atol=3e-3 * energy.max())
    _, determinant = np.linalg.slogdet(covariance)
    assert precision.log_determinant == pytest.approx(determinant, rel=1e-3, abs=1e-2)


def test_whitened_noise_is_independent_and_of_variance_one():
    model, rng = bare(3, 10, 4), np.random.default_rng(0)
    clear = rng.uniform(0.3, 1, 18)
    factor = np.linalg.cholesky(dense(model, clear, Noise()))
    drawn = rng.normal(size=(20_000, 18)) @ factor.T
    white = Precision(model, clear, Noise()).whitened(drawn)
    np.testing.assert_allclose(np.cov(white.T), np.eye(18), atol=0.05)


def solid_at(scale=1.0, x=20.0, y=20.0, size=(120, 200)) -> dict[str, ElementModel]:
    models = build(composed.solid(), Placement(scale, x, y), size, composed.COLOURS)
    return {one.element.name: one for one in models}


def test_every_state_of_every_kind_has_a_template():
    models = solid_at()
    assert sorted(models) == ["a", "dpad", "left", "lt"]
    assert len(models["a"].colour) == 2
    assert models["a"].values.ravel().tolist() == [0, 1]
    assert len(models["lt"].colour) == LEVELS
    assert models["dpad"].values.tolist() == [list(state) for state in DPAD_STATES]
    stick = models["left"].values
    assert len(stick) == 2 * GRID * GRID
    # x runs fastest, then y, then the click.
    assert stick[1, 0] - stick[0, 0] == pytest.approx(2 * REACH / (GRID - 1))
    assert stick[GRID, 1] - stick[0, 1] == pytest.approx(2 * REACH / (GRID - 1))
    assert stick[:, 2].tolist() == [0] * GRID**2 + [1] * GRID**2


def test_templates_at_rest_are_the_skin_at_rest():
    for model in solid_at().values():
        np.testing.assert_allclose(model.values[rest(model)], 0, atol=1e-12)
        painter = Painter(composed.solid(), Placement(1, 20, 20), model.region)
        look = painted(next(iter(painter.states(States.idle()))), composed.COLOURS)
        at = rest(model)
        np.testing.assert_allclose(model.colour[at], pooled(look.colour, model.block), atol=1e-3)
        np.testing.assert_allclose(model.alpha[at], pooled(look.alpha, model.block), atol=1e-5)


def test_pressed_templates_are_pressed():
    model = solid_at()["a"]
    states = States.idle()
    states.buttons[:] = True
    painter = Painter(composed.solid(), Placement(1, 20, 20), model.region)
    look = painted(next(iter(painter.states(states))), composed.COLOURS)
    apart = np.abs(model.colour[1] - pooled(look.colour, model.block))
    # Others are drawn at rest, and none of them is near.
    assert apart.max() < 1e-3
    assert np.abs(model.colour[1] - model.colour[0]).max() > 50


def test_a_click_that_looks_like_none_has_no_templates():
    pad = composed.solid()
    stick = next(one for one in pad.elements if one.kind == "stick")
    same = replace(stick, sprites=(stick.sprites[0],) * 2)
    skin = replace(pad, elements=(same,))
    (model,) = build(skin, Placement(1, 20, 20), (120, 200), composed.COLOURS)
    assert len(model.colour) == GRID * GRID


def test_elements_that_no_press_changes_have_no_model():
    sprite = presets.sprite()
    dull = Element("button", "dull", (5.0, 5.0), (sprite, sprite), "SOUTH")
    assert build(Skin("s", (40, 40), (dull,)), Placement(1, 0, 0), (60, 60), composed.COLOURS) == []


@pytest.mark.parametrize(("x", "y"), [(-300, 20), (20, -200), (400, 20), (20, 400)])
def test_elements_outside_of_the_picture_have_no_model(x, y):
    assert solid_at(1, x, y) == {}


def test_only_elements_in_the_picture_have_a_model():
    # The left part of the skin leaves a picture that begins at its 45th column.
    models = solid_at(1, -45, 20)
    assert sorted(models) == ["a", "dpad"]


@given(
    st.integers(0, 5),
    st.floats(0.1, 1.2),
    st.floats(-150, 300),
    st.floats(-150, 200),
    st.sampled_from([(120, 200), (121, 203), (90, 160)]),
)
@settings(max_examples=8)
def test_regions_lie_in_the_picture_and_are_whole_blocks(seed, scale, x, y, size):
    skin = generate(seed)
    skin = replace(skin, elements=skin.elements[:3])
    scale *= 200 / skin.size[0]
    for model in build(skin, Placement(scale, x, y), size, composed.COLOURS):
        height, width = model.region.shape
        assert 0 <= model.region.left < model.region.right <= size[1]
        assert 0 <= model.region.top < model.region.bottom <= size[0]
        assert all(edge % max(model.block, 2) == 0 for edge in model.region)
        most = MOST_PIXELS.get(model.element.kind, OTHER_PIXELS)
        assert model.luma == height * width / model.block**2
        assert model.luma <= 2 * most  # a region may grow to whole blocks
        assert model.colour.shape == model.alpha.shape == (len(model.values), len(model.where))
        assert (model.alpha >= 0).all()
        assert (model.alpha <= 1 + 1e-5).all()
        sizes = [part.stop - part.start for part in model.parts()[:2]]
        assert sizes == [model.luma, (len(model.where) - model.luma) // 2]


def test_places_of_entries_are_the_middles_of_their_blocks():
    model = solid_at(3.0, 5, 5, (240, 320))["a"]
    assert model.block > 1
    ramp = np.arange(model.region.shape[1], dtype=np.float32) + 0.5
    y = np.broadcast_to(ramp, model.region.shape)
    uv = np.broadcast_to(ramp.reshape(-1, 2).mean(1), (2, *(n // 2 for n in model.region.shape)))
    np.testing.assert_allclose(pooled(Planes(y, uv), model.block), model.where[:, 0], atol=1e-3)


def test_pixels_that_others_change_are_known():
    """Of a button beside a stick, the side that the stick reaches."""
    sprites = presets.sprite(20, 20), presets.sprite(20, 20, (255, 255, 255))
    button = Element("button", "b", (40.0, 20.0), sprites, "SOUTH")
    stick = Element("stick", "s", (15.0, 20.0), sprites, None, "left", (12.0, 12.0))
    skin = Skin("s", (80, 60), (button, stick))
    models = build(skin, Placement(1, 20, 20), (120, 140), composed.COLOURS)
    model = next(one for one in models if one.element.name == "b")
    luma, x = model.other[: model.luma], model.where[: model.luma, 0] + model.region.left
    assert luma[x < 20 + 40].max() > 100
    assert luma[x > 20 + 48 + 1].max() == 0
    # The button itself is none of the others.
    alone = build(
        replace(skin, elements=(button,)), Placement(1, 20, 20), (120, 140), composed.COLOURS
    )
    assert alone[0].other.max() == 0
