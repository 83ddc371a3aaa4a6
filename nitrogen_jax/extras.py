"""What each optional extra of setup.cfg brings: extra -> {top-level module: distribution}."""

from __future__ import annotations

EXTRAS: dict[str, dict[str, str]] = {
    "jax": {
        "jax": "jax",
        "flax": "flax",
        "optax": "optax",
        "orbax": "orbax-checkpoint",
        "grain": "grain",
        "array_record": "array_record",
        "tensorflow_datasets": "tensorflow-datasets",
        "safetensors": "safetensors",
        "pyarrow": "pyarrow",
        "av": "av",
        "matplotlib": "matplotlib",
        "scipy": "scipy",
        "ml_dtypes": "ml_dtypes",
        "tensorboardX": "tensorboardX",
    },
    "cuda": {"jax_cuda12_plugin": "jax-cuda12-plugin"},
    "cuda13": {"jax_cuda13_plugin": "jax-cuda13-plugin"},
    "tpu": {"libtpu": "libtpu"},
    "label": {"pyarrow": "pyarrow", "av": "av", "matplotlib": "matplotlib", "scipy": "scipy"},
    "cluster": {"ray": "ray"},
    "bake": {"websocket": "websocket-client"},
    "window": {"pygame": "pygame-ce"},
    "sim": {"Xlib": "python-xlib"},
    "games": {"vizdoom": "vizdoom", "ale_py": "ale-py", "stable_retro": "stable-retro"},
    "vizdoom": {"vizdoom": "vizdoom"},
    "parity": {"torch": "torch", "transformers": "transformers"},
    "dev": {
        "pytest": "pytest",
        "pytest_timeout": "pytest-timeout",
        "xdist": "pytest-xdist",
        "hypothesis": "hypothesis",
        "ruff": "ruff",
    },
}

# Extras that must come on top of another one.
BESIDE = {"cuda": "jax", "cuda13": "jax", "tpu": "jax", "cluster": "label"}


def missing_extra(module: str) -> str | None:
    """The smallest extra that brings `module`, or None when the module is nobody's extra."""
    top = module.split(".")[0]
    if top == "jaxlib":
        return "jax"
    found = [extra for extra, modules in EXTRAS.items() if top in modules]
    return min(found, key=lambda extra: len(EXTRAS[extra]), default=None)


def install_command(extra: str) -> str:
    """The pip line that adds `extra` to an installed nitrogen_jax."""
    names = f"{BESIDE[extra]},{extra}" if extra in BESIDE else extra
    return f"pip install 'nitrogen_jax[{names}]'"
