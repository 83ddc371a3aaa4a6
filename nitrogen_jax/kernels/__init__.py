"""Kernels for what XLA does slowly; everything works without them."""
