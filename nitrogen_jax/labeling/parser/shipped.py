"""The reader's parameters that come with this package, if any do; looked for without JAX."""

from __future__ import annotations

from importlib import resources

SHIPPED = resources.files("nitrogen_jax.labeling") / "data" / "parser_b0.safetensors"


def is_shipped() -> bool:
    """Whether parameters come with this package."""
    return SHIPPED.is_file()
